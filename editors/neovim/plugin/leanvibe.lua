-- Only the command; the plugin itself is loaded when it is first used.
if vim.g.loaded_leanvibe then
  return
end
vim.g.loaded_leanvibe = 1

vim.api.nvim_create_user_command("LeanVibeAsk", function(command)
  require("leanvibe.ask").command(command)
end, {
  nargs = "*",
  range = true,
  desc = "Ask the local model about the code under the cursor, or about the given lines",
})
