// A browser window on a code-server, for the drivers beside this file. What a driver finds goes into its report.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const NO_NETWORK = ["--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];

/** What the test gave to this driver. */
export const given = JSON.parse(process.argv[2]);

/** Open a window, let `act` work in it, and write what it returns, or how it failed, as the report. */
export async function inWindow(act) {
  const { chromium } = createRequire(`${given.playwright}/package.json`)("playwright-core");
  const browser = await chromium.launch({ executablePath: given.browser, args: [...FLAGS, ...NO_NETWORK] });
  let facts;
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 640 }, reducedMotion: "reduce" });
    facts = await act(page);
  } catch (error) {
    facts = { error: String(error?.stack ?? error) };
  }
  writeFileSync(given.report, JSON.stringify(facts));
  await browser.close();
  process.exit(0);
}

/** The address of the window on a folder; `payload` as VS Code's web client takes it. */
export function address(folder, payload) {
  const url = new URL(`http://${given.host}/`);
  url.searchParams.set("folder", folder);
  if (payload) url.searchParams.set("payload", JSON.stringify(payload));
  return url.href;
}
