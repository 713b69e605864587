--- `:LeanVibe`: a subcommand for everything a person can ask for.

local compat = require("leanvibe.compat")
local server = require("leanvibe.server")

local M = {}

---@class leanvibe.Call
---@field text string what was written after the subcommand
---@field lines? [integer, integer] the range that was given, from 1

---@class leanvibe.Document the buffer that a person is in, as it is before they are asked anything
---@field client vim.lsp.Client
---@field bufnr integer
---@field version integer

---@return leanvibe.Document? document nil when it has no server, which a person was told then
local function document()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = server.needed(bufnr)
  return client and { client = client, bufnr = bufnr, version = vim.lsp.util.buf_versions[bufnr] }
end

---@param client vim.lsp.Client
---@param lines? [integer, integer]
---@return lsp.Range range the lines, or an empty one at the cursor
local function range(client, lines)
  if lines then
    return server.range_of_lines(client, 0, lines)
  end
  local cursor = server.cursor(client, 0)
  return { start = cursor, ["end"] = cursor }
end

--- Run one of the server's commands as if a code action had been taken.
---@param of leanvibe.Document
---@param title string
---@param name string
---@param argument table
local function run(of, title, name, argument)
  argument.uri = vim.uri_from_bufnr(of.bufnr)
  argument.version = of.version
  local context = { bufnr = of.bufnr, client_id = of.client.id }
  of.client.commands[name]({ title = title, command = name, arguments = { argument } }, context)
end

---@param kind string as the server knows it
---@param title string
---@return fun(call: leanvibe.Call)
local function change(kind, title)
  return function(call)
    local of = document()
    if of then
      local instruction = call.text ~= "" and call.text or nil
      run(of, title, "leanvibe.change", {
        kind = kind,
        range = range(of.client, call.lines),
        instruction = instruction,
      })
    end
  end
end

---@param call leanvibe.Call
local function explain(call)
  local of = document()
  if of then
    run(of, "Explain", "leanvibe.explain", { range = range(of.client, call.lines) })
  end
end

--- A review of the function at the cursor, or of the lines. The server shows what it found and how far it is.
---@param call leanvibe.Call
local function review(call)
  local of = document()
  if not of then
    return
  end
  local argument = { uri = vim.uri_from_bufnr(of.bufnr), version = of.version, range = range(of.client, call.lines) }
  compat.request(of.client, "workspace/executeCommand", {
    command = "leanvibe.judge",
    arguments = { argument },
  }, function(err)
    if err then
      server.warn(err.message)
    end
  end, of.bufnr)
end

---@param lines? [integer, integer]
---@return vim.Diagnostic[] found of every server, on the lines or on that of the cursor
local function diagnostics(lines)
  local row = vim.api.nvim_win_get_cursor(0)[1]
  local first, last = unpack(lines or { row, row })
  return vim.tbl_filter(function(one)
    return one.lnum < last and one.end_lnum >= first - 1
  end, vim.diagnostic.get(0))
end

---@param call leanvibe.Call
local function fix(call)
  local of = document()
  if not of then
    return
  end
  local found = diagnostics(call.lines)
  local function take(one)
    if one and vim.api.nvim_buf_is_valid(of.bufnr) then
      local diagnostic = server.diagnostic(of.client, one)
      local argument = { kind = "fix", range = diagnostic.range, diagnostic = diagnostic }
      run(of, "Fix: " .. one.message, "leanvibe.change", argument)
    end
  end
  if #found == 0 then
    server.tell("there is no problem " .. (call.lines and "on these lines." or "on this line."))
  elseif #found == 1 then
    take(found[1])
  else
    local function message(one)
      return one.message
    end
    vim.ui.select(found, { prompt = "Fix which problem?", format_item = message }, take)
  end
end

--- Ours, and what the server does on its own account: an action that is resolved, a suggestion.
local function cancel()
  require("leanvibe.requests").cancel_all()
  for _, client in ipairs(vim.lsp.get_clients({ name = require("leanvibe").client_name })) do
    compat.request(client, "workspace/executeCommand", { command = "leanvibe.cancel" }, function() end, 0)
  end
end

---@type table<string, fun(call: leanvibe.Call)>
local subcommands = {
  ask = function(call)
    require("leanvibe.ask").command(call.text, call.lines)
  end,
  explain = explain,
  fix = fix,
  tests = change("tests", "Write tests"),
  document = change("document", "Document"),
  simplify = change("simplify", "Simplify"),
  rename = change("rename", "Rename for clarity"),
  extract = change("extract", "Extract into a function"),
  change = change("rewrite", "Change"),
  review = review,
  draft = function()
    require("leanvibe.change").show_draft()
  end,
  doctor = function()
    require("leanvibe.doctor").show(vim.api.nvim_get_current_buf())
  end,
  cancel = cancel,
  health = function()
    vim.cmd.checkhealth("leanvibe")
  end,
}

---@return string[]
local function names()
  local sorted = vim.tbl_keys(subcommands)
  table.sort(sorted)
  return sorted
end

--- `:[range]LeanVibe {subcommand} [text]`
---@param command vim.api.keyset.create_user_command.command_args
function M.run(command)
  local name, text = command.args:match("^(%S*)%s*(.-)%s*$")
  local subcommand = subcommands[name]
  if not subcommand then
    server.warn(("what to do? :LeanVibe takes one of %s."):format(table.concat(names(), ", ")))
    return
  end
  subcommand({ text = text, lines = command.range > 0 and { command.line1, command.line2 } or nil })
end

--- The subcommands that begin with what was typed; nothing after the first word.
---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  if not line:match("^%s*%S+%s+%S*$") then
    return {}
  end
  return vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, names())
end

return M
