--- The server of a buffer, and places in a buffer as it counts them.

local compat = require("leanvibe.compat")

local M = {}

---@param message string
---@param level? integer
function M.tell(message, level)
  vim.notify("LeanVibe: " .. message, level or vim.log.levels.INFO)
end

---@param message string
function M.warn(message)
  M.tell(message, vim.log.levels.WARN)
end

--- Say why there is no server for a buffer, and what to do about it.
---@param bufnr integer
---@return string
local function why_none(bufnr)
  local options = require("leanvibe").options
  if not options then
    return 'not set up yet. Put require("leanvibe").setup{} into your init.lua.'
  end
  local program = type(options.cmd) == "table" and options.cmd[1]
  if program and vim.fn.executable(program) == 0 then
    return ("%s was not found. Install it (uv tool install leanvibe-lsp), or give its path to setup as cmd."):format(
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
function M.client_of(bufnr)
  return vim.lsp.get_clients({ bufnr = bufnr, name = require("leanvibe").client_name })[1]
end

--- The same for somebody who waits for it: when there is none they are told why.
---@param bufnr integer
---@return vim.lsp.Client?
function M.needed(bufnr)
  local client = vim.api.nvim_buf_is_valid(bufnr) and M.client_of(bufnr)
  if client then
    return client
  end
  M.warn(why_none(bufnr))
end

---@param client vim.lsp.Client
---@param bufnr integer
---@param row integer from 0
---@param column integer in bytes
---@return lsp.Position
local function position(client, bufnr, row, column)
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ""
  return { line = row, character = compat.code_units(line:sub(1, column), client.offset_encoding) }
end

--- The range of whole lines, without the end of the last one.
---@param client vim.lsp.Client
---@param bufnr integer
---@param lines [integer, integer] first and last, from 1
---@return lsp.Range
function M.range_of_lines(client, bufnr, lines)
  return {
    start = { line = lines[1] - 1, character = 0 },
    ["end"] = position(client, bufnr, lines[2] - 1, vim.v.maxcol),
  }
end

--- The place of the cursor.
---@param client vim.lsp.Client
---@param win integer
---@return lsp.Position
function M.cursor(client, win)
  return vim.lsp.util.make_position_params(win, client.offset_encoding).position
end

--- A diagnostic, of whichever server, as ours is told of it.
---@param client vim.lsp.Client
---@param found vim.Diagnostic
---@return table
function M.diagnostic(client, found)
  local bufnr = found.bufnr
  return {
    range = {
      start = position(client, bufnr, found.lnum, found.col),
      ["end"] = position(client, bufnr, found.end_lnum, found.end_col),
    },
    message = found.message,
    code = found.code,
    source = found.source,
  }
end

return M
