import { randomUUID } from "node:crypto";
import { CancellationTokenSource, ProgressLocation, window, type Disposable } from "vscode";
import { ResponseError, WorkDoneProgress, type LanguageClient } from "vscode-languageclient/node";
import { isCancelled } from "./asking";
import type { Target, Unapplied } from "./protocol";
import type { Status } from "./status";
import type { View } from "./view";

/** Changes of code: the server makes, checks and applies them; here is their progress, which cancels them. */
export class Changing implements Disposable {
  private readonly running = new Set<CancellationTokenSource>();

  constructor(
    private readonly client: () => LanguageClient,
    private readonly view: View,
    private readonly status: Status,
  ) {}

  /** `leanvibe.change`. One in a person's own words needs the words. */
  async change(target: Target): Promise<Unapplied | undefined> {
    const instruction = target.instruction ?? (target.kind === "rewrite" ? await askForWords() : "");
    if (instruction === undefined) return undefined;
    const cancellation = new CancellationTokenSource();
    this.running.add(cancellation);
    try {
      const result = await this.status.during(this.send({ ...target, instruction }, cancellation));
      void this.tell(result.refusal ?? "", result.draft);
      return result;
    } catch (error) {
      if (!isCancelled(error)) void this.tell(messageOf(error), draftOf(error));
      return undefined;
    } finally {
      this.running.delete(cancellation);
      cancellation.dispose();
    }
  }

  cancel(): void {
    for (const one of this.running) one.cancel();
  }

  dispose(): void {
    this.cancel();
  }

  private async send(target: Target, cancellation: CancellationTokenSource): Promise<Unapplied> {
    const workDoneToken = randomUUID();
    // Whoever gives a token for pieces of text is trusted to show a draft that was not applied; see tell.
    const argument = { ...target, partialResultToken: randomUUID() };
    const request = { command: "leanvibe.change", arguments: [argument], workDoneToken };
    const options = { location: ProgressLocation.Notification, title: "LeanVibe", cancellable: true };
    return window.withProgress(options, async (progress, token) => {
      token.onCancellationRequested(() => cancellation.cancel());
      const listener = this.client().onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
        if (value.kind === "end" || value.message === undefined) return;
        progress.report({ message: value.message });
        this.status.stage(value.message);
      });
      try {
        return await this.client().sendRequest<Unapplied>("workspace/executeCommand", request, cancellation.token);
      } finally {
        listener.dispose();
      }
    });
  }

  /** Say why nothing was changed, and offer what the model wrote as text. */
  private async tell(reason: string, draft: string | undefined): Promise<void> {
    if (reason === "") return;
    const choice = await window.showWarningMessage(`LeanVibe: ${reason}`, ...(draft ? ["Show Draft"] : []));
    if (!choice || !draft) return;
    const text = draft.includes("```") ? draft : `\`\`\`\n${draft}\n\`\`\``;
    this.view.open({ title: "Draft, not applied", text, status: reason, state: "ended" });
  }
}

async function askForWords(): Promise<string | undefined> {
  const prompt = "What should be changed in the selection, or in the symbol at the cursor?";
  const words = (await window.showInputBox({ title: "Ask LeanVibe for a change", prompt }))?.trim();
  return words === "" ? undefined : words;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function draftOf(error: unknown): string | undefined {
  return error instanceof ResponseError ? (error.data as Unapplied | undefined)?.draft : undefined;
}
