// Names that the server knows this session by: events that it is subscribed to, RPCs that it provides. They are kept over lost sessions.

import { asParleyError, fromWire, ParleyError } from "../errors.js";
import { limits, type NameResult } from "../wire.gen.js";
import { checkName } from "./json.js";
import { type Asker, Ending, type EndHandler, tell } from "./link.js";

interface Entry<T> {
  readonly users: Set<T>;
  readonly ready: Promise<void>;
  isReady: boolean;
  settle(error?: ParleyError): void;
}

export class Names<T extends EndHandler> {
  readonly #asker: Asker;
  readonly #add: "event-subscribe" | "rpc-provide";
  readonly #ending: Ending;
  readonly #kept = new Map<string, Entry<T>>();

  constructor(asker: Asker, add: "event-subscribe" | "rpc-provide", remove: "event-unsubscribe" | "rpc-unprovide") {
    this.#asker = asker;
    this.#add = add;
    this.#ending = new Ending(
      (name) => this.#kept.has(name),
      (next) => asker.insist(remove, () => {
        const names = next();
        return names && { names };
      }),
    );
  }

  /** Who uses a name. */
  of(name: string): readonly T[] {
    return [...(this.#kept.get(name)?.users ?? [])];
  }

  /** Calls what tells whoever uses a name, one after the other. What one does may end another. */
  each(name: string, act: (user: T) => void): void {
    const users = this.#kept.get(name)?.users;
    for (const user of [...(users ?? [])]) if (users?.has(user)) tell(() => act(user));
  }

  /** Resolves when the server knows the name; with how to end it. */
  async use(name: string, user: T): Promise<() => void> {
    checkName(name);
    let entry = this.#kept.get(name);
    if (!entry) {
      entry = keep<T>();
      this.#kept.set(name, entry);
      void this.#ask([name]);
    }
    entry.users.add(user);
    await entry.ready;
    const { users } = entry;
    return () => this.#leave(name, users, user);
  }

  /** The server has forgotten all of it. */
  restore(): void {
    const names = [...this.#kept.keys()];
    for (let i = 0; i < names.length; i += limits.maxBulkNames) void this.#ask(names.slice(i, i + limits.maxBulkNames));
  }

  /** It is not allowed any more, or the session has ended. */
  end(error: ParleyError, names: Iterable<string> = [...this.#kept.keys()]): void {
    for (const name of names) {
      const entry = this.#kept.get(name);
      this.#kept.delete(name);
      if (entry?.isReady) for (const user of entry.users) tell(() => user.ended?.(error));
      else entry?.settle(error);
    }
  }

  #leave(name: string, users: Set<T>, user: T): void {
    if (!users.delete(user) || users.size > 0 || this.#kept.get(name)?.users !== users) return;
    this.#kept.delete(name);
    this.#ending.add(name);
  }

  async #ask(names: readonly string[]): Promise<void> {
    const entries = names.map((name) => this.#kept.get(name));
    const isKept = (name: string, i: number): boolean => entries[i] !== undefined && this.#kept.get(name) === entries[i];
    let asked: readonly string[] = [];
    const settle = (result: (i: number) => ParleyError | undefined): void => {
      names.forEach((name, i) => {
        if (!isKept(name, i)) return;
        const error = result(asked.indexOf(name));
        if (error?.code === "limit" && asked.length > 1) void this.#ask([name]); // perhaps only of what one request may ask for
        else if (error) this.end(error, [name]);
        else entries[i]?.settle();
      });
    };
    try {
      const reply = await this.#asker.keep(this.#add, () => {
        asked = names.filter(isKept);
        return asked.length > 0 ? { names: [...asked] } : undefined;
      });
      const results: readonly NameResult[] = reply?.results ?? [];
      settle((i) => results[i]?.error && fromWire(results[i].error));
    } catch (reason) {
      const error = asParleyError(reason);
      if (!this.#asker.isRestored(error)) settle(() => error);
    }
  }
}

function keep<T>(): Entry<T> {
  let settle: Entry<T>["settle"] = () => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    settle = (error) => {
      entry.isReady ||= !error;
      if (error) reject(error);
      else resolve();
    };
  });
  ready.catch(() => undefined); // it is told to who uses the name
  const entry: Entry<T> = { users: new Set(), ready, isReady: false, settle: (error) => settle(error) };
  return entry;
}
