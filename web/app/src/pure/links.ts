// Links in chat. Text is cut into parts; what is a link becomes an element by the caller, never by parsing HTML.

export type Part = { readonly is: "text"; readonly text: string } | { readonly is: "link"; readonly text: string; readonly href: string };

/** An address with a scheme that is safe to open, or one that begins with www. */
const candidate = /\b(?:https?:\/\/|www\.)[^\s<>"'`]+|\bmailto:[^\s<>"'`]+/giu;

/** Cuts text into plain parts and links; the parts' texts together are the text. */
export function findLinks(text: string): Part[] {
  const parts: Part[] = [];
  let done = 0;
  for (const match of text.matchAll(candidate)) {
    const shown = withoutTail(match[0]);
    const href = addressOf(shown);
    if (href === undefined) continue;
    if (match.index > done) parts.push({ is: "text", text: text.slice(done, match.index) });
    parts.push({ is: "link", text: shown, href });
    done = match.index + shown.length;
  }
  if (done < text.length) parts.push({ is: "text", text: text.slice(done) });
  return parts;
}

/** Marks that end a sentence are not part of an address, nor is a bracket that was opened before it. */
function withoutTail(text: string): string {
  let kept = text;
  for (;;) {
    const last = kept.at(-1) ?? "";
    const closes = { ")": "(", "]": "[", "}": "{" }[last];
    const isTail = /[.,:;!?…*_~]/u.test(last) || (closes !== undefined && count(kept, last) > count(kept, closes));
    if (!isTail) return kept;
    kept = kept.slice(0, -1);
  }
}

function count(text: string, character: string): number {
  return text.split(character).length - 1;
}

function addressOf(text: string): string | undefined {
  try {
    const url = new URL(/^www\./i.test(text) ? `https://${text}` : text);
    if (url.protocol === "mailto:") return url.pathname.includes("@") ? url.href : undefined;
    const isWeb = url.protocol === "https:" || url.protocol === "http:";
    // "https://bank.example@evil.example" shows another host than it opens.
    return isWeb && url.username === "" && url.password === "" && url.hostname !== "" ? url.href : undefined;
  } catch {
    return undefined;
  }
}
