import { workspace, type ExtensionContext } from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { Asking } from "./asking";
import { Changing } from "./changing";
import { register } from "./commands";
import type { Target } from "./protocol";
import { Session } from "./session";
import { SECTION } from "./settings";
import { Status } from "./status";
import { View, type Page } from "./view";

/** What another extension, or a test, may use. */
export interface Api {
  client(): LanguageClient;
  status(): string;
  page(): Page | undefined;
}

let session: Session | undefined;

export async function activate(context: ExtensionContext): Promise<Api> {
  const view = new View(context.extensionUri);
  const status = new Status(() => session?.known);
  const onCommand = (command: string, parameters: unknown[], next: (name: string, given: unknown[]) => unknown) => {
    const [target] = parameters as [Target?];
    if (command === "leanvibe.explain" && target !== undefined) return asking.explain(target);
    return command === "leanvibe.change" && target !== undefined ? changing.change(target) : next(command, parameters);
  };
  const here = (session = new Session(onCommand, () => void status.refresh()));
  const asking = new Asking(() => here.client, view, status);
  const changing = new Changing(() => here.client, view, status);
  context.subscriptions.push(
    here,
    view,
    status,
    asking,
    changing,
    ...register({ session: here, asking, changing, status, view }),
    workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(`${SECTION}.server.path`)) void here.restart();
    }),
  );
  // Not awaited: a missing program asks a person something, and the commands work meanwhile.
  void here.start();
  return { client: () => here.client, status: () => status.text, page: () => view.shown };
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}
