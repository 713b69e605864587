--- Runs one scenario in a headless Neovim and writes what it saw as JSON; tests/e2e/test_neovim.py judges it.
---
--- Environment: LEANVIBE_SCENARIO (a function of scenarios.lua), LEANVIBE_REPORT (the file to write), LEANVIBE_INPUT
--- (JSON: setup, file, encoding, ...).

local WAIT_MS = 240000 -- a machine with much else to do
local here = vim.fs.dirname(debug.getinfo(1, "S").source:sub(2))

local driver = { input = vim.json.decode(vim.env.LEANVIBE_INPUT) }

--- Wait for a condition; an error names it when it does not come.
---@param what string
---@param condition fun(): any
---@param timeout_ms? integer
---@return any value the condition's, when it came true
function driver.wait(what, condition, timeout_ms)
  local value
  local came = vim.wait(timeout_ms or WAIT_MS, function()
    value = condition()
    return value
  end, 5)
  if not came then
    error("timed out waiting for " .. what, 2)
  end
  return value
end

--- Set the plugin up, open the input's file and wait until the server is attached.
---@return vim.lsp.Client
function driver.attach()
  require("leanvibe").setup(driver.input.setup)
  vim.cmd.edit(driver.input.file)
  vim.bo.filetype = "python"
  return driver.client()
end

---@return vim.lsp.Client
function driver.client()
  return driver.wait("the server to attach", function()
    return vim.lsp.get_clients({ bufnr = 0, name = "leanvibe" })[1]
  end)
end

--- The process of the server: Neovim's only child.
---@return integer
function driver.server_pid()
  local children = vim.api.nvim_get_proc_children(vim.fn.getpid())
  assert(#children == 1, "expected one child process, there are " .. #children)
  return children[1]
end

--- The window of the answer, when there is one.
---@return integer?
function driver.float()
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    local config = vim.api.nvim_win_get_config(win)
    if config.relative ~= "" and config.footer then
      return win
    end
  end
end

--- Text and footer of the float.
---@return { text: string, footer: string }?
function driver.seen()
  local win = driver.float()
  if not win then
    return nil
  end
  local footer = ""
  for _, part in ipairs(vim.api.nvim_win_get_config(win).footer) do
    footer = footer .. part[1]
  end
  local lines = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(win), 0, -1, false)
  return { text = table.concat(lines, "\n"), footer = vim.trim(footer) }
end

--- Press keys as a person does: mappings apply.
---@param keys string as in "<Esc>"
function driver.press(keys)
  vim.api.nvim_feedkeys(vim.keycode(keys), "mx", false)
end

--- Every message the client sends from now on.
---@param client vim.lsp.Client
---@return { method: string, params: table }[]
function driver.record(client)
  local sent = {}
  local request = client.rpc.request
  client.rpc.request = function(method, params, ...)
    table.insert(sent, { method = method, params = vim.deepcopy(params) })
    return request(method, params, ...)
  end
  return sent
end

--- Outcomes of questions from now on, oldest first.
---@return table[]
function driver.outcomes()
  local outcomes = {}
  vim.api.nvim_create_autocmd("User", {
    pattern = "LeanVibeAnswer",
    callback = function(event)
      table.insert(outcomes, event.data)
    end,
  })
  return outcomes
end

--- Offer the server one unit for columns, whatever Neovim would offer.
---@param encoding "utf-8"|"utf-16"|"utf-32"
local function offer_only(encoding)
  local start = vim.lsp.start
  vim.lsp.start = function(config, options)
    local offer = { capabilities = { general = { positionEncodings = { encoding } } } }
    return start(vim.tbl_deep_extend("force", config, offer), options)
  end
end

--- Stand in for Neovim 0.10 as far as this Neovim can: no vim.lsp.config, and the version the plugin asks for.
local function look_like_0_10()
  local has = vim.fn.has
  vim.fn.has = function(feature)
    return feature == "nvim-0.11" and 0 or has(feature)
  end
  vim.lsp.config = nil
end

local function run()
  if driver.input.old then
    look_like_0_10()
  end
  if driver.input.encoding then
    offer_only(driver.input.encoding)
  end
  local scenarios = dofile(vim.fs.joinpath(here, "scenarios.lua"))
  local ok, facts = xpcall(scenarios[vim.env.LEANVIBE_SCENARIO], debug.traceback, driver)
  local result = {
    ok = ok,
    facts = ok and facts or nil,
    failure = not ok and facts or nil,
    errmsg = vim.v.errmsg,
    messages = vim.api.nvim_exec2("messages", { output = true }).output,
    seen = driver.seen(),
  }
  vim.fn.writefile({ vim.json.encode(result) }, vim.env.LEANVIBE_REPORT)
  vim.cmd("qall!")
end

-- After start-up, as when a person types: the main loop is running.
vim.api.nvim_create_autocmd("VimEnter", { once = true, callback = vim.schedule_wrap(run) })
