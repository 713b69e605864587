--- Requests a model works on: their tokens, what comes before their replies, and their end. Each ends exactly once.

local compat = require("leanvibe.compat")

local M = {}

local TEXT_TOKEN = "leanvibe/text/"
local WORK_TOKEN = "leanvibe/work/"

---@alias leanvibe.Outcome "answered"|"cancelled"|"failed"|"lost"

---@class leanvibe.End
---@field result? table what was answered
---@field err? lsp.ResponseError why it failed
---@field how? string how the server ended, when it is lost
---@field by_server? boolean the server cancelled it
---@field buffer_gone? boolean it was cancelled because the buffer that it is about was deleted

---@class leanvibe.Hooks
---@field on_text? fun(text: string) a piece of the answer
---@field on_restart? fun(reason: string) the pieces so far are void
---@field on_stage? fun(stage: string)
---@field on_end fun(outcome: leanvibe.Outcome, ending: leanvibe.End)

---@class leanvibe.Request
---@field client vim.lsp.Client
---@field serial integer
---@field id integer?
---@field hooks leanvibe.Hooks
---@field watch integer? the autocommand that notices when the buffer is deleted

---@type table<integer, leanvibe.Request>
local running = {}
local serial = 0

---@param one leanvibe.Request
---@param outcome leanvibe.Outcome
---@param ending? leanvibe.End
local function settle(one, outcome, ending)
  if running[one.serial] then -- else the reply crossed our cancel
    running[one.serial] = nil
    if one.watch then
      pcall(vim.api.nvim_del_autocmd, one.watch) -- it went with its buffer
    end
    one.hooks.on_end(outcome, ending or {})
  end
end

--- Stop a request, if it still runs. Neovim never calls the handler of a cancelled one.
---@param one leanvibe.Request
---@param ending? leanvibe.End
function M.cancel(one, ending)
  if M.is_running(one) then
    compat.cancel_request(one.client, one.id)
    settle(one, "cancelled", ending)
  end
end

--- Neovim closes a document with its buffer: nobody can look at what an answer about it is about.
---@param one leanvibe.Request
---@param bufnr integer
local function stop_with_buffer(one, bufnr)
  one.watch = vim.api.nvim_create_autocmd("BufUnload", {
    buffer = bufnr,
    desc = "Cancel what LeanVibe works on for a buffer that is deleted",
    callback = vim.schedule_wrap(function() -- :edit unloads it too, but is attached again by then
      if not vim.lsp.buf_is_attached(bufnr, one.client.id) then
        M.cancel(one, { buffer_gone = true })
      end
    end),
  })
end

--- Send a request with tokens of its own.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param bufnr integer
---@param hooks leanvibe.Hooks
---@return leanvibe.Request? request nil when the server is gone
function M.send(client, method, params, bufnr, hooks)
  serial = serial + 1
  local one = { client = client, serial = serial, hooks = hooks }
  params = vim.tbl_extend("force", params, { workDoneToken = WORK_TOKEN .. serial })
  if params.arguments then
    -- LSP knows no partial results of a command; ours take the token with their argument.
    local argument = vim.tbl_extend("force", params.arguments[1], { partialResultToken = TEXT_TOKEN .. serial })
    params.arguments = { argument }
  else
    params.partialResultToken = TEXT_TOKEN .. serial
  end
  running[serial] = one
  local sent, id = compat.request(client, method, params, function(err, result)
    if err or type(result) ~= "table" then
      settle(one, "failed", { err = err or { code = 0, message = "The server sent no answer." } })
    else
      settle(one, "answered", { result = result })
    end
  end, bufnr)
  if not sent then
    running[one.serial] = nil
    return nil
  end
  one.id = id
  stop_with_buffer(one, bufnr)
  return one
end

---@param one leanvibe.Request
---@return boolean
function M.is_running(one)
  return running[one.serial] ~= nil
end

--- Stop all of them.
function M.cancel_all()
  for _, one in pairs(vim.tbl_extend("error", {}, running)) do
    M.cancel(one)
  end
end

---@param token string|integer
---@param prefix string
---@param client_id integer
---@return leanvibe.Request?
local function named(token, prefix, client_id)
  local number = type(token) == "string" and vim.startswith(token, prefix) and tonumber(token:sub(#prefix + 1))
  local one = number and running[number]
  return one and one.client.id == client_id and one or nil
end

---@param value table
---@return string
local function stage(value)
  local text = value.message or value.title or "working"
  return value.percentage and ("%s %d %%"):format(text, value.percentage) or text
end

--- Handler of `$/progress`: text and stages of our own requests; everything that is no text goes on to Neovim's.
---@type lsp.Handler
function M.on_progress(err, params, context, config)
  local token, value = params.token, params.value
  if type(token) == "string" and vim.startswith(token, TEXT_TOKEN) then
    local one = named(token, TEXT_TOKEN, context.client_id)
    local hook = one and one.hooks[type(value) == "table" and "on_restart" or "on_text"]
    if hook then
      hook(type(value) == "table" and value.restart or value)
    end
    return -- text of a request that has ended is nobody's
  end
  require("leanvibe.status").on_progress(context.client_id, token, value)
  local one = named(token, WORK_TOKEN, context.client_id)
  if one and one.hooks.on_stage and value.kind ~= "end" then
    one.hooks.on_stage(stage(value))
  end
  return vim.lsp.handlers["$/progress"](err, params, context, config)
end

--- LspRequest: Neovim swallows the reply to a request that the server cancelled by itself, so look whether one of ours
--- went without one. Scheduled after the handler of a reply that did come.
---@param event vim.api.keyset.create_autocmd.callback_args
function M.on_request(event)
  if event.data.request.type ~= "complete" then
    return
  end
  for _, one in pairs(running) do
    if one.client.id == event.data.client_id and one.id == event.data.request_id then
      vim.schedule(function()
        settle(one, "cancelled", { by_server = true })
      end)
    end
  end
end

--- The server is gone: say so where a person is waiting for it. Called outside Neovim's main loop.
---@param code integer
---@param signal integer
---@param client_id integer
function M.on_exit(code, signal, client_id)
  vim.schedule(function()
    require("leanvibe.status").forget(client_id)
    local how = signal ~= 0 and "signal " .. signal or "exit code " .. code
    for _, one in pairs(vim.tbl_extend("error", {}, running)) do
      if one.client.id == client_id then
        settle(one, "lost", { how = how })
      end
    end
  end)
end

return M
