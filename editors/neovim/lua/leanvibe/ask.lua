--- A question from the first key to the last word: send it, show what comes, stop it. One question at a time.

local compat = require("leanvibe.compat")

local M = {}

local ASK = "leanvibe/ask"
local TEXT_TOKEN = "leanvibe/text/"
local WORK_TOKEN = "leanvibe/work/"

---@class leanvibe.Turn
---@field role "user"|"assistant"
---@field content string
---@field citations table[] what the model was shown for it, as the server said

---@class leanvibe.Session
---@field client vim.lsp.Client
---@field bufnr integer the buffer the question is about
---@field method string
---@field params table as sent, less the tokens
---@field place table textDocument, and range or position
---@field title string the question
---@field history leanvibe.Turn[] what was asked and answered, for a follow-up
---@field float leanvibe.Float
---@field serial integer
---@field request_id integer?
---@field running boolean

---@type leanvibe.Session? the question whose window is open
local current

local serial = 0

---@param message string
local function warn(message)
  vim.notify("LeanVibe: " .. message, vim.log.levels.WARN)
end

--- Say why there is no server for a buffer, and what to do about it.
---@param bufnr integer
---@return string
local function why_no_client(bufnr)
  local options = require("leanvibe").options
  if not options then
    return 'not set up yet. Put require("leanvibe").setup{} into your init.lua.'
  end
  local program = type(options.cmd) == "table" and options.cmd[1]
  if program and vim.fn.executable(program) == 0 then
    return ("%s was not found. Install it (pip install leanvibe-lsp), or give its path to setup as cmd."):format(
      program
    )
  end
  local filetype = vim.bo[bufnr].filetype
  if not vim.list_contains(options.filetypes, filetype) then
    return ('the server is not started for filetype "%s". Add it to filetypes in setup.'):format(filetype)
  end
  return "no server is attached to this buffer. Wait a moment if the file was just opened, start it again with :edit,"
    .. " or see :checkhealth leanvibe."
end

---@param bufnr integer
---@return vim.lsp.Client?
local function client_of(bufnr)
  return vim.lsp.get_clients({ bufnr = bufnr, name = require("leanvibe").client_name })[1]
end

--- The parts of the last line of an answer; what matters most comes first.
---@param result table
---@return string[]
local function summary(result)
  local parts = { result.model, result.backend, result.tier }
  local confidence = result.confidence
  if confidence then
    local kind = confidence.calibrated and "calibrated" or "raw"
    table.insert(parts, ("confidence %.2f %s"):format(confidence.value, kind))
  end
  if result.finishReason == "loop" then
    table.insert(parts, 1, "stopped: it repeats itself")
  elseif result.finishReason == "length" then
    table.insert(parts, "cut at its limit")
  end
  if result.timing then
    table.insert(parts, ("%.0f tok/s"):format(result.timing.tokensPerSecond))
  end
  return parts
end

--- End a question, whatever its outcome, and tell who listens.
---@param session leanvibe.Session
---@param outcome "answered"|"cancelled"|"failed"|"lost"
---@param data? { result: table?, err: lsp.ResponseError? }
local function settle(session, outcome, data)
  session.running = false
  session.float:flush()
  data = vim.tbl_extend("force", data or {}, { outcome = outcome })
  vim.api.nvim_exec_autocmds("User", { pattern = "LeanVibeAnswer", modeline = false, data = data })
end

---@param session leanvibe.Session
local function cancel(session)
  if session.running then
    compat.cancel_request(session.client, session.request_id)
    session.float:footer({ "stopped", "q closes" })
    settle(session, "cancelled")
  end
end

---@param session leanvibe.Session
---@param err lsp.ResponseError?
---@param result table?
local function on_reply(session, err, result)
  if not session.running then
    return -- the reply crossed our cancel
  end
  if err or type(result) ~= "table" then
    session.float:note("**" .. (err and err.message or "The server sent no answer.") .. "**")
    session.float:footer({ "failed", "q closes" })
    settle(session, "failed", { err = err })
    return
  end
  vim.list_extend(session.history, {
    { role = "user", content = session.title, citations = result.citations },
    { role = "assistant", content = result.answer, citations = result.citations },
  })
  session.float:replace(result.answer)
  session.float:footer(summary(result))
  settle(session, "answered", { result = result })
end

--- Show a window and send the request of a session that was filled in.
---@param session leanvibe.Session
local function start(session)
  if current then
    current.float:close()
  end
  serial = serial + 1
  session.serial = serial
  local settings = require("leanvibe").options.float
  session.float = require("leanvibe.float").open(session.title, { "asking", "q cancels" }, settings, {
    on_close = function()
      cancel(session)
      if current == session then
        current = nil
      end
    end,
    on_stop = function()
      cancel(session)
    end,
  })
  current = session

  local params = vim.tbl_extend("force", session.params, {
    partialResultToken = TEXT_TOKEN .. serial,
    workDoneToken = WORK_TOKEN .. serial,
  })
  if params.arguments then
    -- LSP knows no partial results of a command; ours takes the token with its argument.
    params.arguments[1].partialResultToken = TEXT_TOKEN .. serial
  end
  session.running, session.request_id = compat.request(
    session.client,
    session.method,
    params,
    function(err, result)
      on_reply(session, err, result)
    end,
    session.bufnr
  )
  if not session.running then
    session.float:note("**The server is not running.** Start it again with `:edit`.")
    session.float:footer({ "failed", "q closes" })
  end
end

--- What a question in a window is about: whole lines, or the place of the cursor.
---@param client vim.lsp.Client
---@param win integer
---@param lines? [integer, integer] first and last line, from 1
---@return table params textDocument with range or position
local function target(client, win, lines)
  if not lines then
    return vim.lsp.util.make_position_params(win, client.offset_encoding)
  end
  local bufnr = vim.api.nvim_win_get_buf(win)
  local last = vim.api.nvim_buf_get_lines(bufnr, lines[2] - 1, lines[2], false)[1]
  return {
    textDocument = vim.lsp.util.make_text_document_params(bufnr),
    range = {
      start = { line = lines[1] - 1, character = 0 },
      ["end"] = { line = lines[2] - 1, character = compat.code_units(last, client.offset_encoding) },
    },
  }
end

--- The session a question continues, when it is asked from the window of an answer.
---@param bufnr integer
---@return leanvibe.Session?
local function continued(bufnr)
  return current and current.float.buf == bufnr and current or nil
end

---@class leanvibe.AskOptions
---@field question string
---@field win? integer the window whose buffer it is about; the current one when absent
---@field lines? [integer, integer] first and last line it is about; the place of the cursor when absent

--- Ask, and stream the answer into a window. Asked from the window of an answer it is a follow-up: about the same
--- place, with what was said before. A question that is still running is cancelled.
---@param options leanvibe.AskOptions
function M.ask(options)
  local win = options.win or vim.api.nvim_get_current_win()
  local before = continued(vim.api.nvim_win_get_buf(win))
  local bufnr = before and before.bufnr or vim.api.nvim_win_get_buf(win)
  local client = vim.api.nvim_buf_is_valid(bufnr) and client_of(bufnr)
  if not client then
    warn(why_no_client(bufnr))
    return
  end
  local history = before and before.history or {}
  local params = before and before.place or target(client, win, options.lines)
  start({
    client = client,
    bufnr = bufnr,
    method = ASK,
    title = options.question,
    place = params,
    params = vim.tbl_extend("force", params, {
      question = options.question,
      history = #history > 0 and history or nil,
    }),
    history = vim.list_slice(history),
  })
end

--- `:LeanVibeAsk`: ask what was written, or prompt for it.
---@param command vim.api.keyset.create_user_command.command_args
function M.command(command)
  local win, bufnr = vim.api.nvim_get_current_win(), vim.api.nvim_get_current_buf()
  local lines = command.range > 0 and { command.line1, command.line2 } or nil
  local function ask(question)
    local text = vim.trim(question or "")
    if text ~= "" and vim.api.nvim_win_is_valid(win) then
      M.ask({ question = text, win = win, lines = lines })
    end
  end
  if command.args ~= "" then
    ask(command.args)
  elseif continued(bufnr) or client_of(bufnr) then
    vim.ui.input({ prompt = "Ask LeanVibe: " }, ask)
  else
    warn(why_no_client(bufnr))
  end
end

--- Client side of the code action "Explain with LeanVibe": the server's own command, shown as it streams.
---@param command lsp.Command
---@param context { bufnr: integer, client_id: integer }
function M.explain(command, context)
  local client = vim.lsp.get_client_by_id(context.client_id)
  if client then
    local place = command.arguments[1]
    start({
      client = client,
      bufnr = context.bufnr,
      method = "workspace/executeCommand",
      title = command.title,
      params = { command = command.command, arguments = { vim.deepcopy(place) } },
      place = { textDocument = { uri = place.uri }, range = place.range },
      history = {},
    })
  end
end

---@param value table
---@return string
local function stage(value)
  local text = value.message or value.title or "working"
  return value.percentage and ("%s %d %%"):format(text, value.percentage) or text
end

--- Handler of `$/progress`: text and stages of our own questions; everything else goes on to Neovim's.
---@type lsp.Handler
function M.on_progress(err, params, context, config)
  local token, value = tostring(params.token), params.value
  local session = current and current.running and current.client.id == context.client_id and current
  if vim.startswith(token, TEXT_TOKEN) then
    if session and token == TEXT_TOKEN .. session.serial then
      if type(value) == "table" then -- the engine failed, and another begins anew
        session.float:replace("")
        session.float:footer({ value.restart, "q cancels" })
      else
        session.float:append(value)
      end
    end
    return -- text of a question that was cancelled is nobody's
  end
  if session and token == WORK_TOKEN .. session.serial and value.kind ~= "end" then
    session.float:footer({ stage(value), "q cancels" })
  end
  return vim.lsp.handlers["$/progress"](err, params, context, config)
end

--- LspRequest: Neovim swallows the reply to a request that the server cancelled by itself, so look whether ours
--- went without one. Scheduled after the handler of a reply that did come.
---@param event vim.api.keyset.create_autocmd.callback_args
function M.on_request(event)
  local session, data = current, event.data
  if not session or data.client_id ~= session.client.id or data.request_id ~= session.request_id then
    return
  end
  if data.request.type == "complete" then
    vim.schedule(function()
      if session.running then
        session.float:footer({ "cancelled by the server", "q closes" })
        settle(session, "cancelled")
      end
    end)
  end
end

--- The server is gone: say so where a person is waiting for it. Called outside Neovim's main loop.
---@param code integer
---@param signal integer
---@param client_id integer
function M.on_exit(code, signal, client_id)
  vim.schedule(function()
    local session = current
    if not session or not session.running or session.client.id ~= client_id then
      return
    end
    local how = signal ~= 0 and "signal " .. signal or "exit code " .. code
    session.float:note(
      ("**The LeanVibe server stopped (%s).** Start it again with `:edit`; `:checkhealth leanvibe` tells more."):format(
        how
      )
    )
    session.float:footer({ "server stopped", "q closes" })
    settle(session, "lost")
  end)
end

return M
