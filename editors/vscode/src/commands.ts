import { commands, languages, window, type Diagnostic, type Disposable, type TextEditor } from "vscode";
import { isCancelled, type Asking } from "./asking";
import type { Changing } from "./changing";
import type { Health, Place, Target } from "./protocol";
import type { Session } from "./session";
import { report, type Status } from "./status";
import type { View } from "./view";

/** What the commands work with. */
export interface House {
  session: Session;
  asking: Asking;
  changing: Changing;
  status: Status;
  view: View;
}

type Command = (...parameters: never[]) => unknown;

/** Our own commands. None may have the name of one of the server's, which the client library registers itself. */
export function register(house: House): Disposable[] {
  const { session, asking } = house;
  const all: Record<string, Command> = {
    ask: (question?: string) => ask(house, question),
    explain: () => withEditor((editor) => asking.explain({ uri: uriOf(house, editor), range: rangeOf(house, editor) })),
    fix: () => withEditor((editor) => fix(house, editor)),
    tests: () => withEditor((editor) => change(house, editor, { kind: "tests" })),
    document: () => withEditor((editor) => change(house, editor, { kind: "document" })),
    simplify: () => withEditor((editor) => change(house, editor, { kind: "simplify" })),
    change: (instruction?: string) =>
      withEditor((editor) => change(house, editor, { kind: "rewrite", ...(instruction && { instruction }) })),
    review: () => withEditor((editor) => review(house, editor, rangeOf(house, editor))),
    reviewFile: () => withEditor((editor) => review(house, editor)),
    cancelAll: () => cancelAll(house),
    doctor: () => doctor(house),
    restart: () => session.restart(),
    showOutput: () => session.output.show(),
    menu: () => menu(),
  };
  return Object.entries(all).map(([name, command]) =>
    commands.registerCommand(`leanvibe.ui.${name}`, async (...parameters: never[]) => {
      try {
        return await command(...parameters);
      } catch (error) {
        void window.showErrorMessage(`LeanVibe: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }
    }),
  );
}

async function ask(house: House, given?: string): Promise<unknown> {
  const editor = editorInUse();
  const place = editor && placeOf(house, editor);
  const prompt = editor ? "About the selection, or the place of the cursor" : "No file is open: about nothing in particular";
  const question = (given ?? (await window.showInputBox({ title: "Ask LeanVibe", prompt })))?.trim();
  return question ? house.asking.ask(question, place) : undefined;
}

/** Ours, and what the server does on its own account: an action that is resolved, a suggestion. */
async function cancelAll({ session, asking, changing }: House): Promise<void> {
  asking.cancel();
  changing.cancel();
  await session.client.sendRequest("workspace/executeCommand", { command: "leanvibe.cancel" });
}

async function fix(house: House, editor: TextEditor): Promise<unknown> {
  const found = languages.getDiagnostics(editor.document.uri).filter((one) => editor.selection.intersection(one.range));
  const items = found.map((diagnostic) => ({ label: diagnostic.message, diagnostic }));
  const { version } = editor.document; // of the diagnostics, before a person has chosen one
  const choice = items.length > 1 ? await window.showQuickPick(items, { title: "Fix which problem?" }) : items[0];
  if (items.length === 0) return window.showInformationMessage("LeanVibe: there is no problem at the cursor.");
  return choice && change(house, editor, { kind: "fix", version }, choice.diagnostic);
}

function change(house: House, editor: TextEditor, what: Partial<Target>, about?: Diagnostic): Promise<unknown> {
  const diagnostic = about && house.session.client.code2ProtocolConverter.asDiagnostic(about);
  const range = diagnostic?.range ?? rangeOf(house, editor);
  const place = { uri: uriOf(house, editor), version: editor.document.version, range };
  return house.changing.change({ ...place, ...what, ...(diagnostic && { diagnostic }) });
}

/** By the server, which shows its progress, what it found, and a summary. */
async function review(house: House, editor: TextEditor, range?: Place["range"]): Promise<unknown> {
  const place = { uri: uriOf(house, editor), version: editor.document.version, ...(range && { range }) };
  const request = { command: "leanvibe.judge", arguments: [place] };
  try {
    return await house.status.during(house.session.client.sendRequest("workspace/executeCommand", request));
  } catch (error) {
    if (isCancelled(error)) return undefined;
    throw error;
  }
}

async function doctor({ session, status, view }: House): Promise<void> {
  const health = await status.during(session.client.sendRequest<Health>("leanvibe/health"));
  view.open({ title: "LeanVibe doctor", text: report(health), status: "", state: "ended" });
}

async function menu(): Promise<void> {
  const items = [
    { label: "$(comment-discussion) Ask", command: "ask" },
    { label: "$(pulse) Doctor report", command: "doctor" },
    { label: "$(output) Show log", command: "showOutput" },
    { label: "$(debug-stop) Cancel all", command: "cancelAll" },
    { label: "$(debug-restart) Restart server", command: "restart" },
  ];
  const choice = await window.showQuickPick(items, { title: "LeanVibe" });
  if (choice) await commands.executeCommand(`leanvibe.ui.${choice.command}`);
}

function withEditor(work: (editor: TextEditor) => Promise<unknown>): Promise<unknown> {
  const editor = editorInUse();
  if (editor === undefined) throw new Error("Open a file first.");
  return work(editor);
}

/** The editor that has the focus, or one beside the view that has it. */
function editorInUse(): TextEditor | undefined {
  const others = window.visibleTextEditors.filter(({ document }) => ["file", "untitled"].includes(document.uri.scheme));
  return window.activeTextEditor ?? others[0];
}

function uriOf({ session }: House, { document }: TextEditor): string {
  return session.client.code2ProtocolConverter.asUri(document.uri);
}

function rangeOf({ session }: House, { selection }: TextEditor): NonNullable<Place["range"]> {
  return session.client.code2ProtocolConverter.asRange(selection);
}

function placeOf(house: House, editor: TextEditor): Place {
  const textDocument = { uri: uriOf(house, editor) };
  const range = rangeOf(house, editor);
  return editor.selection.isEmpty ? { textDocument, position: range.start } : { textDocument, range };
}
