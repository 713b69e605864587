--- `:LeanVibe doctor`: the server's report on itself, in a window.

local compat = require("leanvibe.compat")
local server = require("leanvibe.server")

local M = {}

---@param value number?
---@param unit string
---@return string
local function figure(value, unit)
  return value and ("%.0f %s"):format(value, unit) or "-"
end

---@param problem table
---@return string
local function problem_line(problem)
  return ("- **%s**: %s %s"):format(problem.severity, problem.what, problem.next_step)
end

---@param step table
---@return string
local function step_line(step)
  return ("- %s %s: %s"):format(step.chosen and "**chosen**" or "not", step.candidate, step.reason)
end

--- The report as Markdown.
---@param report table result of leanvibe/health
---@return string
function M.markdown(report)
  local lines = {
    ("**%s** · leanvibe-lsp %s"):format(report.status, report.version),
    "",
    ("- model: %s (%s)"):format(report.model or "none", report.state),
    ("- path: %s"):format(report.model_path or "-"),
    ("- backend: %s on %s"):format(report.backend or "none", report.device or "-"),
    ("- speed: %s"):format(figure(report.tokens_per_second, "tokens/s")),
    ("- memory: %s, window: %s"):format(figure(report.memory_mb, "MB"), figure(report.window, "tokens")),
    ("- Python %s, %s"):format(report.python, report.platform),
    "",
    "## Why this backend and model",
    "",
  }
  vim.list_extend(lines, vim.tbl_map(step_line, report.chain))
  vim.list_extend(lines, { "", "## What is not right", "" })
  vim.list_extend(lines, #report.problems > 0 and vim.tbl_map(problem_line, report.problems) or { "Nothing." })
  return table.concat(lines, "\n")
end

--- Ask the server of a buffer, and show what it says.
---@param bufnr integer
function M.show(bufnr)
  local client = server.needed(bufnr)
  if not client then
    return
  end
  compat.request(client, "leanvibe/health", vim.empty_dict(), function(err, report)
    if err then
      server.warn(err.message)
    else
      require("leanvibe.float").show("LeanVibe doctor", M.markdown(report))
    end
  end, bufnr)
end

return M
