import { workspace, type Uri } from "vscode";

export const SECTION = "leanvibe";

type Values = Record<string, unknown>;

/**
 * The server's settings that a person set. Those that nobody set are null, and are left out, so that they do not hide
 * what a `leanvibe.toml` says; `server` and `trace` are this extension's own.
 */
export function chosen(scope?: Uri): Values {
  const section = workspace.getConfiguration(undefined, scope ?? null).get<Values>(SECTION, {});
  return withoutNull({ ...section, server: null, trace: null });
}

function withoutNull(values: Values): Values {
  const kept = Object.entries(values).filter(([, value]) => value !== null);
  return Object.fromEntries(kept.map(([name, value]) => [name, isObject(value) ? withoutNull(value) : value]));
}

function isObject(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
