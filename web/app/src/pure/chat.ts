// What the chat shows beside its lines.

/** How many lines of others came after the one that was read last; empty: none was read. */
export function unreadOf(lines: readonly { readonly id: string; readonly isOwn: boolean }[], lastRead: string): number {
  return lines.slice(lines.findLastIndex((l) => l.id === lastRead) + 1).filter((l) => !l.isOwn).length;
}

/** When something was said: of another day, with its date. Locale undefined: the browser's. */
export function timeOf(at: Date, now: Date, locale: string | undefined): string {
  const { time, dateAndTime } = formatsOf(locale);
  return (at.toDateString() === now.toDateString() ? time : dateAndTime).format(at);
}

interface Formats {
  readonly time: Intl.DateTimeFormat;
  readonly dateAndTime: Intl.DateTimeFormat;
}

const formats = new Map<string | undefined, Formats>();

/** Made once: making one takes a hundred times as long as using it. */
function formatsOf(locale: string | undefined): Formats {
  let found = formats.get(locale);
  if (!found) {
    const time = { hour: "2-digit", minute: "2-digit" } as const;
    found = {
      time: new Intl.DateTimeFormat(locale, time),
      dateAndTime: new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", ...time }),
    };
    formats.set(locale, found);
  }
  return found;
}

/** What is made of each message, once: what shows it need not look at it again. */
export function madeOnce<M extends object, L>(make: (message: M) => L): (message: M) => L {
  const made = new WeakMap<M, L>();
  return (message) => {
    const line = made.get(message) ?? make(message);
    made.set(message, line);
    return line;
  };
}
