import { commands, window, type Disposable, type LogOutputChannel } from "vscode";
import {
  DidChangeConfigurationNotification,
  LanguageClient,
  RevealOutputChannelOn,
  TransportKind,
  type ExecuteCommandMiddleware,
  type LanguageClientOptions,
} from "vscode-languageclient/node";
import { findServer, offerInstall } from "./program";
import { SECTION, chosen } from "./settings";

/** The server's process and the client that speaks with it. */
export class Session implements Disposable {
  readonly output: LogOutputChannel = window.createOutputChannel("LeanVibe", { log: true });
  private running: LanguageClient | undefined;

  constructor(
    private readonly onCommand: NonNullable<ExecuteCommandMiddleware["executeCommand"]>,
    private readonly onState: () => void,
  ) {}

  /** The client, also of a server that stopped; undefined when none was found. */
  get known(): LanguageClient | undefined {
    return this.running;
  }

  /** The client to speak with. Throws with the next step when there is none. */
  get client(): LanguageClient {
    if (!this.running?.isRunning()) throw new Error("The server is not running. Run “LeanVibe: Restart Server”.");
    return this.running;
  }

  /** Start the server. Without one, offer to install it. */
  async start(): Promise<void> {
    const command = await findServer();
    if (command === undefined) {
      this.onState();
      if (await offerInstall()) await this.start();
      return;
    }
    const executable = { command, transport: TransportKind.stdio } as const;
    this.running = new LanguageClient(SECTION, "LeanVibe", executable, this.options());
    this.running.onDidChangeState(() => {
      void commands.executeCommand("setContext", "leanvibe.running", this.running?.isRunning() ?? false);
      this.onState();
    });
    try {
      await this.running.start();
    } catch (error) {
      this.output.error(`${command} did not start: ${error instanceof Error ? error.message : String(error)}`);
      if (await window.showErrorMessage(`LeanVibe: ${command} did not start.`, "Show Output")) this.output.show();
    }
  }

  async stop(): Promise<void> {
    const client = this.running;
    this.running = undefined;
    if (client?.needsStop()) await client.stop();
    await client?.dispose();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  dispose(): void {
    this.output.dispose();
  }

  private options(): LanguageClientOptions {
    return {
      documentSelector: [{ scheme: "file" }, { scheme: "untitled" }],
      initializationOptions: chosen,
      outputChannel: this.output,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      middleware: {
        executeCommand: this.onCommand,
        workspace: {
          configuration: async (params, token, next) => {
            const asked = await next(params, token);
            if (!Array.isArray(asked)) return asked;
            return params.items.map(({ section, scopeUri }, index) => {
              const scope = scopeUri === undefined ? undefined : this.running?.protocol2CodeConverter.asUri(scopeUri);
              return section === SECTION ? chosen(scope) : asked[index];
            });
          },
          didChangeConfiguration: async () => {
            const settings = { [SECTION]: chosen() };
            await this.running?.sendNotification(DidChangeConfigurationNotification.type, { settings });
          },
        },
      },
    };
  }
}
