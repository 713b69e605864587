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

--- Reload the buffer of the code while its answer streams, then delete it.
function M.buffer_deleted(driver)
  local client = driver.attach()
  local outcomes = driver.outcomes()
  vim.cmd(driver.input.command)
  wait_for_text(driver)
  vim.cmd.wincmd("p")
  vim.cmd("edit!")
  vim.wait(50) -- what was scheduled has run
  local reloaded = vim.deepcopy(outcomes)
  vim.cmd(driver.input.how)
  driver.wait("an outcome", function()
    return outcomes[1]
  end)
  local final = settled(driver)
  driver.wait("every reply", function()
    return vim.tbl_isempty(client.requests)
  end)
  return { outcomes = outcomes, final = final, reloaded = reloaded }
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
  local commands = vim.fn.exists(":LeanVibe") == 2 and vim.fn.exists(":LeanVibeAsk") == 2
  local facts = { command = commands, loaded = {}, broken = {}, compiled = 0 }
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
  vim.cmd.help(":LeanVibe")
  facts.help = vim.api.nvim_get_current_line()
  return facts
end

--- Wait for an event of ours and return its data.
local function on_event(driver, pattern)
  local seen = {}
  vim.api.nvim_create_autocmd("User", {
    pattern = pattern,
    callback = function(event)
      table.insert(seen, event.data)
    end,
  })
  return function()
    return driver.wait(pattern, function()
      return seen[1]
    end)
  end
end

local function lines()
  return vim.api.nvim_buf_get_lines(0, 0, -1, false)
end

--- Everything that is told from now on.
local function told()
  local messages = {}
  vim.notify = function(message)
    table.insert(messages, message)
  end
  return messages
end

local function wait_for_diagnostics(driver, count)
  return driver.wait(count .. " diagnostics", function()
    local found = vim.diagnostic.get(0)
    return #found >= count and found
  end)
end

function M.diagnostics(driver)
  driver.attach()
  local found = driver.wait("the diagnostics", function()
    local all = vim.diagnostic.get(0, { severity = driver.input.severity })
    return #all > 0 and all
  end)
  return {
    found = vim.tbl_map(function(one)
      return { code = one.code, source = one.source, lnum = one.lnum, severity = one.severity }
    end, found),
  }
end

--- Take each action of `input.titles` on its line as `gra` does, and note the edit that Neovim was given.
function M.act(driver)
  driver.attach()
  local edits, apply = {}, vim.lsp.util.apply_workspace_edit
  vim.lsp.util.apply_workspace_edit = function(edit, encoding)
    table.insert(edits, edit)
    return apply(edit, encoding)
  end
  local versions = {}
  for index, title in ipairs(driver.input.titles) do
    wait_for_diagnostics(driver, driver.input.count + 1 - index)
    vim.fn.cursor(driver.input.lines[index], 1)
    table.insert(versions, vim.lsp.util.buf_versions[vim.api.nvim_get_current_buf()])
    vim.lsp.buf.code_action({
      apply = true,
      filter = function(action)
        return action.title == title
      end,
    })
    driver.wait("an edit", function()
      return edits[index]
    end)
    driver.wait("one diagnostic less", function()
      return #vim.diagnostic.get(0) == driver.input.count - index
    end)
  end
  return { lines = lines(), edits = edits, versions = versions }
end

--- `:LeanVibe fix`, `:LeanVibe change` ...: run a command, and wait for what came of it.
function M.change(driver)
  local client = driver.attach()
  wait_for_diagnostics(driver, driver.input.count)
  local messages, sent, ended = told(), driver.record(client), on_event(driver, "LeanVibeChange")
  vim.ui.input = function(options, on_confirm)
    table.insert(messages, "prompt: " .. options.prompt)
    on_confirm(driver.input.words)
  end
  if driver.input.refuses then
    vim.lsp.handlers["workspace/applyEdit"] = function()
      return { applied = false, failureReason = driver.input.refuses }
    end
  end
  vim.cmd(driver.input.command)
  local change = ended()
  local facts = { change = change, lines = lines(), messages = messages, floats = driver.float() ~= nil }
  facts.argument = vim.iter(sent):find(function(request)
    return request.method == "workspace/executeCommand"
  end).params.arguments[1]
  vim.cmd("LeanVibe draft")
  facts.draft = driver.seen()
  return facts
end

--- While a person is asked, they go to another buffer, and where `typed` is given the one it is about is changed.
function M.asked(driver)
  local client = driver.attach()
  wait_for_diagnostics(driver, driver.input.count)
  local messages, sent, ended = told(), driver.record(client), on_event(driver, "LeanVibeChange")
  local bufnr = vim.api.nvim_get_current_buf()
  local version = vim.lsp.util.buf_versions[bufnr]
  local function elsewhere(answer)
    if driver.input.typed then
      vim.api.nvim_buf_set_lines(bufnr, 0, 0, false, { driver.input.typed })
    end
    vim.cmd.enew()
    answer()
  end
  vim.ui.input = function(_, on_confirm)
    elsewhere(function()
      on_confirm(driver.input.words)
    end)
  end
  vim.ui.select = function(items, _, on_choice)
    elsewhere(function()
      on_choice(items[1])
    end)
  end
  vim.cmd(driver.input.command)
  local change = ended()
  local argument = vim.iter(sent):find(function(request)
    return request.method == "workspace/executeCommand"
  end).params.arguments[1]
  local now = vim.api.nvim_buf_get_lines(bufnr, 0, -1, false)
  local asked = { uri = vim.uri_from_bufnr(bufnr), version = version }
  return { change = change, argument = argument, asked = asked, lines = now, messages = messages }
end

--- An edit for a version that is gone, as it comes from the server.
function M.old_edit(driver)
  local client = driver.attach()
  local bufnr = vim.api.nvim_get_current_buf()
  local function apply(version)
    local place = { line = 0, character = 0 }
    local edit = { newText = "# new\n", range = { start = place, ["end"] = place } }
    local document = { uri = vim.uri_from_bufnr(bufnr), version = version }
    local params = { edit = { documentChanges = { { textDocument = document, edits = { edit } } } } }
    return client.handlers["workspace/applyEdit"](nil, params, { client_id = client.id })
  end
  local version = vim.lsp.util.buf_versions[bufnr]
  vim.api.nvim_buf_set_lines(bufnr, 0, 0, false, { "# typed" })
  local refused = apply(version)
  local first = lines()[1]
  local applied = apply(vim.lsp.util.buf_versions[bufnr])
  return { refused = refused, first = first, applied = applied, now = lines()[1] }
end

function M.doctor(driver)
  driver.attach()
  vim.cmd("LeanVibe doctor")
  local seen = settled(driver, "asking")
  driver.press("q")
  return { seen = seen, closed = driver.float() == nil }
end

function M.complete(driver)
  local messages = told()
  vim.cmd("LeanVibe nonsense")
  return {
    all = vim.fn.getcompletion("LeanVibe ", "cmdline"),
    d = vim.fn.getcompletion("4,6LeanVibe d", "cmdline"),
    second = vim.fn.getcompletion("LeanVibe change f", "cmdline"),
    messages = messages,
  }
end

--- The status line before, while and after a question that `:LeanVibe cancel` ends, and what is left then.
function M.statusline(driver)
  local leanvibe = require("leanvibe")
  local none = leanvibe.statusline()
  local client = driver.attach()
  local code = vim.api.nvim_get_current_buf()
  vim.o.laststatus = 2
  vim.o.statusline = "%{v:lua.require'leanvibe'.statusline()}"
  local function line()
    return vim.api.nvim_eval_statusline(vim.o.statusline, { winid = vim.fn.bufwinid(code) }).str
  end
  local first = driver.wait("the model's name", function()
    local text = line()
    return not vim.startswith(text, "LeanVibe") and text
  end)
  local outcomes = driver.outcomes()
  vim.cmd("LeanVibe ask Say yes.")
  driver.wait("the first answer", function()
    return outcomes[1]
  end)
  local rested = driver.wait("the state after it", function()
    local text = line()
    return vim.endswith(text, "ready") and text
  end)
  driver.press("q")
  vim.cmd(driver.input.command)
  local stages = {}
  driver.wait("some tokens", function()
    table.insert(stages, line())
    return stages[#stages]:find("%d tokens")
  end)
  vim.cmd.wincmd("p")
  vim.cmd("LeanVibe cancel")
  local final = settled(driver)
  driver.wait("the state after it, and every reply", function()
    return line() == rested and vim.tbl_isempty(client.requests)
  end)
  return {
    none = none,
    first = first,
    rested = rested,
    stages = stages,
    final = final,
    outcomes = outcomes,
  }
end

--- A server in Lua that sends pieces as fast as it can; how often the window's text changes.
function M.pace(driver)
  local pieces = 0
  driver.input.setup.cmd = function(dispatchers)
    local timer = assert(uv.new_timer())
    local function request(method, params, callback)
      if method == "initialize" then
        callback(nil, { capabilities = { positionEncoding = "utf-8" } })
      elseif method == "leanvibe/ask" then
        timer:start(
          1,
          1,
          vim.schedule_wrap(function()
            pieces = pieces + 1
            dispatchers.notification("$/progress", { token = params.partialResultToken, value = "piece " })
            local report = { kind = "report", message = pieces .. " tokens" }
            dispatchers.notification("$/progress", { token = params.workDoneToken, value = report })
          end)
        )
      else
        callback(nil, vim.empty_dict())
      end
      return true, 1
    end
    local function nothing()
      return true
    end
    local function stop()
      timer:stop()
    end
    return { request = request, notify = nothing, is_closing = nothing, terminate = stop }
  end
  driver.attach()
  vim.o.statusline = "%{v:lua.require'leanvibe'.statusline()}"
  local updates, redraws, redraw = 0, 0, vim.cmd.redrawstatus
  vim.cmd.redrawstatus = function(...)
    redraws = redraws + 1
    redraw(...)
  end
  vim.cmd("LeanVibe ask now")
  vim.api.nvim_buf_attach(0, false, {
    on_lines = function()
      updates = updates + 1
    end,
  })
  local begin = uv.hrtime()
  vim.wait(2000)
  local seconds = (uv.hrtime() - begin) / 1e9
  driver.press("q")
  return { pieces = pieces, updates = updates, redraws = redraws, seconds = seconds }
end

--- Neovim 0.12's inline completion, as far as its call goes.
function M.inline_completion(driver)
  local calls = {}
  if driver.input.fake then
    vim.lsp.inline_completion = {
      enable = function(...)
        table.insert(calls, { ... })
      end,
    }
  end
  local client = driver.attach()
  vim.cmd("checkhealth leanvibe")
  return { calls = calls, client = client.id, report = table.concat(lines(), "\n") }
end

--- Ruff's server beside ours, on one buffer.
function M.two_servers(driver)
  vim.lsp.config("ruff", { cmd = driver.input.ruff, filetypes = { "python" } })
  vim.lsp.enable("ruff")
  local client = driver.attach()
  local found = wait_for_diagnostics(driver, driver.input.count)
  local sources = vim.tbl_map(function(one)
    return one.source .. " " .. tostring(one.code)
  end, found)
  table.sort(sources)
  local offered
  vim.ui.select = function(items, options)
    offered = vim.tbl_map(options.format_item, items)
  end
  vim.fn.cursor(1, 1)
  vim.lsp.buf.code_action()
  driver.wait("the actions", function()
    return offered
  end)
  local sent, ended = driver.record(client), on_event(driver, "LeanVibeChange")
  vim.cmd("1LeanVibe fix")
  ended()
  return { sources = sources, offered = offered, sent = sent, lines = lines() }
end

return M
