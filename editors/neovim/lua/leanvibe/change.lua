--- Changes of code: the server makes, checks and sends the edit, Neovim applies it. Here is what a person is asked
--- before and told after; the cursor stays where it is meanwhile.

local requests = require("leanvibe.requests")
local server = require("leanvibe.server")

local M = {}

---@type { title: string, text: string }? what the model wrote last and was not applied
local draft

---@param reason string
---@param title string
---@param text string?
local function refused(reason, title, text)
  draft = text and text ~= "" and { title = title, text = text } or nil
  server.warn(reason .. (draft and " :LeanVibe draft shows what the model wrote." or ""))
end

---@param result table of leanvibe.change
---@return string
local function done(result)
  local passed = vim.iter(result.checks):filter(function(check)
    return check.checked and check.passed
  end)
  local names = passed:map(function(check)
    return check.name
  end):join(", ")
  return result.title .. (names ~= "" and (" (%s)"):format(names) or "")
end

---@param title string
---@param client_id integer
---@param outcome leanvibe.Outcome
---@param ending leanvibe.End
local function on_end(title, client_id, outcome, ending)
  local result, err = ending.result, ending.err
  if result then
    require("leanvibe.status").answered(client_id, result.answer)
    if result.applied then
      server.tell(done(result))
    else
      refused(result.refusal, title, result.draft)
    end
  elseif err then
    refused(err.message, title, type(err.data) == "table" and err.data.draft or nil)
  else
    local why = outcome == "lost" and ("the server stopped (%s)."):format(ending.how)
      or ending.buffer_gone and "stopped, its buffer was deleted."
      or "stopped."
    server.tell(title .. ": " .. why)
  end
  local data = { outcome = outcome, result = result, err = err }
  vim.api.nvim_exec_autocmds("User", { pattern = "LeanVibeChange", modeline = false, data = data })
end

--- Client side of the server's command `leanvibe.change`. One in a person's own words asks for the words.
---@param command lsp.Command
---@param context { bufnr: integer, client_id: integer }
function M.change(command, context)
  local argument, client = command.arguments[1], vim.lsp.get_client_by_id(context.client_id)
  if not client then
    return
  end
  local function send(instruction)
    local words = vim.trim(instruction or "")
    if words == "" and argument.kind == "rewrite" then
      return
    end
    local asked = vim.tbl_extend("force", argument, { instruction = words })
    local params = { command = command.command, arguments = { asked } }
    local sent = requests.send(client, "workspace/executeCommand", params, context.bufnr, {
      on_end = function(outcome, ending)
        on_end(command.title, client.id, outcome, ending)
      end,
    })
    if not sent then
      server.warn("the server is not running. Start it again with :edit.")
    end
  end
  if argument.kind == "rewrite" and not argument.instruction then
    vim.ui.input({ prompt = "Change with LeanVibe: " }, send)
  else
    send(argument.instruction)
  end
end

--- `:LeanVibe draft`: what the model wrote last that could not be applied.
function M.show_draft()
  if not draft then
    server.tell("there is no draft that was not applied.")
    return
  end
  local text = draft.text
  if not text:find("```", 1, true) then
    text = ("```%s\n%s\n```"):format(vim.bo.filetype, text)
  end
  require("leanvibe.float").show(draft.title .. ": draft, not applied", text)
end

--- Handler of `workspace/applyEdit`. Neovim's own leaves out an edit of an older version and then says it was applied.
---@type lsp.Handler
function M.on_apply_edit(err, params, context, config)
  for _, change in ipairs(params.edit.documentChanges or {}) do
    local document = change.textDocument
    local version = document and document.version
    if version and vim.lsp.util.buf_versions[vim.uri_to_bufnr(document.uri)] ~= version then
      return { applied = false, failureReason = "the buffer was changed meanwhile" }
    end
  end
  return vim.lsp.handlers["workspace/applyEdit"](err, params, context, config)
end

return M
