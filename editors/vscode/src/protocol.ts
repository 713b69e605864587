/** What the server says beside LSP, as far as it is shown. */

import type { Diagnostic, Location, Position, Range } from "vscode-languageclient/node";

export interface Place {
  textDocument: { uri: string };
  range?: Range;
  position?: Position;
}

/** The argument of the server's commands, as far as it is read here; what else is in it is handed on. */
export interface Target {
  uri: string;
  /** Of the document that `range` is of: another one is left alone. */
  version?: number;
  range?: Range;
  kind?: string;
  instruction?: string;
  diagnostic?: Diagnostic;
}

export interface Turn {
  role: "user" | "assistant";
  content: string;
  citations: Location[];
}

/** The result of `leanvibe/ask` and `leanvibe.explain`. */
export interface Answer {
  answer: string;
  tier: string;
  model: string;
  backend: string;
  confidence: { value: number; calibrated: boolean };
  citations: Location[];
  timing: { tokensPerSecond: number };
  finishReason: "stop" | "length" | "loop";
}

/** A partial result: more text, or word that another engine begins anew. */
export type Piece = string | { restart: string };

/** The result of `leanvibe.change`, or the data of its error: `draft` is what the model wrote and was not applied. */
export interface Unapplied {
  applied?: boolean;
  refusal?: string;
  draft?: string;
}

/** The report of `leanvibe/health`, as far as it is shown. */
export interface Health {
  status: "healthy" | "degraded" | "broken";
  state: string;
  version: string;
  python: string;
  platform: string;
  model: string | null;
  model_path: string | null;
  backend: string | null;
  device: string | null;
  tokens_per_second: number | null;
  memory_mb: number | null;
  window: number | null;
  chain: { candidate: string; chosen: boolean; reason: string }[];
  problems: { severity: string; what: string; next_step: string }[];
}
