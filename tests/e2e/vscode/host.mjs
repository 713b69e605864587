// Runs host/index.js inside the window's extension host, where it has the real `vscode` module.
import { address, given, inWindow } from "./window.mjs";

await inWindow(async (page) => {
  const said = [];
  const remote = (path) => `vscode-remote://${given.host}${path}`;
  const ended = new Promise((resolve) => {
    page.exposeFunction("codeAutomationExit", resolve).catch(() => {});
  });
  await page.exposeFunction("codeAutomationLog", (type, parts) => said.push({ type, parts }));
  const payload = [
    ["extensionDevelopmentPath", remote(given.extension)],
    ["extensionTestsPath", remote(given.suite)],
  ];
  await page.goto(address(given.workspace, payload));
  const code = await ended;
  return { code, said };
});
