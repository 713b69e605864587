import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { ProcessExecution, Task, TaskScope, commands, tasks, window, workspace } from "vscode";
import { SECTION } from "./settings";

const PROGRAM = "leanvibe-lsp";

/** Each installs the server into an environment of its own. */
const INSTALLERS = [
  { tool: "uv", parameters: ["tool", "install", PROGRAM] },
  { tool: "pipx", parameters: ["install", PROGRAM] },
];

/** The server to start: the one in the settings, on the PATH, or where uv and pipx put it. */
export async function findServer(): Promise<string | undefined> {
  const path = workspace.getConfiguration(SECTION).get<string>("server.path", "");
  if (path === "") return find(PROGRAM);
  return (await isProgram(path)) ? path : undefined;
}

/** Say that there is no server, and offer the next step. True when it was installed. */
export async function offerInstall(): Promise<boolean> {
  const path = workspace.getConfiguration(SECTION).get<string>("server.path", "");
  if (path !== "") {
    const text = `LeanVibe: leanvibe.server.path names ${path}, which is no program.`;
    if (await window.showErrorMessage(text, "Open Settings")) await openSettings();
    return false;
  }
  const text = `LeanVibe: ${PROGRAM} was not found.`;
  for (const { tool, parameters } of INSTALLERS) {
    const program = await find(tool);
    if (program === undefined) continue;
    const install = `Run ${[tool, ...parameters].join(" ")}`;
    const choice = await window.showErrorMessage(text, install, "Open Settings");
    if (choice === "Open Settings") await openSettings();
    return choice === install && (await run(new ProcessExecution(program, parameters)));
  }
  const choice = await window.showErrorMessage(`${text} Install uv or pipx first, or give its path.`, "Open Settings");
  if (choice) await openSettings();
  return false;
}

function openSettings(): Thenable<unknown> {
  return commands.executeCommand("workbench.action.openSettings", `${SECTION}.server.path`);
}

/** Run a program in a terminal where a person sees it. True when it ended well. */
async function run(execution: ProcessExecution): Promise<boolean> {
  const task = new Task({ type: "process" }, TaskScope.Global, "Install the server", "LeanVibe", execution);
  const started = await tasks.executeTask(task);
  return new Promise((resolve) => {
    const listener = tasks.onDidEndTaskProcess((event) => {
      if (event.execution !== started) return;
      listener.dispose();
      resolve(event.exitCode === 0);
    });
  });
}

/** A window that was not started from a shell often lacks the folder of uv and pipx on its PATH. */
async function find(program: string): Promise<string | undefined> {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), join(homedir(), ".local", "bin")];
  for (const folder of folders.filter((folder) => folder !== "")) {
    const path = join(folder, process.platform === "win32" ? `${program}.exe` : program);
    if (await isProgram(path)) return path;
  }
  return undefined;
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
