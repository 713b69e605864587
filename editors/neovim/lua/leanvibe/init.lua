--- LeanVibe for Neovim: set-up. Starts the server for the chosen filetypes; everything that knows about code or
--- models is in the server.

local compat = require("leanvibe.compat")

local M = {}

---@class leanvibe.FloatOptions
---@field border? string|string[] as in |nvim_open_win()|, but not "none": question and footer are written on it
---@field width? number columns, or a share of the editor when it is 1 or less
---@field height? number lines at most, or a share of the editor when it is 1 or less

---@class leanvibe.Options
---@field cmd? string[]|fun(dispatchers: table, config: table): table how to start or reach the server
---@field filetypes? string[] filetypes the server is started for
---@field root_markers? string[] file names that mark the root of a project
---@field init_options? table the server's settings when it starts
---@field settings? table the same, and again whenever it asks; they count before `init_options`
---@field float? leanvibe.FloatOptions the window of an answer

---@type leanvibe.Options
local defaults = {
  cmd = { "leanvibe-lsp" },
  filetypes = {
    "bash",
    "c",
    "cpp",
    "cs",
    "css",
    "go",
    "html",
    "java",
    "javascript",
    "javascriptreact",
    "json",
    "php",
    "python",
    "ruby",
    "rust",
    "sh",
    "typescript",
    "typescriptreact",
  },
  root_markers = { ".git", "pyproject.toml", "package.json", "go.mod", "Cargo.toml" },
  init_options = {},
  settings = {},
  float = { width = 100, height = 0.6 },
}

--- Name of the client, as in `vim.lsp.get_clients({ name = "leanvibe" })`.
M.client_name = "leanvibe"

---@type leanvibe.Options? nil until setup() was called
M.options = nil

---@param name string
---@param given table?
---@param known string[]
local function reject_unknown(name, given, known)
  for key in pairs(given or {}) do
    if not vim.list_contains(known, key) then
      local list = table.concat(known, ", ")
      error(("leanvibe: unknown option %s%s; the options are: %s"):format(name, tostring(key), list), 0)
    end
  end
end

---@param value any
---@return boolean
local function is_positive(value)
  return type(value) == "number" and value > 0
end

---@param value any
---@return boolean
local function is_border(value)
  return (type(value) == "string" and value ~= "none" and value ~= "") or type(value) == "table"
end

---@param value any
---@return boolean
local function is_command(value)
  return type(value) == "function" or (type(value) == "table" and type(value[1]) == "string")
end

---@param given leanvibe.Options
local function validate(given)
  compat.validate("options", given, "table")
  reject_unknown("", given, { "cmd", "filetypes", "root_markers", "init_options", "settings", "float" })
  compat.validate("cmd", given.cmd, is_command, true, "list of strings, or function")
  compat.validate("filetypes", given.filetypes, vim.islist, true, "list of filetypes")
  compat.validate("root_markers", given.root_markers, vim.islist, true, "list of file names")
  compat.validate("init_options", given.init_options, "table", true)
  compat.validate("settings", given.settings, "table", true)
  compat.validate("float", given.float, "table", true)
  local float = given.float or {}
  reject_unknown("float.", float, { "border", "width", "height" })
  compat.validate("float.border", float.border, is_border, true, 'border style other than "none"')
  compat.validate("float.width", float.width, is_positive, true, "number above 0")
  compat.validate("float.height", float.height, is_positive, true, "number above 0")
end

---@param options leanvibe.Options
---@return table config as for |vim.lsp.start()|, without the root
local function client_config(options)
  local first = vim.tbl_deep_extend("force", options.init_options, options.settings)
  return {
    name = M.client_name,
    cmd = options.cmd,
    -- An empty Lua table would be sent as a list.
    init_options = next(first) and first or nil,
    settings = next(options.settings) and { leanvibe = options.settings } or nil,
    -- Neovim looks at the version of an edit, but does not say so.
    capabilities = { workspace = { workspaceEdit = { documentChanges = true } } },
    handlers = {
      ["$/progress"] = function(...)
        return require("leanvibe.requests").on_progress(...)
      end,
      ["workspace/applyEdit"] = function(...)
        return require("leanvibe.change").on_apply_edit(...)
      end,
    },
    commands = {
      ["leanvibe.explain"] = function(...)
        require("leanvibe.ask").explain(...)
      end,
      ["leanvibe.change"] = function(...)
        require("leanvibe.change").change(...)
      end,
    },
    on_exit = function(...)
      require("leanvibe.requests").on_exit(...)
    end,
  }
end

---@param config table
---@param options leanvibe.Options
---@param group integer
local function start_by_filetype(config, options, group)
  local function start(bufnr)
    if vim.bo[bufnr].buftype == "" then
      local root = vim.fs.root(bufnr, options.root_markers)
      vim.lsp.start(vim.tbl_extend("force", config, { root_dir = root }), { bufnr = bufnr })
    end
  end
  vim.api.nvim_create_autocmd("FileType", {
    group = group,
    pattern = options.filetypes,
    desc = "Start LeanVibe",
    callback = function(event)
      start(event.buf)
    end,
  })
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(bufnr) and vim.list_contains(options.filetypes, vim.bo[bufnr].filetype) then
      start(bufnr)
    end
  end
end

--- Set LeanVibe up: the server starts with the next file of one of the filetypes, and for those already open.
--- Raises an error that names the option when one is wrong or unknown.
---@param given? leanvibe.Options what differs from the defaults
function M.setup(given)
  if vim.fn.has("nvim-0.10") == 0 then
    error("leanvibe: Neovim 0.10 or newer is needed", 0)
  end
  given = given == nil and {} or given
  validate(given)
  local options = vim.tbl_deep_extend("force", defaults, given) ---@type leanvibe.Options
  M.options = options

  local group = vim.api.nvim_create_augroup("leanvibe", { clear = true })
  vim.api.nvim_create_autocmd("LspRequest", {
    group = group,
    desc = "Notice a question that the server itself cancelled",
    callback = function(event)
      require("leanvibe.requests").on_request(event)
    end,
  })
  vim.api.nvim_create_autocmd("LspAttach", {
    group = group,
    desc = "Show what LeanVibe suggests, where its settings and Neovim can",
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == M.client_name then
        compat.enable_inline_completion(client.id)
      end
    end,
  })

  local config = client_config(options)
  if compat.has_lsp_config() then
    config.filetypes = options.filetypes
    config.root_markers = options.root_markers
    vim.lsp.config(M.client_name, config)
    vim.lsp.enable(M.client_name)
  else
    start_by_filetype(config, options, group)
  end
end

--- Model, rung and state for a status line, as "smollm2 · model · ready"; "" where no server is attached. Never waits.
---@param bufnr? integer the current buffer when absent
---@return string
function M.statusline(bufnr)
  return require("leanvibe.status").line(bufnr)
end

return M
