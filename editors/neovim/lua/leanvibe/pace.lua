--- The pace of the screen: everything of ours that is drawn while a model works is drawn here, 20 times a second at
--- most, so that no rate of messages can keep Neovim from its keys.

local M = {}

local TICK_MS = 50

---@type table<any, fun()>
local due = {}
local ticking = false

local function tick()
  local updates = due
  due, ticking = {}, false
  for _, update in pairs(updates) do
    update()
  end
end

--- Call `update` with the next tick; of several under one key the last.
---@param key any
---@param update fun()
function M.soon(key, update)
  due[key] = update
  if not ticking then
    ticking = true
    vim.defer_fn(tick, TICK_MS)
  end
end

return M
