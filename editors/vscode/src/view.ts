import { randomUUID } from "node:crypto";
import { EventEmitter, Uri, ViewColumn, window, type Disposable, type WebviewPanel } from "vscode";
import { toHtml } from "./markdown";

/** What the view shows. `status` is one line; only a running one can be stopped, only an ended one asked on. */
export interface Page {
  title: string;
  text: string;
  status: string;
  state: "running" | "answered" | "ended";
}

/** What a person did in the view. */
export type Gesture = { kind: "stop" } | { kind: "ask"; question: string } | { kind: "close" };

const UPDATE_MILLISECONDS = 50;

/** One panel beside the editor; Markdown that grows, at most 20 updates a second. */
export class View implements Disposable {
  private readonly gestures = new EventEmitter<Gesture>();
  readonly onGesture = this.gestures.event;
  private panel: WebviewPanel | undefined;
  private page: Page | undefined;
  private timer: NodeJS.Timeout | undefined;
  private postedAt = 0;

  constructor(private readonly extension: Uri) {}

  /** What is in the panel; undefined when there was none yet. */
  get shown(): Page | undefined {
    return this.page;
  }

  /** Show a page, in the panel that is there or a new one. */
  open(page: Page): void {
    this.page = page;
    this.panel ??= this.create();
    this.panel.reveal(undefined, true);
    this.post();
  }

  /** Show more of the page, soon; nothing when the panel was closed. */
  update(page: Page): void {
    this.page = page;
    if (this.panel === undefined || this.timer !== undefined) return;
    this.timer = setTimeout(() => this.post(), Math.max(0, this.postedAt + UPDATE_MILLISECONDS - Date.now()));
  }

  dispose(): void {
    this.panel?.dispose();
    this.gestures.dispose();
  }

  private post(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.postedAt = Date.now();
    if (this.page === undefined) return;
    const { text, ...page } = this.page;
    void this.panel?.webview.postMessage({ ...page, html: toHtml(text) });
  }

  private create(): WebviewPanel {
    const folders = ["dist", "media"].map((name) => Uri.joinPath(this.extension, name));
    const options = { enableScripts: true, enableFindWidget: true, localResourceRoots: folders };
    const column = { viewColumn: ViewColumn.Beside, preserveFocus: true };
    const panel = window.createWebviewPanel("leanvibe.answer", "LeanVibe", column, options);
    panel.iconPath = Uri.joinPath(this.extension, "media", "icon.png");
    panel.webview.onDidReceiveMessage((message: Gesture | { kind: "ready" }) => {
      if (message.kind === "ready") this.post();
      else this.gestures.fire(message);
    });
    panel.onDidDispose(() => {
      clearTimeout(this.timer);
      this.timer = this.panel = undefined;
      this.gestures.fire({ kind: "close" });
    });
    panel.webview.html = this.frame(panel);
    return panel;
  }

  private frame({ webview }: WebviewPanel): string {
    const nonce = randomUUID();
    const file = (...path: string[]): string => webview.asWebviewUri(Uri.joinPath(this.extension, ...path)).toString();
    const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'; form-action 'none'`;
    return `<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="Content-Security-Policy" content="${policy}">
  <link rel="stylesheet" href="${file("media", "view.css")}">
</head>
<body>
  <h1 id="title"></h1>
  <main id="answer" aria-live="polite"></main>
  <footer><span id="status" role="status"></span><button id="stop" hidden>Stop</button></footer>
  <form id="form" hidden><input id="question" placeholder="Ask on" aria-label="Ask on" autocomplete="off"></form>
  <script nonce="${nonce}" src="${file("dist", "view.js")}"></script>
</body>
</html>`;
  }
}
