// Acts in a real extension host and reports; what must hold is said in test_vscode.py.
"use strict";
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const vscode = require("vscode");

const given = JSON.parse(readFileSync(join(vscode.workspace.workspaceFolders[0].uri.fsPath, "..", "given.json"), "utf8"));
const facts = { steps: {} };

exports.run = async function run() {
  for (const [name, step] of Object.entries(steps)) {
    const start = Date.now();
    try {
      facts.steps[name] = (await within(given.seconds, step())) ?? {};
    } catch (error) {
      facts.steps[name] = { error: `${error?.stack ?? error}; status: ${api?.status()}` };
    }
    facts.steps[name].milliseconds = Date.now() - start;
    writeFileSync(given.facts, JSON.stringify(facts));
    if (facts.steps[name].error !== undefined) return; // the rest would say the same
  }
};

let api, editor, text;

const steps = {
  async activates() {
    const document = await vscode.workspace.openTextDocument(join(given.workspace, "shop.py"));
    editor = await vscode.window.showTextDocument(document);
    text = document.getText();
    const extension = vscode.extensions.getExtension("leanvibe.leanvibe");
    api = await extension.activate();
    await until(() => running());
    const names = await vscode.commands.getCommands(true);
    const { commands } = extension.packageJSON.contributes;
    return {
      server: api.client().initializeResult.serverInfo,
      missing: commands.map((one) => one.command).filter((name) => !names.includes(name)),
      clashing: commands.map((one) => one.command).filter((name) => serverCommands().includes(name)),
      serverCommands: serverCommands(),
    };
  },

  async hovers() {
    const hovers = await vscode.commands.executeCommand("vscode.executeHoverProvider", editor.document.uri, place("total("));
    return { text: hovers.flatMap((hover) => hover.contents.map((one) => one.value ?? one)).join("\n") };
  },

  async lists_actions() {
    const range = new vscode.Range(place("total("), place("total("));
    const actions = await vscode.commands.executeCommand("vscode.executeCodeActionProvider", editor.document.uri, range);
    return { titles: actions.map((action) => action.title) };
  },

  async streams() {
    const seen = watchPage();
    const outcome = await vscode.commands.executeCommand("leanvibe.ui.ask", BRIEF);
    return { outcome, pages: seen.stop(), status: api.status() };
  },

  async explains() {
    const symbol = place("total(");
    editor.selection = new vscode.Selection(symbol, symbol);
    const target = { uri: editor.document.uri.toString(), range: { start: symbol, end: symbol } };
    const asked = vscode.commands.executeCommand("leanvibe.explain", target);
    await until(() => api.page().title === "Explain" && api.page().text.length > 0);
    await vscode.commands.executeCommand("leanvibe.ui.cancelAll");
    return { outcome: await asked, page: api.page() };
  },

  async cancels() {
    const asked = vscode.commands.executeCommand("leanvibe.ui.ask", LONG);
    await until(() => api.page().title === LONG && api.page().text.length > 40);
    const cancelledAt = Date.now();
    await vscode.commands.executeCommand("leanvibe.ui.cancelAll");
    const outcome = await asked;
    const endedAfter = Date.now() - cancelledAt;
    const next = await api.client().sendRequest("leanvibe/ask", { question: "Say yes.", maxTokens: 1 });
    const nextAfter = Date.now() - cancelledAt;
    return { outcome, endedAfter, nextAfter, nextTokens: next.usage.completionTokens, page: api.page() };
  },

  async a_new_question_takes_over() {
    const first = vscode.commands.executeCommand("leanvibe.ui.ask", LONG);
    await until(() => api.page().title === LONG && api.page().text.length > 0);
    const second = vscode.commands.executeCommand("leanvibe.ui.ask", BRIEF);
    return { outcomes: [await first, await second], page: api.page() };
  },

  async reports_health() {
    await vscode.commands.executeCommand("leanvibe.ui.doctor");
    return { page: api.page(), status: api.status() };
  },

  async fixes() {
    const symbol = place("is \"SPRING");
    editor.selection = new vscode.Selection(symbol, symbol);
    await until(() => codes().length === 2);
    const found = codes();
    const result = await vscode.commands.executeCommand("leanvibe.ui.fix");
    await until(() => codes().length === 1);
    const after = { line: editor.document.lineAt(symbol.line).text, left: codes() };
    await vscode.commands.executeCommand("undo");
    return { found, result, ...after, undone: editor.document.getText() === text };
  },

  async cancels_a_change() {
    editor.selection = new vscode.Selection(place("total("), place("total("));
    const changing = vscode.commands.executeCommand("leanvibe.ui.change", "Rename every name and explain why.");
    await until(() => /\d token/.test(api.status()));
    const cancelledAt = Date.now();
    await vscode.commands.executeCommand("leanvibe.ui.cancelAll");
    const result = await changing;
    return { result: result ?? null, endedAfter: Date.now() - cancelledAt, untouched: editor.document.getText() === text };
  },

  async takes_settings_live() {
    const server = api.client().initializeResult;
    const before = { lenses: (await lenses()).length, codes: codes().length };
    await configure("leanvibe.codeLens.enabled", true);
    await configure("leanvibe.diagnostics.enabled", false);
    await until(async () => (await lenses()).length > 0 && codes().length === 0);
    const during = { lenses: await lenses(), codes: codes() };
    const told = await pull();
    await configure("leanvibe.codeLens.enabled", undefined);
    await configure("leanvibe.diagnostics.enabled", undefined);
    await until(async () => (await lenses()).length === 0 && codes().length === before.codes);
    return { before, during, told, sameServer: server === api.client().initializeResult };
  },

  async restarts() {
    const before = api.client();
    await vscode.commands.executeCommand("leanvibe.ui.restart");
    await until(() => running());
    const hovers = await vscode.commands.executeCommand("vscode.executeHoverProvider", editor.document.uri, place("total("));
    return { another: api.client() !== before, hovers: hovers.length };
  },

  async says_when_there_is_no_server() {
    await configure("leanvibe.server.path", join(given.workspace, "nothing-here"));
    await until(() => api.status().includes("no server"));
    const status = api.status();
    await configure("leanvibe.server.path", given.server);
    await until(() => running());
    return { status };
  },
};

const BRIEF = "What does total do? Answer in one sentence.";
const LONG = "Explain this file line by line, in great detail, and then write tests for it.";

function running() {
  try {
    return api.client().isRunning();
  } catch {
    return false;
  }
}

function serverCommands() {
  return api.client().initializeResult.capabilities.executeCommandProvider?.commands ?? [];
}

/** The first place of a text in the file. */
function place(text) {
  return editor.document.positionAt(editor.document.getText().indexOf(text));
}

/** Every state of the answer's page, as often as it is worth looking. */
function watchPage() {
  const pages = [];
  const timer = setInterval(() => {
    const page = api.page();
    if (page && page.text !== pages.at(-1)?.text) pages.push({ ...page });
  }, 10);
  return {
    stop() {
      clearInterval(timer);
      return [...pages, { ...api.page() }];
    },
  };
}

/** Our diagnostics in the file, by rule. */
function codes() {
  const found = vscode.languages.getDiagnostics(editor.document.uri).filter((one) => one.source === "leanvibe");
  return found.map((one) => one.code?.value ?? one.code).sort();
}

async function lenses() {
  const found = await vscode.commands.executeCommand("vscode.executeCodeLensProvider", editor.document.uri, 100);
  return found.map((lens) => lens.command?.title);
}

/** What the server gets when it asks for its section. */
async function pull() {
  const { configuration } = api.client().clientOptions.middleware.workspace;
  const next = async ({ items }) => items.map(() => null);
  return configuration({ items: [{ section: "leanvibe" }, { section: "editor" }] }, undefined, next);
}

function configure(name, value) {
  return vscode.workspace.getConfiguration().update(name, value, vscode.ConfigurationTarget.Global);
}

async function until(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

function within(seconds, work) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`not done in ${seconds} s`)), seconds * 1000));
  return Promise.race([work, late]);
}
