/** The script of the view: puts what it is sent into the page, and says what a person did. */

declare function acquireVsCodeApi(): { postMessage(message: unknown): void };

interface Message {
  title: string;
  html: string;
  status: string;
  state: "running" | "answered" | "ended";
}

const host = acquireVsCodeApi();
const parts = {
  title: element("title", HTMLElement),
  answer: element("answer", HTMLElement),
  status: element("status", HTMLElement),
  stop: element("stop", HTMLButtonElement),
  form: element("form", HTMLFormElement),
  question: element("question", HTMLInputElement),
};

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no #${id}`);
  return found;
}

/** Replace only the blocks that differ, so that a selection in the others stays. */
function show(html: string): void {
  const template = document.createElement("template");
  template.innerHTML = html;
  const [before, after] = [[...parts.answer.childNodes], [...template.content.childNodes]];
  const same = before.findIndex((node, index) => !after[index]?.isEqualNode(node));
  const kept = same < 0 ? before.length : same;
  for (const node of before.slice(kept)) node.remove();
  parts.answer.append(...after.slice(kept));
}

window.addEventListener("message", ({ data }: MessageEvent<Message>) => {
  const root = document.documentElement;
  const atEnd = root.scrollHeight - root.scrollTop - root.clientHeight < 40;
  parts.title.textContent = data.title;
  show(data.html);
  parts.status.textContent = data.status;
  parts.stop.hidden = data.state !== "running";
  parts.form.hidden = data.state !== "answered";
  document.body.dataset["state"] = data.state;
  if (atEnd && data.state === "running") root.scrollTop = root.scrollHeight;
});

parts.stop.addEventListener("click", () => host.postMessage({ kind: "stop" }));
parts.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = parts.question.value.trim();
  if (question === "") return;
  parts.question.value = "";
  host.postMessage({ kind: "ask", question });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !parts.stop.hidden) host.postMessage({ kind: "stop" });
});
host.postMessage({ kind: "ready" });
