// Chat from before what the server gives to who joins: read from the room's log, from its end to its beginning.

import { ParleyError } from "./errors.js";
import type { ChatMessage, Log, LogRead } from "./wire.gen.js";
import { limits } from "./wire.gen.js";

/** In one call: the log holds other things too, and a room with little chat has many pages of those. */
const maxPages = 8;

export type ReadLog = (body: LogRead) => Promise<Log>;

export class ChatHistory {
  readonly #ask: ReadLog;
  #first = 0;
  /** The oldest entry that was read; undefined: none was. */
  #oldest: number | undefined;

  constructor(read: ReadLog) {
    this.#ask = read;
  }

  /** Nothing older is left. */
  get isOver(): boolean {
    return this.#oldest !== undefined && this.#oldest <= this.#first;
  }

  /** The next older messages, oldest first: those of the first page that has some of which isKnown says no. */
  async older(isKnown: (message: ChatMessage) => boolean): Promise<readonly ChatMessage[]> {
    if (this.#oldest === undefined) {
      const { first, last } = await this.#read({ after: 0, limit: 1 });
      [this.#first, this.#oldest] = [first, last + 1];
    }
    for (let page = 0; page < maxPages && !this.isOver; page++) {
      const found = (await this.#page(this.#oldest)).filter((m) => !isKnown(m));
      if (found.length > 0) return found;
    }
    return [];
  }

  /** The messages among the entries before a cursor. One reply has not all of them where they are long. */
  async #page(before: number): Promise<ChatMessage[]> {
    const start = Math.max(this.#first, before - limits.maxLogEntries);
    const messages: ChatMessage[] = [];
    for (let after = start - 1; after < before - 1; ) {
      const page = await this.#read({ after, limit: before - 1 - after });
      this.#first = page.first;
      messages.push(...page.entries.filter((e) => e.type === "chat" && e.cursor < before).map((e) => e.body as ChatMessage));
      after = Math.max(page.after, after + 1); // what may not be read is left out, perhaps all of a page
    }
    this.#oldest = start;
    return messages;
  }

  async #read(body: LogRead): Promise<Log> {
    try {
      return await this.#ask(body);
    } catch (reason) {
      if (reason instanceof ParleyError && reason.code === "unsupported") this.#oldest = this.#first; // there is no log
      throw reason;
    }
  }
}
