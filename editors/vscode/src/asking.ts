import { randomUUID } from "node:crypto";
import { CancellationTokenSource, type Disposable } from "vscode";
import {
  LSPErrorCodes,
  ProgressType,
  ResponseError,
  WorkDoneProgress,
  type LanguageClient,
} from "vscode-languageclient/node";
import type { Answer, Piece, Place, Target, Turn } from "./protocol";
import type { Status } from "./status";
import type { Page, View } from "./view";

/** How a question ended. */
export type Outcome =
  | { kind: "answered"; answer: Answer }
  | { kind: "cancelled" }
  | { kind: "failed"; message: string };

/** One question: how to send it, and what a follow-up has to know. */
interface Question {
  title: string;
  method: string;
  /** The request's params, given the token under which the answer's pieces come. */
  params: (partialResultToken: string) => object;
  place: Place | undefined;
  history: Turn[];
}

const PIECES = new ProgressType<Piece>();

/** One question at a time, its answer streamed into the view. A new one takes the place of the one that runs. */
export class Asking implements Disposable {
  private current: Question | undefined;
  private cancellation: CancellationTokenSource | undefined;

  constructor(
    private readonly client: () => LanguageClient,
    private readonly view: View,
    private readonly status: Status,
  ) {
    view.onGesture((gesture) => {
      if (gesture.kind === "ask") void this.askOn(gesture.question);
      else this.cancel();
    });
  }

  /** `leanvibe/ask` about a place, or about nothing in particular. */
  ask(question: string, place: Place | undefined, history: Turn[] = []): Promise<Outcome> {
    const params = (partialResultToken: string): object => ({ question, history, ...place, partialResultToken });
    return this.run({ title: question, method: "leanvibe/ask", params, place, history });
  }

  /** The server's own command; a command takes its token with its argument. */
  explain(what: Target): Promise<Outcome> {
    const params = (partialResultToken: string): object => ({
      command: "leanvibe.explain",
      arguments: [{ ...what, partialResultToken }],
    });
    const place = { textDocument: { uri: what.uri }, ...(what.range && { range: what.range }) };
    const title = what.diagnostic === undefined ? "Explain" : `Explain: ${what.diagnostic.message}`;
    return this.run({ title, method: "workspace/executeCommand", params, place, history: [] });
  }

  cancel(): void {
    this.cancellation?.cancel();
  }

  dispose(): void {
    this.cancel();
  }

  private async askOn(question: string): Promise<void> {
    if (this.current !== undefined) await this.ask(question, this.current.place, this.current.history);
  }

  private run(question: Question): Promise<Outcome> {
    this.cancel();
    this.current = question;
    return this.status.during(this.stream(question));
  }

  private async stream(question: Question): Promise<Outcome> {
    const cancellation = (this.cancellation = new CancellationTokenSource());
    const page: Page = { title: question.title, text: "", status: "asking", state: "running" };
    const isShown = (): boolean => this.current === question;
    const update = (changes: Partial<Page>): void => {
      if (isShown()) this.view.update(Object.assign(page, changes));
    };
    this.view.open(page);
    const outcome = await this.send(question, cancellation, {
      piece: (piece) => {
        if (typeof piece === "string") update({ text: page.text + piece });
        else update({ text: "", status: piece.restart });
      },
      stage: (stage) => {
        update({ status: stage });
        if (isShown()) this.status.stage(stage);
      },
    });
    if (outcome.kind === "answered") {
      this.status.answeredBy(outcome.answer.tier);
      question.history = [...question.history, ...turns(question.title, outcome.answer)];
    }
    update(ending(outcome, page.text));
    return outcome;
  }

  private async send(
    { method, params }: Question,
    cancellation: CancellationTokenSource,
    on: { piece: (piece: Piece) => void; stage: (stage: string) => void },
  ): Promise<Outcome> {
    const [pieces, workDoneToken] = [randomUUID(), randomUUID()];
    const listeners: Disposable[] = [];
    try {
      const client = this.client();
      listeners.push(
        client.onProgress(PIECES, pieces, on.piece),
        client.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
          if (value.kind !== "end" && value.message !== undefined) on.stage(stageOf(value.message, value.percentage));
        }),
      );
      const request = { ...params(pieces), workDoneToken };
      const answer = await client.sendRequest<Answer>(method, request, cancellation.token);
      return cancellation.token.isCancellationRequested ? { kind: "cancelled" } : { kind: "answered", answer };
    } catch (error) {
      if (cancellation.token.isCancellationRequested || isCancelled(error)) return { kind: "cancelled" };
      return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
    } finally {
      for (const listener of listeners) listener.dispose();
      cancellation.dispose();
      if (this.cancellation === cancellation) this.cancellation = undefined;
    }
  }
}

/** The server's or the client's own word for a request that was stopped. */
export function isCancelled(error: unknown): boolean {
  const codes: number[] = [LSPErrorCodes.RequestCancelled, LSPErrorCodes.ServerCancelled];
  return error instanceof ResponseError && codes.includes(error.code);
}

function stageOf(message: string, percentage: number | undefined): string {
  return percentage === undefined ? message : `${message} ${percentage} %`;
}

function turns(question: string, { answer, citations }: Answer): Turn[] {
  return [
    { role: "user", content: question, citations },
    { role: "assistant", content: answer, citations },
  ];
}

function ending(outcome: Outcome, text: string): Partial<Page> {
  switch (outcome.kind) {
    case "answered":
      return { text: outcome.answer.answer, status: summary(outcome.answer), state: "answered" };
    case "cancelled":
      return { status: "stopped", state: "ended" };
    case "failed":
      return { text: `${text}\n\n**${outcome.message}**`, status: "failed", state: "ended" };
  }
}

/** Who answered and how sure; what must be known first comes first. */
function summary({ model, backend, tier, confidence, finishReason, timing }: Answer): string {
  const sure = `confidence ${confidence.value.toFixed(2)} ${confidence.calibrated ? "calibrated" : "raw"}`;
  const parts = [model, backend, tier, sure, `${timing.tokensPerSecond.toFixed(0)} tok/s`];
  if (finishReason === "loop") parts.unshift("stopped: it repeats itself");
  if (finishReason === "length") parts.push("cut at its limit");
  return parts.join(" · ");
}
