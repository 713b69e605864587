-- Only the commands; the plugin itself is loaded when one is first used.
if vim.g.loaded_leanvibe then
  return
end
vim.g.loaded_leanvibe = 1

vim.api.nvim_create_user_command("LeanVibe", function(command)
  require("leanvibe.commands").run(command)
end, {
  nargs = "*",
  range = true,
  complete = function(lead, line)
    return require("leanvibe.commands").complete(lead, line)
  end,
  desc = "Ask the local model about the code under the cursor or on the given lines, or have it changed",
})

vim.api.nvim_create_user_command("LeanVibeAsk", function(command)
  local lines = command.range > 0 and { command.line1, command.line2 } or nil
  require("leanvibe.ask").command(vim.trim(command.args), lines)
end, { nargs = "*", range = true, desc = "The same as :LeanVibe ask" })
