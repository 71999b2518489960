// What shared state needs of the session: to ask, and to know whether there is a connection.

import { asParleyError, isPassing, type ParleyError } from "../errors.js";
import { limits, type Requests, type Scope } from "../wire.gen.js";
import { maxPauseSeconds } from "./limits.js";

/** The session, as shared state sees it. */
export interface StateLink {
  /** Requests reach the server now. */
  readonly isOpen: boolean;
  /** Who writes here. */
  readonly identity: string;
  /** Nothing reaches it ever again. */
  readonly isEnded: boolean;
  /** The number of the next call: unique in the session. */
  nextCall(): number;
  request<T extends keyof Requests>(type: T, body: Requests[T]["body"]): Promise<Requests[T]["replyBody"]>;
}

/** Requests whose body names a scope. */
type Scoped = { [T in keyof Requests]: Requests[T]["body"] extends { scope?: Scope } ? T : never }[keyof Requests];

type Body<T extends Scoped> = Omit<Requests[T]["body"], "scope">;

/** Asks about one scope. */
export class Asker {
  readonly #link: StateLink;
  readonly #scope: Scope;

  constructor(link: StateLink, scope: Scope) {
    this.#link = link;
    this.#scope = scope;
  }

  get isOpen(): boolean {
    return this.#link.isOpen;
  }

  get identity(): string {
    return this.#link.identity;
  }

  /** Nothing reaches the server ever again. */
  get isEnded(): boolean {
    return this.#link.isEnded;
  }

  /** Whether the same may go well a little later. */
  isCrowded(error: ParleyError): boolean {
    return !this.isEnded && (error.code === "rate" || error.code === "overloaded");
  }

  /** Whether what is kept over lost sessions will be asked for again in the next one. */
  isRestored(error: ParleyError): boolean {
    return !this.isEnded && error.code === "connection";
  }

  nextCall(): number {
    return this.#link.nextCall();
  }

  ask<T extends Scoped>(type: T, body: Body<T>): Promise<Requests[T]["replyBody"]> {
    const scoped = this.#scope === "room" ? body : { scope: this.#scope, ...body };
    return this.#link.request(type, scoped as Requests[T]["body"]);
  }

  /** Asks again, later, while the server says that it is too much at once. The body is made anew each time; undefined: nothing is asked. */
  insist<T extends Scoped>(type: T, body: () => Body<T> | undefined): Promise<Requests[T]["replyBody"] | undefined> {
    return this.#persist(type, body, (error) => this.isCrowded(error));
  }

  /** The same for what is kept until somebody ends it: nothing that passes is its end. */
  keep<T extends Scoped>(type: T, body: () => Body<T> | undefined): Promise<Requests[T]["replyBody"] | undefined> {
    return this.#persist(type, body, (error) => !this.isEnded && error.code !== "connection" && isPassing(error));
  }

  async #persist<T extends Scoped>(type: T, body: () => Body<T> | undefined, passes: (error: ParleyError) => boolean): Promise<Requests[T]["replyBody"] | undefined> {
    for (let attempt = 0; ; attempt++) {
      const now = body();
      if (now === undefined) return undefined;
      try {
        return await this.ask(type, now);
      } catch (reason) {
        const error = asParleyError(reason);
        if (!passes(error)) throw error;
        await pause(error, attempt);
      }
    }
  }
}

/** As long as the server says, and longer with each attempt. */
export function pause({ retrySeconds = 1 }: ParleyError, attempt = 0): Promise<void> {
  const seconds = Math.max(retrySeconds, Math.min(2 ** attempt, maxPauseSeconds));
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** What is told to whoever made something that is kept. */
export interface EndHandler {
  /** It has ended, and not because this client ended it: it is not allowed any more, or the room is over. */
  ended?(error: ParleyError): void;
}

/** Names whose subscriptions end, in requests of as many as there may be. */
export class Ending {
  readonly #names = new Set<string>();
  readonly #isUsed: (name: string) => boolean;
  readonly #end: (names: () => string[] | undefined) => Promise<unknown>;
  #isRunning = false;

  /** End asks the server; it is given the names anew for each attempt. */
  constructor(isUsed: (name: string) => boolean, end: (names: () => string[] | undefined) => Promise<unknown>) {
    this.#isUsed = isUsed;
    this.#end = end;
  }

  add(name: string): void {
    this.#names.add(name);
    if (this.#isRunning) return;
    this.#isRunning = true;
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#names.size > 0) {
      let asked: string[] = [];
      const next = (): string[] | undefined => {
        const left = [...new Set([...asked, ...this.#names])].filter((name) => !this.#isUsed(name)); // perhaps it is used again
        asked = left.slice(0, limits.maxBulkNames);
        this.#names.clear();
        for (const name of left.slice(limits.maxBulkNames)) this.#names.add(name);
        return asked.length > 0 ? asked : undefined;
      };
      await this.#end(next).catch(() => undefined); // the server knows no more of them
    }
    this.#isRunning = false;
  }
}

/** Calls what the application has given; what that throws is the page's, as with event listeners. */
export function tell(act: () => unknown): void {
  try {
    act();
  } catch (reason) {
    queueMicrotask(() => {
      throw reason;
    });
  }
}
