import { MarkdownString, StatusBarAlignment, ThemeColor, window, type Disposable } from "vscode";
import { State, type LanguageClient } from "vscode-languageclient/node";
import type { Health } from "./protocol";

const POLL_MILLISECONDS = 2000;

/** Model, rung and state in the status bar. The server is asked only when something ran, and while it runs. */
export class Status implements Disposable {
  private readonly item = window.createStatusBarItem("leanvibe.status", StatusBarAlignment.Right, 100);
  private health: Health | undefined;
  private rung = "";
  private note = "";
  private running = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly client: () => LanguageClient | undefined) {
    this.item.name = "LeanVibe";
    this.item.command = "leanvibe.ui.menu";
    this.item.text = "$(sparkle) LeanVibe";
    this.item.show();
  }

  get text(): string {
    return this.item.text;
  }

  /** Ask the server how it is. Never fails: a server that does not answer is a state to show. */
  async refresh(): Promise<void> {
    const client = this.client();
    try {
      this.health = client?.state === State.Running ? await client.sendRequest<Health>("leanvibe/health") : undefined;
    } catch {
      this.health = undefined;
    }
    this.draw();
  }

  /** Show that something runs until it has ended. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.running += 1;
    this.timer ??= setInterval(() => void this.refresh(), POLL_MILLISECONDS);
    this.draw();
    try {
      return await work;
    } finally {
      this.running -= 1;
      if (this.running === 0) {
        clearInterval(this.timer);
        this.timer = undefined;
        this.note = "";
      }
      this.draw();
      void this.refresh();
    }
  }

  /** What runs is at this stage. */
  stage(note: string): void {
    this.note = note;
    this.draw();
  }

  /** The rung that gave the last answer. */
  answeredBy(rung: string): void {
    this.rung = rung;
  }

  dispose(): void {
    clearInterval(this.timer);
    this.item.dispose();
  }

  private draw(): void {
    const { health, item } = this;
    const state = this.client()?.state;
    const parts = [health?.model ?? "LeanVibe", health ? this.rung : "", this.note || describe(state, health)];
    const bad = state === undefined || state === State.Stopped || health?.status === "broken";
    const icon = this.running > 0 ? "$(loading~spin)" : bad ? "$(warning)" : "$(sparkle)";
    item.text = `${icon} ${parts.filter((part) => part !== "").join(" · ")}`;
    item.backgroundColor = bad ? new ThemeColor("statusBarItem.warningBackground") : undefined;
    item.tooltip = new MarkdownString(health === undefined ? "LeanVibe" : problems(health).join("\n\n"));
  }
}

function describe(state: State | undefined, health: Health | undefined): string {
  if (state === undefined) return "no server";
  if (state === State.Stopped) return "stopped";
  return health === undefined ? "starting" : health.state;
}

/** What is not right, one Markdown paragraph each. */
function problems(health: Health): string[] {
  const head = `**LeanVibe** ${health.version} · ${health.backend ?? "no backend"} · ${health.status}`;
  return [head, ...health.problems.map(({ what, next_step }) => `${what} ${next_step}`)];
}

/** The report as Markdown. */
export function report(health: Health): string {
  const figure = (value: number | null, unit: string): string =>
    value === null ? "-" : `${Math.round(value).toLocaleString("en")} ${unit}`;
  const facts: [string, string][] = [
    ["status", health.status],
    ["leanvibe", `${health.version}, Python ${health.python}, ${health.platform}`],
    ["model", `${health.model ?? "-"} (${health.state})`],
    ["path", health.model_path ?? "-"],
    ["backend", `${health.backend ?? "-"} on ${health.device ?? "-"}`],
    ["speed", figure(health.tokens_per_second, "tokens/s")],
    ["memory", figure(health.memory_mb, "MB")],
    ["window", figure(health.window, "tokens")],
  ];
  const steps = health.chain.map((step) => `- ${step.chosen ? "**chosen**" : "not"} ${step.candidate}: ${step.reason}`);
  const wrong = health.problems.map((one) => `- **${one.severity}**: ${one.what} ${one.next_step}`);
  return [
    ["| | |", "|---|---|", ...facts.map(([name, value]) => `| ${name} | ${value} |`)].join("\n"),
    `### Why this backend and model\n\n${steps.join("\n")}`,
    `### What is not right\n\n${wrong.join("\n") || "Nothing."}`,
  ].join("\n\n");
}
