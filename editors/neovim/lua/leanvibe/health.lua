--- `:checkhealth leanvibe`: the editor's side, then what the server says about itself.

local compat = require("leanvibe.compat")

local M = {}

local VERSION_MS = 10000
local REPORT_MS = 15000

local function check_neovim()
  local version = vim.version()
  local text = ("Neovim %d.%d.%d"):format(version.major, version.minor, version.patch)
  if vim.fn.has("nvim-0.10") == 0 then
    vim.health.error(text, "LeanVibe needs Neovim 0.10 or newer.")
  else
    vim.health.ok(text)
  end
end

---@param cmd string[]
---@return string? version
local function version_of(cmd)
  local command = vim.list_extend(vim.list_slice(cmd), { "--version" })
  local started, process = pcall(vim.system, command, { text = true })
  if not started then
    return nil
  end
  local done = process:wait(VERSION_MS)
  local line = vim.trim(done.stdout or "")
  return done.code == 0 and line ~= "" and line or nil
end

---@param cmd string[]|function
local function check_program(cmd)
  if type(cmd) == "function" then
    vim.health.info("The server is reached by a function, not started by name.")
    return
  end
  local path = vim.fn.exepath(cmd[1])
  if path == "" then
    vim.health.error(cmd[1] .. " was not found.", {
      "Install it: uv tool install leanvibe-lsp",
      'Or give its path: require("leanvibe").setup{ cmd = { "/path/to/leanvibe-lsp" } }',
    })
    return
  end
  local version = version_of(cmd)
  if version then
    vim.health.ok(("%s (%s)"):format(path, version))
  else
    vim.health.warn(
      path .. " does not tell its version.",
      "Run in a terminal: " .. table.concat(cmd, " ") .. " --version"
    )
  end
end

---@param options leanvibe.Options
local function check_inline_completion(options)
  if vim.tbl_get(options.settings, "inlineCompletion", "enabled") ~= true then
    vim.health.info("Inline completion is off: settings = { inlineCompletion = { enabled = true } } switches it on.")
  elseif compat.has_inline_completion() then
    vim.health.ok("Inline completion is on.")
  else
    vim.health.warn("Inline completion is on, but this Neovim cannot show it.", "Neovim 0.12 or newer can.")
  end
end

---@param report table result of leanvibe/health
local function show_report(report)
  local model, backend = report.model or "none", report.backend or "none"
  vim.health.info(("Model: %s, backend: %s, state: %s"):format(model, backend, report.state))
  if report.status == "healthy" then
    vim.health.ok("The server is healthy.")
  end
  for _, problem in ipairs(report.problems or {}) do
    local tell = problem.severity == "broken" and vim.health.error or vim.health.warn
    tell(problem.what, problem.next_step ~= "" and problem.next_step or nil)
  end
end

---@param client vim.lsp.Client
local function check_client(client)
  local buffers = vim.tbl_count(client.attached_buffers)
  vim.health.ok(("Server %d is running, attached to %d buffer(s)."):format(client.id, buffers))
  local reply, reason = compat.request_sync(client, "leanvibe/health", vim.empty_dict(), REPORT_MS)
  if not reply then
    vim.health.error(
      ("The server did not answer (%s)."):format(reason or "it is gone"),
      "Look into the log: " .. vim.lsp.get_log_path()
    )
  elseif reply.err then
    vim.health.error(reply.err.message)
  else
    show_report(reply.result)
  end
end

--- Called by `:checkhealth leanvibe`.
function M.check()
  local leanvibe = require("leanvibe")
  vim.health.start("LeanVibe: editor")
  check_neovim()
  if not leanvibe.options then
    vim.health.error("Not set up.", 'Put require("leanvibe").setup{} into your init.lua.')
    return
  end
  vim.health.ok("setup() was called.")
  check_program(leanvibe.options.cmd)
  check_inline_completion(leanvibe.options)

  vim.health.start("LeanVibe: server")
  local clients = vim.lsp.get_clients({ name = leanvibe.client_name })
  if #clients == 0 then
    local filetypes = table.concat(leanvibe.options.filetypes, ", ")
    vim.health.warn("No server is running.", "Open a file of one of these filetypes: " .. filetypes)
  end
  for _, client in ipairs(clients) do
    check_client(client)
  end
end

return M
