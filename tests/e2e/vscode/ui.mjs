// Does with the window what a person would, and reports what there was to see. What must hold is said in test_vscode.py.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { address, given, inWindow } from "./window.mjs";

const EDITOR = ".editor-instance .monaco-editor";
const facts = {};
let page;

await inWindow(async (opened) => {
  page = opened;
  page.setDefaultTimeout(given.seconds * 1000);
  try {
    await act();
  } catch (error) {
    await shoot("failed");
    throw error;
  }
  return facts;
});

async function act() {
  const file = `vscode-remote://${given.host}${join(given.workspace, "shop.py")}`;
  await page.goto(address(given.workspace, [["openFile", file]]));
  await page.locator(`${EDITOR} .view-line`).first().waitFor();
  await page.locator(`${EDITOR} .squiggly-error`).waitFor();
  await page.keyboard.press("Control+b"); // the side bar is of no use here
  await page.locator(".part.sidebar").waitFor({ state: "hidden" });
  facts.warning = await hoverOver(page.locator(`${EDITOR} .squiggly-warning`).first(), "warning");
  facts.symbol = await hoverOver(word("total"), "symbol");
  await ask();
  await hoverOver(page.locator(`${EDITOR} .squiggly-error`).first(), "window");
  await askOn();
  await mend();
  await suppress();
  facts.status = (await page.locator('[id^="leanvibe.leanvibe"]').innerText()).trim();
  await suggest();
  await lose();
}

/** The bulb's menu offers the rule's own fix; taking it ends the squiggle. */
async function mend() {
  const squiggle = page.locator(`${EDITOR} .squiggly-error`);
  await put(squiggle.first());
  facts.mend = await choose(given.fix);
  await count(squiggle, 0);
  facts.mend.text = await textOf("SPRING");
}

/** Ignoring a finding writes the comment that does so. */
async function suppress() {
  const squiggle = page.locator(`${EDITOR} .squiggly-warning`);
  await put(squiggle.first());
  facts.suppress = await choose(given.ignore);
  await count(squiggle, 0);
  facts.suppress.text = await textOf("leanvibe");
}

/** By the palette; the answer grows in the view. */
async function ask() {
  await put(word("total"));
  await page.keyboard.press("Home");
  for (let line = 0; line < 3; line++) await page.keyboard.press("Shift+ArrowDown");
  await command("LeanVibe: Ask");
  await page.locator(".quick-input-widget", { hasText: "Ask LeanVibe" }).waitFor();
  await page.keyboard.type(given.question);
  await page.keyboard.press("Enter");
  const view = await answerView();
  const texts = await view.evaluate(watch, { state: "answered", milliseconds: given.seconds * 1000 });
  facts.ask = { texts, title: await view.locator("#title").innerText(), status: await view.locator("#status").innerText() };
  facts.policy = await view.evaluate(() => document.querySelector("meta[http-equiv]").content);
}

/** A follow-up from the view, stopped by its button. */
async function askOn() {
  const view = await answerView();
  await view.locator("#question").fill(given.long);
  await view.locator("#question").press("Enter");
  await view.waitForFunction(
    (title) => document.querySelector("#title").innerText === title && document.querySelector("#answer").innerText !== "",
    given.long,
  );
  await view.locator("#stop").click();
  await view.waitForFunction(() => document.body.dataset.state === "ended");
  const [text, status] = await Promise.all(["#answer", "#status"].map((part) => view.locator(part).innerText()));
  facts.stop = { text, status, hidden: await view.locator("#stop").isHidden() };
}

/** Switched on, a suggestion stands in grey behind the cursor, and Tab takes it. */
async function suggest() {
  configure({ "leanvibe.inlineCompletion.enabled": true });
  await put(page.locator(`${EDITOR} .view-line`).last());
  const ghost = page.locator(`${EDITOR} [class*="ghost-text-decoration"]`).first();
  await page.keyboard.type(given.typed, { delay: 30 });
  await ghost.waitFor();
  await shoot("suggestion");
  const suggested = (await ghost.innerText()).replaceAll("\u00a0", " ");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape"); // what was not taken goes away
  await count(ghost, 0);
  facts.suggestion = { suggested, after: await textOf(given.typed.trim()) };
}

/** Without a server a message says why, and offers the next step. */
async function lose() {
  configure({ "leanvibe.server.path": "/nowhere/leanvibe-lsp" });
  facts.wrongPath = await message("is no program");
  configure({ "leanvibe.server.path": "" });
  facts.notFound = await message("was not found");
}

/** Write into the settings as a person would, with an editor of its own. */
function configure(values) {
  const settings = JSON.parse(readFileSync(given.settings, "utf8"));
  writeFileSync(given.settings, JSON.stringify({ ...settings, ...values }));
}

/** The lines of the message that says this. */
async function message(said) {
  const toast = page.locator(".notification-toast", { hasText: said });
  await toast.waitFor();
  return (await toast.innerText()).split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

/** In the view's page: every text of the answer until it has reached a state. */
function watch({ state, milliseconds }) {
  return new Promise((resolve, reject) => {
    const texts = [];
    const look = () => {
      const text = document.querySelector("#answer").innerText;
      if (text !== texts.at(-1)) texts.push(text);
      if (document.body.dataset.state === state) resolve(texts);
      else if (document.body.dataset.state === "ended") reject(new Error(document.body.innerText));
      else setTimeout(look, 10);
    };
    look();
    setTimeout(() => reject(new Error(`not ${state}: ${document.body.innerText}`)), milliseconds);
  });
}

async function answerView() {
  const outer = await page.waitForSelector(".webview.ready");
  const middle = await outer.contentFrame();
  const inner = await middle.waitForSelector("#active-frame");
  const view = await inner.contentFrame();
  await view.waitForFunction(() => document.body.dataset.state !== undefined);
  return view;
}

async function hoverOver(place, picture) {
  const hover = page.locator(".monaco-hover:visible .hover-row").first();
  // What is under the pointer may move while the window is laid out: a person moves the pointer again.
  for (let attempt = 0; attempt < 5 && !(await hover.isVisible()); attempt++) {
    await page.mouse.move(5, 300);
    await place.hover({ force: true });
    await hover.waitFor({ timeout: 3000 }).catch(() => {});
  }
  const text = await page.locator(".monaco-hover:visible").first().innerText();
  await shoot(picture);
  await page.mouse.move(5, 300);
  await page.locator(".monaco-hover:visible").first().waitFor({ state: "hidden" });
  return text;
}

/** Put the cursor there. */
async function put(place) {
  await place.click({ force: true });
}

/** Open the bulb's menu, take what has this title, and say what there was. */
async function choose(title) {
  await page.locator(".lightBulbWidget, .codicon-gutter-lightbulb, .codicon-gutter-lightbulb-auto-fix").first().waitFor();
  const menu = page.locator(".action-widget .monaco-list-row");
  // Asked right after an edit, VS Code may say that there is nothing: a person presses the keys again.
  for (let attempt = 0; attempt < 3 && (await menu.count()) === 0; attempt++) {
    await page.keyboard.press("Control+.");
    await menu.first().waitFor({ timeout: 5000 }).catch(() => {});
  }
  const titles = (await menu.allInnerTexts()).map((text) => text.trim());
  await shoot(`menu-${facts.mend ? 2 : 1}`);
  const chosen = page.locator(".action-widget .monaco-list-row.focused", { hasText: title });
  for (let step = 0; (await chosen.count()) === 0 && step < titles.length; step++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  return { titles };
}

async function command(title) {
  await page.keyboard.press("F1");
  await page.locator(".quick-input-widget input").first().waitFor();
  await page.keyboard.type(title);
  await page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first().waitFor();
  await page.keyboard.press("Enter");
}

/** The first place of a name in the code. */
function word(name) {
  return page.locator(`${EDITOR} .view-line span span`, { hasText: new RegExp(`^\\W*${name}$`) }).first();
}

async function textOf(part) {
  const text = await page.locator(`${EDITOR} .view-line`, { hasText: part }).first().innerText();
  return text.replaceAll("\u00a0", " ");
}

/** Wait until so many are left. */
async function count(locator, wanted) {
  while ((await locator.count()) !== wanted) await page.waitForTimeout(50);
}

async function shoot(name) {
  await page.screenshot({ path: join(given.pictures, `${name}.png`) });
}
