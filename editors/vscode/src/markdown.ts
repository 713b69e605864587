import MarkdownIt from "markdown-it";

/** What a model writes is not trusted: no HTML of its own, and no image, whose address would be fetched. */
const markdown = new MarkdownIt({ html: false }).disable("image");

export function toHtml(text: string): string {
  return markdown.render(text);
}
