// Who is there, by identity: from the first connection to the end of the last one.

import { asParleyError, fromWire, type ParleyError } from "../errors.js";
import { emit, TypedEventTarget } from "../events.js";
import { limits, type Present } from "../wire.gen.js";
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
  #reading = 0; // lists that have more than one page and are being read
  readonly #gone = new Set<string>(); // meanwhile

  /** @internal */
  constructor(asker: Asker) {
    super();
    this.#asker = asker;
  }

  /** Those of the watched who are there now. */
  get present(): ReadonlySet<string> {
    return this.#present;
  }

  /** Asks who is there, of those named or of all. Rejects where none of those named may be asked about. */
  async list(identities?: readonly string[]): Promise<readonly string[]> {
    if (identities?.length === 0) return [];
    const first = await this.#asker.insist("presence-read", identities ? { identities: [...identities] } : {});
    if (identities) allowed(first, identities);
    return this.#all(first);
  }

  /**
   * From now on "join" and "leave" are told, of those named or of all, also over lost connections. Resolves with who is there. Where some of those
   * named may not be watched, "ended" says so; where none may, it rejects.
   */
  async watch(identities?: readonly string[]): Promise<readonly string[]> {
    if (identities?.length === 0) return [];
    const answer = await this.#subscribe(identities);
    if (identities) for (const identity of allowed(answer, identities)) this.#named.add(identity);
    else this.#watchesAll = true;
    const present = await this.#all(answer);
    for (const identity of present) this.#present.add(identity);
    for (const { error } of answer.refused ?? []) if (error) emit(this, "ended", { error: fromWire(error) });
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
    this.#gone.delete(identity);
    if (this.#present.has(identity) || !this.#isWatched(identity)) return;
    this.#present.add(identity);
    emit(this, "join", { identity });
  }

  /** @internal */
  left(identity: string): void {
    if (this.#reading > 0) this.#gone.add(identity);
    if (this.#present.delete(identity)) emit(this, "leave", { identity });
  }

  /** @internal Subscribes again, and tells what has changed meanwhile. */
  async restore(): Promise<void> {
    const named = [...this.#named];
    if (!this.#watchesAll && named.length === 0) return;
    const now = new Set<string>();
    try {
      if (this.#watchesAll) for (const identity of await this.#all(await this.#subscribe())) now.add(identity);
      for (let i = 0; i < named.length; i += limits.maxBulkNames) {
        const answer = await this.#subscribe(named.slice(i, i + limits.maxBulkNames));
        for (const identity of answer.identities) now.add(identity);
        for (const { name, error } of answer.refused ?? []) if (error) this.unsubscribed(name, fromWire(error));
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

  #subscribe(identities?: readonly string[]): Promise<Present> {
    return this.#asker.insist("presence-subscribe", identities ? { identities: [...identities] } : {});
  }

  /** What the answer has, and what it says is more. */
  async #all(first: Present): Promise<readonly string[]> {
    if (!first.more) return first.identities;
    const all = [...first.identities];
    this.#reading++;
    try {
      for (let more: boolean | undefined = true; more; ) {
        const next: Present = await this.#asker.insist("presence-read", { after: all.at(-1) ?? "" });
        all.push(...next.identities);
        more = next.more;
      }
      return all.filter((identity) => !this.#gone.has(identity));
    } finally {
      if (--this.#reading === 0) this.#gone.clear();
    }
  }
}

/** Those of the named that were not refused; it throws where there is none. */
function allowed(answer: Present, identities: readonly string[]): readonly string[] {
  const refused = new Map((answer.refused ?? []).map((r) => [r.name, r.error]));
  const rest = identities.filter((identity) => !refused.has(identity));
  const [error] = refused.values();
  if (rest.length === 0 && error) throw fromWire(error);
  return rest;
}
