export interface TextPart {
  text: string;
  /** Only of http and https. */
  href?: string;
}

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/gi;
/** Punctuation after a link belongs to the sentence. */
const TRAILING = ".,;:!?)]}";

/** Splits a text into links and the text between them. */
export function splitLinks(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const link = trimLink(found);
    if (!URL.canParse(link)) continue;
    if (index > end) parts.push({ text: text.slice(end, index) });
    parts.push({ text: link, href: new URL(link).href });
    end = index + link.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

/** Keeps a closing bracket that was opened within the link. */
function trimLink(found: string): string {
  let end = found.length; // a regular expression would need quadratic time
  while (end > 0 && TRAILING.includes(found.charAt(end - 1))) end -= 1;
  const isBalanced = found.charAt(end) === ")" && found.slice(0, end).includes("(");
  return found.slice(0, end + (isBalanced ? 1 : 0));
}
