// Who is there, by identity: from the first connection to the end of the last one.

import { asParleyError, type ParleyError } from "../errors.js";
import { emit, TypedEventTarget } from "../events.js";
import { limits } from "../wire.gen.js";
import type { Asker } from "./link.js";

export interface PresenceEvents {
  join: { readonly identity: string };
  leave: { readonly identity: string };
  /** What was watched is not allowed any more. */
  ended: { readonly error: ParleyError };
}

export class Presence extends TypedEventTarget<PresenceEvents> {
  readonly #asker: Asker;
  readonly #present = new Set<string>();
  readonly #named = new Set<string>();
  #watchesAll = false;

  /** @internal */
  constructor(asker: Asker) {
    super();
    this.#asker = asker;
  }

  /** Those of the watched who are there now. */
  get present(): ReadonlySet<string> {
    return this.#present;
  }

  /** Asks who is there, of those named or of all. */
  async list(identities?: readonly string[]): Promise<readonly string[]> {
    if (identities?.length === 0) return [];
    return (await this.#asker.insist("presence-read", identities ? { identities: [...identities] } : {})).identities;
  }

  /** From now on "join" and "leave" are told, of those named or of all, also over lost connections. Resolves with who is there. */
  async watch(identities?: readonly string[]): Promise<readonly string[]> {
    if (identities?.length === 0) return [];
    const present = await this.#subscribe(identities);
    if (identities) for (const identity of identities) this.#named.add(identity);
    else this.#watchesAll = true;
    for (const identity of present) this.#present.add(identity);
    return present;
  }

  /** Ends watching those named, or all at once; who is watched by name stays. */
  async unwatch(identities?: readonly string[]): Promise<void> {
    if (identities?.length === 0) return;
    if (identities) for (const identity of identities) this.#named.delete(identity);
    else this.#watchesAll = false;
    for (const identity of this.#present) if (!this.#isWatched(identity)) this.#present.delete(identity);
    await this.#asker.ask("presence-unsubscribe", identities ? { identities: [...identities] } : {});
  }

  /** @internal */
  joined(identity: string): void {
    if (this.#present.has(identity) || !this.#isWatched(identity)) return;
    this.#present.add(identity);
    emit(this, "join", { identity });
  }

  /** @internal */
  left(identity: string): void {
    if (this.#present.delete(identity)) emit(this, "leave", { identity });
  }

  /** @internal Subscribes again, and tells what has changed meanwhile. */
  async restore(): Promise<void> {
    const named = [...this.#named];
    if (!this.#watchesAll && named.length === 0) return;
    const now = new Set<string>();
    try {
      if (this.#watchesAll) for (const identity of await this.#subscribe()) now.add(identity);
      for (let i = 0; i < named.length; i += limits.maxBulkNames) {
        for (const identity of await this.#subscribe(named.slice(i, i + limits.maxBulkNames))) now.add(identity);
      }
    } catch (reason) {
      const error = asParleyError(reason);
      if (error.code !== "connection") this.end(error);
      return;
    }
    for (const identity of [...this.#present]) if (!now.has(identity)) this.left(identity);
    for (const identity of now) this.joined(identity);
  }

  /** @internal */
  unsubscribed(identity: string, error: ParleyError): void {
    if (identity === "") this.#watchesAll = false;
    else this.#named.delete(identity);
    for (const present of this.#present) if (!this.#isWatched(present)) this.#present.delete(present);
    emit(this, "ended", { error });
  }

  /** @internal */
  end(error: ParleyError): void {
    if (!this.#watchesAll && this.#named.size === 0) return;
    this.#watchesAll = false;
    this.#named.clear();
    this.#present.clear();
    emit(this, "ended", { error });
  }

  #isWatched(identity: string): boolean {
    return this.#watchesAll || this.#named.has(identity);
  }

  async #subscribe(identities?: readonly string[]): Promise<readonly string[]> {
    return (await this.#asker.insist("presence-subscribe", identities ? { identities: [...identities] } : {})).identities;
  }
}
