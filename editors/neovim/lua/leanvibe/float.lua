--- The window of an answer: a floating Markdown buffer that grows while text streams in.
---
--- Text is collected and written at the pace of `leanvibe.pace`.

local pace = require("leanvibe.pace")

local M = {}

local SEPARATOR = " · "

---@class leanvibe.Float
---@field buf integer
---@field win integer
---@field private title string
---@field private footer_parts string[]
---@field private settings leanvibe.FloatOptions
---@field private pending string[] text that is not in the buffer yet
---@field private closed boolean
---@field private on_close fun()
local Float = {}
Float.__index = Float

---@param number number cells, or a share of `whole` when it is 1 or less
---@param whole integer
---@return integer
local function cells(number, whole)
  return math.floor(number <= 1 and number * whole or number)
end

--- Cut to a number of screen cells.
---@param text string
---@param width integer
---@return string
local function fit(text, width)
  if vim.fn.strdisplaywidth(text) <= width then
    return text
  end
  local length = vim.fn.strchars(text)
  repeat
    length = length - 1
    local cut = vim.fn.strcharpart(text, 0, length) .. "…"
  until length <= 0 or vim.fn.strdisplaywidth(cut) <= width
  return length <= 0 and "" or vim.fn.strcharpart(text, 0, length) .. "…"
end

--- Join as many parts as there is room for; those that matter most come first.
---@param parts string[]
---@param width integer
---@return string
local function join(parts, width)
  local joined = fit(parts[1] or "", width)
  for index = 2, #parts do
    local longer = joined .. SEPARATOR .. parts[index]
    if vim.fn.strdisplaywidth(longer) > width then
      break
    end
    joined = longer
  end
  return joined
end

---@return string|string[]
local function default_border()
  local known, border = pcall(function()
    return vim.o.winborder -- Neovim 0.11
  end)
  return known and border ~= "" and border ~= "none" and border or "rounded"
end

---@param rows integer screen lines the text needs
---@return vim.api.keyset.win_config
function Float:layout(rows)
  local columns = math.max(1, vim.o.columns - 2)
  local lines = math.max(1, vim.o.lines - vim.o.cmdheight - 3)
  local width = math.max(1, math.min(columns, cells(self.settings.width, columns)))
  local tallest = math.max(1, math.min(lines, cells(self.settings.height, lines)))
  local room = math.max(0, width - 2)
  return {
    relative = "editor",
    border = self.settings.border or default_border(),
    width = width,
    height = math.max(1, math.min(tallest, rows)),
    -- Placed for the full height, so that the first line stays where it is while the answer grows.
    row = math.max(0, math.floor((lines - tallest) / 2)),
    col = math.max(0, math.floor((columns - width) / 2)),
    title = (" %s "):format(fit(self.title, room)),
    footer = (" %s "):format(join(self.footer_parts, room)),
  }
end

--- Whether the window is still there.
---@return boolean
function Float:is_open()
  return not self.closed and vim.api.nvim_win_is_valid(self.win) and vim.api.nvim_buf_is_valid(self.buf)
end

---@private
---@param change fun()
function Float:edit(change)
  local follows = vim.api.nvim_win_get_cursor(self.win)[1] == vim.api.nvim_buf_line_count(self.buf)
  vim.bo[self.buf].modifiable = true
  change()
  vim.bo[self.buf].modifiable = false
  if follows then
    local last = vim.api.nvim_buf_get_lines(self.buf, -2, -1, false)[1]
    vim.api.nvim_win_set_cursor(self.win, { vim.api.nvim_buf_line_count(self.buf), #last })
  end
end

--- Write what was collected, and fit the window to it.
function Float:flush()
  if not self:is_open() then
    return
  end
  local text = table.concat(self.pending)
  self.pending = {}
  if text ~= "" then
    self:edit(function()
      local row = vim.api.nvim_buf_line_count(self.buf) - 1
      local column = #vim.api.nvim_buf_get_lines(self.buf, row, row + 1, false)[1]
      vim.api.nvim_buf_set_text(self.buf, row, column, row, column, vim.split(text, "\n", { plain = true }))
    end)
  end
  local rows = vim.api.nvim_buf_line_count(self.buf)
  if rows <= vim.o.lines then
    rows = vim.api.nvim_win_text_height(self.win, {}).all
  end
  vim.api.nvim_win_set_config(self.win, self:layout(rows))
end

---@private
function Float:redraw_soon()
  pace.soon(self, function()
    self:flush()
  end)
end

--- Add text at the end.
---@param text string
function Float:append(text)
  table.insert(self.pending, text)
  self:redraw_soon()
end

--- The text so far, what is not drawn yet included.
---@return string
function Float:text()
  local drawn = table.concat(vim.api.nvim_buf_get_lines(self.buf, 0, -1, false), "\n")
  return drawn .. table.concat(self.pending)
end

--- Make this the whole text.
---@param text string
function Float:replace(text)
  if not self:is_open() or self:text() == text then
    return
  end
  self.pending = {}
  self:edit(function()
    vim.api.nvim_buf_set_lines(self.buf, 0, -1, false, vim.split(text, "\n", { plain = true }))
  end)
  self:redraw_soon()
end

--- Add a paragraph of our own after the text.
---@param text string
function Float:note(text)
  if self:is_open() then
    self:append((self:text() == "" and "" or "\n\n") .. text)
  end
end

--- What the lower border says. Parts that do not fit are left out, the last first.
---@param parts string[]
function Float:footer(parts)
  self.footer_parts = parts
  self:redraw_soon()
end

--- Close the window; calls `on_close` when it was open.
function Float:close()
  if self.closed then
    return
  end
  self.closed = true
  self.on_close()
  if vim.api.nvim_win_is_valid(self.win) then
    vim.api.nvim_win_close(self.win, true)
  end
end

---@private
---@param on_stop fun()
function Float:set_keys(on_stop)
  local function map(key, action, description)
    vim.keymap.set("n", key, action, { buffer = self.buf, nowait = true, desc = description })
  end
  local function close()
    self:close()
  end
  map("q", close, "LeanVibe: cancel and close")
  map("<Esc>", close, "LeanVibe: cancel and close")
  map("<C-c>", on_stop, "LeanVibe: stop, keep the text so far")
end

---@private
function Float:watch_window()
  local group = vim.api.nvim_create_augroup("leanvibe.float." .. self.win, { clear = true })
  vim.api.nvim_create_autocmd("WinClosed", {
    group = group,
    pattern = tostring(self.win),
    once = true,
    desc = "Cancel a LeanVibe question whose window was closed",
    callback = function()
      vim.api.nvim_del_augroup_by_id(group)
      if not self.closed then
        self.closed = true
        self.on_close()
      end
    end,
  })
  vim.api.nvim_create_autocmd("VimResized", {
    group = group,
    desc = "Fit the LeanVibe window to the screen",
    callback = function()
      self:flush()
    end,
  })
end

---@param buf integer
---@param win integer
local function set_options(buf, win)
  vim.bo[buf].bufhidden = "wipe"
  vim.bo[buf].swapfile = false
  vim.bo[buf].undolevels = -1
  vim.bo[buf].modifiable = false
  vim.bo[buf].filetype = "markdown"
  pcall(vim.treesitter.start, buf, "markdown") -- a build may come without the parser
  local window_options =
    { wrap = true, linebreak = true, breakindent = true, conceallevel = 2, winfixbuf = true, spell = false }
  for name, value in pairs(window_options) do
    vim.api.nvim_set_option_value(name, value, { scope = "local", win = win })
  end
end

---@class leanvibe.FloatHooks
---@field on_close fun() the window was closed, by a key of ours or in any other way; called once
---@field on_stop fun() a person wants no more text, and to keep what there is

--- Open a window and put the cursor into it.
---@param title string
---@param footer string[] see Float:footer
---@param hooks leanvibe.FloatHooks
---@return leanvibe.Float
function M.open(title, footer, hooks)
  local self = setmetatable({
    title = vim.trim((title:gsub("%s+", " "))),
    footer_parts = footer,
    settings = require("leanvibe").options.float,
    pending = {},
    closed = false,
    on_close = hooks.on_close,
  }, Float)
  self.buf = vim.api.nvim_create_buf(false, true)
  local config = vim.tbl_extend("force", self:layout(1), { style = "minimal" })
  self.win = vim.api.nvim_open_win(self.buf, true, config)
  set_options(self.buf, self.win)
  self:set_keys(hooks.on_stop)
  self:watch_window()
  return self
end

--- Show a text that is whole.
---@param title string
---@param text string
function M.show(title, text)
  local nothing = function() end
  local float = M.open(title, { "q closes" }, { on_close = nothing, on_stop = nothing })
  float:replace(text)
  float:flush()
  vim.api.nvim_win_set_cursor(float.win, { 1, 0 })
end

return M
