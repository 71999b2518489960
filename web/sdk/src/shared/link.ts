// What shared state needs of the session: to ask, and to know whether there is a connection.

import { asParleyError, type ParleyError } from "../errors.js";
import type { Requests, Scope } from "../wire.gen.js";

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

const retrySeconds = 1;

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

  /** Whether the same may go well a little later. */
  isCrowded(error: ParleyError): boolean {
    return !this.#link.isEnded && (error.code === "rate" || error.code === "overloaded");
  }

  nextCall(): number {
    return this.#link.nextCall();
  }

  ask<T extends Scoped>(type: T, body: Body<T>): Promise<Requests[T]["replyBody"]> {
    const scoped = this.#scope === "room" ? body : { scope: this.#scope, ...body };
    return this.#link.request(type, scoped as Requests[T]["body"]);
  }

  /** Asks again, later, while the server says that it is too much at once. */
  async insist<T extends Scoped>(type: T, body: Body<T>): Promise<Requests[T]["replyBody"]> {
    for (;;) {
      try {
        return await this.ask(type, body);
      } catch (reason) {
        const error = asParleyError(reason);
        if (!this.isCrowded(error)) throw error;
        await pause(error);
      }
    }
  }
}

export function pause(error: ParleyError): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, (error.retrySeconds ?? retrySeconds) * 1000));
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
