// Names that the server knows this session by: events that it is subscribed to, RPCs that it provides. They are kept over lost sessions.

import { asParleyError, fromWire, ParleyError } from "../errors.js";
import { limits, type NameResult } from "../wire.gen.js";
import type { Asker } from "./link.js";
import { checkName } from "./json.js";

interface Kept<T> {
  readonly users: Set<T>;
  readonly ready: Promise<void>;
  settle(error?: ParleyError): void;
}

export class Names<T> {
  readonly #asker: Asker;
  readonly #add: "event-subscribe" | "rpc-provide";
  readonly #remove: "event-unsubscribe" | "rpc-unprovide";
  readonly #kept = new Map<string, Kept<T>>();

  constructor(asker: Asker, add: "event-subscribe" | "rpc-provide", remove: "event-unsubscribe" | "rpc-unprovide") {
    this.#asker = asker;
    this.#add = add;
    this.#remove = remove;
  }

  /** Who uses a name. */
  of(name: string): readonly T[] {
    return [...(this.#kept.get(name)?.users ?? [])];
  }

  /** Resolves when the server knows the name; with how to end it. */
  async use(name: string, user: T): Promise<() => void> {
    checkName(name);
    let kept = this.#kept.get(name);
    if (!kept) {
      kept = keep<T>();
      this.#kept.set(name, kept);
      void this.#ask([name]);
    }
    kept.users.add(user);
    await kept.ready;
    return () => this.#leave(name, user);
  }

  /** The server has forgotten all of it. */
  restore(): void {
    const names = [...this.#kept.keys()];
    for (let i = 0; i < names.length; i += limits.maxBulkNames) void this.#ask(names.slice(i, i + limits.maxBulkNames));
  }

  /** It is not allowed any more, or the session has ended. */
  end(error: ParleyError, names: Iterable<string> = [...this.#kept.keys()]): void {
    for (const name of names) {
      this.#kept.get(name)?.settle(error);
      this.#kept.delete(name);
    }
  }

  #leave(name: string, user: T): void {
    const kept = this.#kept.get(name);
    if (!kept?.users.delete(user) || kept.users.size > 0) return;
    this.#kept.delete(name);
    this.#asker.ask(this.#remove, { names: [name] }).catch(() => undefined);
  }

  async #ask(names: readonly string[]): Promise<void> {
    const asked = names.map((name) => this.#kept.get(name));
    const settle = (i: number, error?: ParleyError): void => {
      const [name, kept] = [names[i] ?? "", asked[i]];
      if (!kept || this.#kept.get(name) !== kept) return;
      if (error) this.end(error, [name]);
      else kept.settle();
    };
    try {
      const results: readonly NameResult[] = (await this.#asker.insist(this.#add, { names: [...names] })).results;
      names.forEach((_, i) => settle(i, results[i]?.error && fromWire(results[i].error)));
    } catch (reason) {
      const error = asParleyError(reason);
      if (error.code !== "connection") names.forEach((_, i) => settle(i, error)); // else all of them are restored
    }
  }
}

function keep<T>(): Kept<T> {
  let settle: Kept<T>["settle"] = () => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    settle = (error) => (error ? reject(error) : resolve());
  });
  ready.catch(() => undefined); // it is told to who uses the name
  return { users: new Set(), ready, settle };
}
