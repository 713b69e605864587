--- What a status line shows: model, rung and state. The server is asked how it is only once somebody shows it, and
--- again when something has ended; stages come by themselves.

local compat = require("leanvibe.compat")
local pace = require("leanvibe.pace")
local server = require("leanvibe.server")

local M = {}

local WIDTH = 40

---@class leanvibe.Status
---@field report? table the last answer to leanvibe/health
---@field asked? boolean nothing has ended since it was asked
---@field rung? string of the last answer
---@field stages table<string|integer, string> what runs, by its token

---@type table<integer, leanvibe.Status> by client
local known = {}
local is_shown = false

---@param client_id integer
---@return leanvibe.Status
local function of(client_id)
  known[client_id] = known[client_id] or { stages = {} }
  return known[client_id]
end

local function redraw()
  if is_shown then
    pace.soon("statusline", function()
      vim.cmd.redrawstatus({ bang = true })
    end)
  end
end

---@param client vim.lsp.Client
---@param status leanvibe.Status
local function ask(client, status)
  status.asked = true
  -- Nothing is sent while a line is being drawn.
  vim.schedule(function()
    compat.request(client, "leanvibe/health", vim.empty_dict(), function(_, report)
      status.report = report or { state = "no answer" }
      redraw()
    end, 0)
  end)
end

--- Progress of anything the server does: a question, a change, an action that is resolved.
---@param client_id integer
---@param token string|integer
---@param value table
function M.on_progress(client_id, token, value)
  local status = of(client_id)
  if value.kind == "end" then
    status.stages[token] = nil
    status.asked = false
  else
    status.stages[token] = value.message or value.title
  end
  redraw()
end

--- Something was answered.
---@param client_id integer
---@param answer table
function M.answered(client_id, answer)
  of(client_id).rung = answer.tier
  redraw()
end

--- The server is gone.
---@param client_id integer
function M.forget(client_id)
  known[client_id] = nil
  redraw()
end

--- Model, rung and state for a buffer; "" where no server is attached. Never waits.
---@param bufnr? integer
---@return string
function M.line(bufnr)
  is_shown = true
  local client = server.client_of(bufnr or vim.api.nvim_get_current_buf())
  if not client then
    return ""
  end
  local status = of(client.id)
  if not status.asked then
    ask(client, status)
  end
  local report = status.report or {}
  local _, stage = next(status.stages)
  local parts = { report.model or "LeanVibe", status.rung or "", stage or report.state or "starting" }
  local text = vim.iter(parts):filter(function(part)
    return part ~= ""
  end):join(" · ")
  -- A status line reads "%" as the start of an item.
  return (vim.fn.strcharpart(text, 0, WIDTH):gsub("%%", ""))
end

return M
