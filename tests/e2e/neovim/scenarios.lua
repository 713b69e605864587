--- What a person does in Neovim. Each scenario gets the driver and returns the facts it saw.

local M = {}

local uv = vim.uv

--- Count how often a timer gets through to Neovim's main loop, and the longest silence.
local function heartbeat()
  local timer, last = assert(uv.new_timer()), uv.hrtime()
  local beats = { count = 0, longest_ms = 0 }
  timer:start(
    20,
    20,
    vim.schedule_wrap(function()
      local now = uv.hrtime()
      beats.count = beats.count + 1
      beats.longest_ms = math.max(beats.longest_ms, (now - last) / 1e6)
      last = now
    end)
  )
  function beats.stop()
    timer:close()
    return { count = beats.count, longest_ms = beats.longest_ms }
  end
  return beats
end

--- Note each state of the float until the question has an outcome.
local function watch(driver, outcomes)
  local states = {}
  driver.wait("an outcome", function()
    local seen = driver.seen()
    local before = states[#states]
    if seen and not (before and before.text == seen.text and before.footer == seen.footer) then
      table.insert(states, seen)
    end
    return outcomes[1]
  end)
  return states
end

local function wait_for_text(driver)
  return driver.wait("the first text", function()
    local seen = driver.seen()
    return seen and seen.text ~= "" and seen
  end)
end

--- The float when it shows all that it was given.
local function settled(driver, running)
  return driver.wait("the last footer", function()
    local seen = driver.seen()
    return seen and not seen.footer:find(running or "q cancels", 1, true) and seen
  end)
end

function M.hover(driver)
  driver.attach()
  vim.fn.cursor(driver.input.line, driver.input.column)
  local before = #vim.api.nvim_list_wins()
  vim.lsp.buf.hover()
  local win = driver.wait("the hover window", function()
    return #vim.api.nvim_list_wins() > before and vim.api.nvim_list_wins()[before + 1]
  end)
  local lines = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(win), 0, -1, false)
  return { text = table.concat(lines, "\n"), encoding = driver.client().offset_encoding }
end

function M.ask(driver)
  driver.attach()
  local outcomes = driver.outcomes()
  local beats = heartbeat()
  vim.cmd(driver.input.command)
  local states = watch(driver, outcomes)
  local beaten = beats.stop()
  local final = settled(driver)
  local win = driver.float()
  local options = { wrap = vim.wo[win].wrap, filetype = vim.bo[vim.api.nvim_win_get_buf(win)].filetype }
  local focused = vim.api.nvim_get_current_win() == win
  driver.press("q")
  return {
    states = states,
    final = final,
    outcome = outcomes[1],
    beats = beaten,
    options = options,
    focused = focused,
    closed = driver.float() == nil,
  }
end

--- Ask for one word; the seconds until it is there, and the reply.
local function brief_question(driver, client)
  local begin, reply = uv.hrtime(), nil
  client:request("leanvibe/ask", { question = "Say yes.", maxTokens = 1 }, function(err, result)
    reply = { err = err, result = result }
  end, 0)
  driver.wait("a brief answer", function()
    return reply
  end)
  return (uv.hrtime() - begin) / 1e9, reply
end

--- Begin a question, end it by `input.how`, then ask something brief.
function M.cancel(driver)
  local client = driver.attach()
  brief_question(driver, client) -- the model is loaded
  local outcomes, begin = driver.outcomes(), uv.hrtime()
  vim.cmd(driver.input.command)
  wait_for_text(driver)
  local facts = { first_seconds = (uv.hrtime() - begin) / 1e9 }
  local how = driver.input.how
  if how == ":quit" then
    vim.cmd.quit()
  else
    driver.press(how)
  end
  facts.closed, facts.outcomes = driver.float() == nil, vim.deepcopy(outcomes)
  local seconds, reply = brief_question(driver, client)
  facts.next_seconds, facts.next_result, facts.next_error = seconds, reply.result, reply.err
  facts.pending = vim.tbl_count(client.requests)
  return facts
end

--- Cancel as a progress bar does: the server ends the request by itself.
function M.cancelled_by_progress(driver)
  local client = driver.attach()
  local outcomes, sent = driver.outcomes(), driver.record(client)
  vim.cmd(driver.input.command)
  wait_for_text(driver)
  client:notify("window/workDoneProgress/cancel", { token = sent[1].params.workDoneToken })
  driver.wait("an outcome", function()
    return outcomes[1]
  end)
  return { outcomes = outcomes, final = settled(driver) }
end

--- Ask again while the first answer is being written; a late piece of the first arrives after that.
function M.asked_twice(driver)
  local client = driver.attach()
  local outcomes, sent = driver.outcomes(), driver.record(client)
  vim.cmd(driver.input.command)
  wait_for_text(driver)
  vim.cmd.wincmd("p")
  vim.cmd(driver.input.second)
  local late = { token = sent[1].params.partialResultToken, value = "LATE" }
  client.handlers["$/progress"](nil, late, { method = "$/progress", client_id = client.id })
  local states = {}
  driver.wait("the second answer", function()
    table.insert(states, (driver.seen() or {}).text)
    return outcomes[2]
  end)
  local floats = vim.tbl_filter(function(win)
    return vim.api.nvim_win_get_config(win).relative ~= ""
  end, vim.api.nvim_list_wins())
  local mixed = vim.iter(states):any(function(text)
    return text:find("LATE", 1, true) ~= nil
  end)
  return { outcomes = outcomes, final = settled(driver), floats = #floats, mixed = mixed }
end

function M.follow_up(driver)
  local client = driver.attach()
  local outcomes, sent = driver.outcomes(), driver.record(client)
  vim.cmd(driver.input.command)
  driver.wait("the answer", function()
    return outcomes[1]
  end)
  vim.cmd("LeanVibeAsk And why?")
  driver.wait("the second answer", function()
    return outcomes[2]
  end)
  return { outcomes = outcomes, sent = sent, final = settled(driver) }
end

function M.explain(driver)
  local client = driver.attach()
  local outcomes = driver.outcomes()
  vim.fn.cursor(driver.input.line, 1)
  local params = vim.lsp.util.make_range_params(0, client.offset_encoding)
  params.context = { diagnostics = {}, triggerKind = 1 }
  local listed = assert(client:request_sync("textDocument/codeAction", params, 30000, 0)).result
  vim.lsp.buf.code_action({
    apply = true,
    filter = function(action)
      return action.title == "Explain with LeanVibe"
    end,
  })
  local states = watch(driver, outcomes)
  return { listed = listed, states = states, outcome = outcomes[1], final = settled(driver) }
end

function M.health(driver)
  driver.attach()
  local outcomes = driver.outcomes()
  vim.cmd(driver.input.command)
  driver.wait("the answer", function()
    return outcomes[1]
  end)
  driver.press("q")
  vim.cmd("checkhealth leanvibe")
  return { report = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n") }
end

--- What is sent for the cursor and for lines.
function M.positions(driver)
  local client = driver.attach()
  local sent = driver.record(client)
  vim.fn.cursor(driver.input.line, driver.input.column)
  vim.cmd("LeanVibeAsk here")
  driver.press("q")
  vim.cmd(driver.input.line .. "LeanVibeAsk line")
  driver.press("q")
  return { sent = sent, encoding = client.offset_encoding }
end

function M.server_dies(driver)
  local client = driver.attach()
  local outcomes = driver.outcomes()
  local pid = driver.server_pid()
  vim.cmd(driver.input.command)
  wait_for_text(driver)
  uv.kill(pid, "sigkill")
  driver.wait("an outcome", function()
    return outcomes[1]
  end)
  local final = settled(driver)
  driver.wait("the client to go", function()
    return vim.lsp.get_client_by_id(client.id) == nil
  end)
  driver.press("q")
  vim.cmd.edit()
  local again = driver.client()
  return { final = final, outcome = outcomes[1], restarted = again.id ~= client.id }
end

--- Ask where no server is, for each reason.
function M.no_client(driver)
  local told = {}
  vim.notify = function(message)
    table.insert(told, message)
  end
  vim.cmd("LeanVibeAsk why")
  require("leanvibe").setup({ cmd = { "no-such-leanvibe-lsp" } })
  vim.cmd("LeanVibeAsk why")
  require("leanvibe").setup(driver.input.setup)
  vim.bo.filetype = "text"
  vim.cmd("LeanVibeAsk why")
  vim.cmd("LeanVibeAsk")
  return { told = told, floats = driver.float() ~= nil }
end

function M.prompt(driver)
  driver.attach()
  local outcomes, prompts = driver.outcomes(), {}
  vim.ui.input = function(options, on_confirm)
    table.insert(prompts, options.prompt)
    on_confirm(({ nil, "  ", driver.input.question })[#prompts])
  end
  vim.cmd("LeanVibeAsk")
  local nothing = driver.float() == nil
  vim.cmd("LeanVibeAsk")
  nothing = nothing and driver.float() == nil
  vim.cmd("LeanVibeAsk")
  driver.wait("the answer", function()
    return outcomes[1]
  end)
  return { prompts = prompts, nothing = nothing, outcome = outcomes[1] }
end

--- What setup says to each wrong set of options.
function M.wrong_options(driver)
  local said = {}
  for index, options in ipairs(driver.input.wrong) do
    local ok, message = pcall(require("leanvibe").setup, options)
    said[index] = ok and "accepted" or message
  end
  return { said = said }
end

--- The float on a very small screen, and when the screen changes.
function M.small_screen(driver)
  driver.attach()
  vim.o.columns, vim.o.lines = 20, 6
  local outcomes = driver.outcomes()
  vim.cmd(driver.input.command)
  driver.wait("the answer", function()
    return outcomes[1]
  end)
  settled(driver)
  local function size()
    local win = driver.float()
    local config = vim.api.nvim_win_get_config(win)
    return { width = config.width, height = config.height, row = config.row, col = config.col }
  end
  local small = size()
  vim.o.columns, vim.o.lines = 120, 40
  vim.api.nvim_exec_autocmds("VimResized", {})
  return { small = small, large = size() }
end

--- What is there before the plugin is used, and whether its files and its help are sound.
function M.start_up(driver)
  local facts = { command = vim.fn.exists(":LeanVibeAsk") == 2, loaded = {}, broken = {}, compiled = 0 }
  for name in pairs(package.loaded) do
    if vim.startswith(name, "leanvibe") then
      table.insert(facts.loaded, name)
    end
  end
  for _, file in ipairs(vim.fn.globpath(driver.input.plugin, "**/*.lua", false, true)) do
    local chunk, message = loadfile(file)
    facts.compiled = facts.compiled + 1
    if not chunk then
      table.insert(facts.broken, message)
    end
  end
  -- Tags are written beside the text, so into a copy.
  local copy = vim.fs.joinpath(vim.fn.getcwd(), "help")
  vim.fn.mkdir(vim.fs.joinpath(copy, "doc"), "p")
  local text = vim.fn.readfile(vim.fs.joinpath(driver.input.plugin, "doc", "leanvibe.txt"))
  vim.fn.writefile(text, vim.fs.joinpath(copy, "doc", "leanvibe.txt"))
  vim.opt.rtp:append(copy)
  vim.cmd.helptags(vim.fs.joinpath(copy, "doc"))
  facts.tags = #vim.fn.readfile(vim.fs.joinpath(copy, "doc", "tags"))
  vim.cmd.help(":LeanVibeAsk")
  facts.help = vim.api.nvim_get_current_line()
  return facts
end

return M
