--- What differs between Neovim 0.10, 0.11 and 0.12. Nothing else belongs here.

local M = {}

local has_0_11 = vim.fn.has("nvim-0.11") == 1

--- Whether Neovim keeps server configurations itself (`vim.lsp.config`, `vim.lsp.enable`).
---@return boolean
function M.has_lsp_config()
  return vim.lsp.config ~= nil and vim.lsp.enable ~= nil
end

--- Check one option; raises an error that names it.
---@param name string
---@param value any
---@param kind string|string[]|fun(value: any): boolean, string?
---@param optional? boolean whether nil is accepted
---@param message? string what is wanted, when `kind` is a function
function M.validate(name, value, kind, optional, message)
  if value == nil and optional then
    return
  end
  local ok, err
  if has_0_11 then
    ok, err = pcall(vim.validate, name, value, kind, message)
  else
    ok, err = pcall(vim.validate, { [name] = { value, kind, message } })
  end
  if not ok then
    error("leanvibe: " .. tostring(err):gsub("^.-:%d+: ", ""), 0)
  end
end

--- Send a request. The handler is not called when the request is cancelled.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param handler lsp.Handler
---@param bufnr integer
---@return boolean sent false when the server is gone
---@return integer? request_id
function M.request(client, method, params, handler, bufnr)
  if has_0_11 then
    return client:request(method, params, handler, bufnr)
  end
  return client.request(method, params, handler, bufnr)
end

--- Send a request and wait for its answer.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param timeout_ms integer
---@return { err: lsp.ResponseError?, result: any }? reply nil when none came
---@return string? reason why none came
function M.request_sync(client, method, params, timeout_ms)
  if has_0_11 then
    return client:request_sync(method, params, timeout_ms, 0)
  end
  return client.request_sync(method, params, timeout_ms, 0)
end

--- Tell the server that nobody waits for this request any more.
---@param client vim.lsp.Client
---@param request_id integer
function M.cancel_request(client, request_id)
  if has_0_11 then
    client:cancel_request(request_id)
  else
    client.cancel_request(request_id)
  end
end

--- How many code units of `encoding` a line has.
---@param line string
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@return integer
function M.code_units(line, encoding)
  if encoding == "utf-8" then
    return #line
  end
  if has_0_11 then
    return vim.str_utfindex(line, encoding)
  end
  local utf32, utf16 = vim.str_utfindex(line)
  return encoding == "utf-32" and utf32 or utf16
end

--- Whether Neovim shows suggestions while one types.
---@return boolean
function M.has_inline_completion()
  return vim.lsp.inline_completion ~= nil
end

--- Have Neovim ask a server for suggestions, where it can. Which server has any is the server's word.
---@param client_id integer
function M.enable_inline_completion(client_id)
  if M.has_inline_completion() then
    vim.lsp.inline_completion.enable(true, { client_id = client_id })
  end
end

return M
