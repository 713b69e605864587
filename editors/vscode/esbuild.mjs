// Two bundles: the extension (node) and the script of its view (browser).
import { build, context } from "esbuild";

const shared = { bundle: true, sourcemap: "linked", sourcesContent: false, minify: true, logLevel: "info", outdir: "dist" };
const targets = [
  {
    ...shared,
    entryPoints: { extension: "src/extension.ts" },
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["vscode"],
  },
  { ...shared, entryPoints: { view: "src/webview/view.ts" }, platform: "browser", target: "es2022", format: "iife" },
];

if (process.argv.includes("--watch")) {
  for (const target of targets) await (await context(target)).watch();
} else {
  await Promise.all(targets.map(build));
}
