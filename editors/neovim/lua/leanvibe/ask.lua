--- A question from the first key to the last word: send it, show what comes, stop it. One question at a time.

local requests = require("leanvibe.requests")
local server = require("leanvibe.server")

local M = {}

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
---@field request leanvibe.Request?

---@type leanvibe.Session? the question whose window is open
local current

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

---@param session leanvibe.Session
---@param result table
local function show_answer(session, result)
  vim.list_extend(session.history, {
    { role = "user", content = session.title, citations = result.citations },
    { role = "assistant", content = result.answer, citations = result.citations },
  })
  require("leanvibe.status").answered(session.client.id, result)
  session.float:replace(result.answer)
  session.float:footer(summary(result))
end

---@param session leanvibe.Session
---@param outcome leanvibe.Outcome
---@param ending leanvibe.End
local function on_end(session, outcome, ending)
  local float = session.float
  if outcome == "answered" then
    show_answer(session, ending.result)
  elseif ending.buffer_gone then
    float:note("**Stopped: the buffer of this question was deleted.** Open the file again to ask about it.")
    float:footer({ "stopped", "q closes" })
  elseif outcome == "cancelled" then
    float:footer({ ending.by_server and "cancelled by the server" or "stopped", "q closes" })
  elseif outcome == "lost" then
    float:note(
      ("**The LeanVibe server stopped (%s).** Start it again with `:edit`; `:checkhealth leanvibe` tells more."):format(
        ending.how
      )
    )
    float:footer({ "server stopped", "q closes" })
  else
    float:note("**" .. ending.err.message .. "**")
    float:footer({ "failed", "q closes" })
  end
  float:flush()
  local data = { outcome = outcome, result = ending.result, err = ending.err }
  vim.api.nvim_exec_autocmds("User", { pattern = "LeanVibeAnswer", modeline = false, data = data })
end

---@param session leanvibe.Session
local function open_float(session)
  local function cancel()
    if session.request then
      requests.cancel(session.request)
    end
  end
  session.float = require("leanvibe.float").open(session.title, { "asking", "q cancels" }, {
    on_close = function()
      cancel()
      if current == session then
        current = nil
      end
    end,
    on_stop = cancel,
  })
end

--- Show a window and send the request of a session that was filled in.
---@param session leanvibe.Session
local function start(session)
  if current then
    current.float:close()
  end
  open_float(session)
  current = session
  local float = session.float
  session.request = requests.send(session.client, session.method, session.params, session.bufnr, {
    on_text = function(text)
      float:append(text)
    end,
    on_restart = function(reason)
      float:replace("")
      float:footer({ reason, "q cancels" })
    end,
    on_stage = function(stage)
      float:footer({ stage, "q cancels" })
    end,
    on_end = function(outcome, ending)
      on_end(session, outcome, ending)
    end,
  })
  if not session.request then
    float:note("**The server is not running.** Start it again with `:edit`.")
    float:footer({ "failed", "q closes" })
  end
end

--- The session a question continues, when it is asked from the window of an answer.
---@param bufnr integer
---@return leanvibe.Session?
local function continued(bufnr)
  return current and current.float.buf == bufnr and current or nil
end

---@param client vim.lsp.Client
---@param win integer
---@param lines? [integer, integer]
---@return table params textDocument with range or position
local function target(client, win, lines)
  local bufnr = vim.api.nvim_win_get_buf(win)
  return {
    textDocument = vim.lsp.util.make_text_document_params(bufnr),
    range = lines and server.range_of_lines(client, bufnr, lines) or nil,
    position = not lines and server.cursor(client, win) or nil,
  }
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
  local client = server.needed(bufnr)
  if not client then
    return
  end
  local history = before and before.history or {}
  local place = before and before.place or target(client, win, options.lines)
  start({
    client = client,
    bufnr = bufnr,
    method = "leanvibe/ask",
    title = options.question,
    place = place,
    params = vim.tbl_extend("force", place, {
      question = options.question,
      history = #history > 0 and history or nil,
    }),
    history = vim.list_slice(history),
  })
end

--- `:LeanVibe ask`: ask what was written, or prompt for it.
---@param question string "" when nothing was written
---@param lines? [integer, integer]
function M.command(question, lines)
  local win, bufnr = vim.api.nvim_get_current_win(), vim.api.nvim_get_current_buf()
  local function ask(words)
    local text = vim.trim(words or "")
    if text ~= "" and vim.api.nvim_win_is_valid(win) then
      M.ask({ question = text, win = win, lines = lines })
    end
  end
  if question ~= "" then
    ask(question)
  elseif continued(bufnr) or server.needed(bufnr) then
    vim.ui.input({ prompt = "Ask LeanVibe: " }, ask)
  end
end

--- Client side of the server's command `leanvibe.explain`, shown as it streams.
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
      params = { command = command.command, arguments = { place } },
      place = { textDocument = { uri = place.uri }, range = place.range },
      history = {},
    })
  end
end

return M
