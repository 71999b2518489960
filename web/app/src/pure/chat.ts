// What the chat shows beside its lines.

/** How many lines of others came after the one that was read last; empty: none was read. */
export function unreadOf(lines: readonly { readonly id: string; readonly isOwn: boolean }[], lastRead: string): number {
  return lines.slice(lines.findLastIndex((l) => l.id === lastRead) + 1).filter((l) => !l.isOwn).length;
}

/** When something was said: of another day, with its date. Locale undefined: the browser's. */
export function timeOf(at: Date, now: Date, locale: string | undefined): string {
  const time = { hour: "2-digit", minute: "2-digit" } as const;
  if (at.toDateString() === now.toDateString()) return at.toLocaleTimeString(locale, time);
  return at.toLocaleString(locale, { day: "numeric", month: "short", ...time });
}
