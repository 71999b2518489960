// Who is there, by identity: from the first connection to the end of the last one.

import { asParleyError, fromWire, type ParleyError } from "../errors.js";
import { emit, type Listener, TypedEventTarget } from "../events.js";
import { limits, type NameResult, type Present } from "../wire.gen.js";
import type { Asker } from "./link.js";

export interface PresenceEvents {
  join: { readonly identity: string };
  leave: { readonly identity: string };
  /** What was watched is not allowed any more, or the room is over: those identities; undefined: all at once. */
  ended: { readonly error: ParleyError; readonly identities: readonly string[] | undefined };
}

/** One identity that is watched, or all of them. */
interface Watch {
  readonly ready: Promise<void>;
  /** Once it was known who is there. */
  isReady: boolean;
  /** Asked: the server tells nothing yet, or no more. Told: it tells who comes and goes. Known: and who was there before is known. */
  at: "asked" | "told" | "known";
  /** The newest request for it: only its reply counts. */
  ask: number;
  begin(): void;
  fail(error: ParleyError): void;
}

/** The key of the watch of all. */
const all = "";

/**
 * Who comes and goes. Whoever begins to listen to "join" or "leave" while nobody is watched watches all, unless watch() or unwatch() says otherwise
 * after that in the same task.
 */
export class Presence extends TypedEventTarget<PresenceEvents> {
  readonly #asker: Asker;
  readonly #present = new Set<string>();
  readonly #watched = new Map<string, Watch>();
  #asks = 0;
  #hasListened = false; // in this task, and has not said since who is to be watched
  #reading = 0; // lists of those who are watched that are not read to their end
  readonly #told = new Set<string>(); // who has come or gone meanwhile

  /** @internal */
  constructor(asker: Asker) {
    super();
    this.#asker = asker;
  }

  /** Those of the watched who are there now. */
  get present(): ReadonlySet<string> {
    return this.#present;
  }

  override addEventListener<K extends keyof PresenceEvents & string>(
    type: K,
    listener: Listener<PresenceEvents, K> | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener, options);
    if (type === "ended") return;
    this.#hasListened = true;
    queueMicrotask(() => this.#watchByListening());
  }

  /** Asks who is there, of those named or of all. Rejects where none of those named may be asked about. */
  async list(identities?: readonly string[]): Promise<readonly string[]> {
    if (!identities) return this.#readAll(await this.#asker.insist("presence-read", () => ({})));
    const found: string[] = [];
    const refused: NameResult[] = [];
    const wanted = [...new Set(identities)];
    const queue = chunks(wanted);
    for (let part = queue.shift(); part; part = queue.shift()) {
      const asked = part;
      const reply = await this.#asker.insist("presence-read", () => ({ identities: asked }));
      found.push(...(reply?.identities ?? []));
      // What was too much together is asked for again.
      const apart = (reply?.refused ?? []).filter(({ error }) => error?.code === "limit").map(({ name }) => name);
      const isAgain = apart.length < asked.length;
      if (isAgain && apart.length > 0) queue.push(apart);
      refused.push(...(reply?.refused ?? []).filter(({ name }) => !isAgain || !apart.includes(name)));
    }
    const error = refused[0]?.error;
    if (error && refused.length === wanted.length) throw fromWire(error);
    return found;
  }

  /**
   * From now on "join" and "leave" are told, of those named or of all, also over lost connections. Resolves with who is there. Where some of those
   * named may not be watched, "ended" says so; where none may, it rejects.
   */
  async watch(identities?: readonly string[]): Promise<readonly string[]> {
    this.#hasListened = false;
    const keys = [...new Set(identities ?? [all])];
    const added = keys.filter((key) => !this.#watched.has(key));
    for (const key of added) this.#watched.set(key, watch());
    this.#askAll(added);
    const outcomes = await Promise.allSettled(keys.map((key) => this.#watched.get(key)?.ready));
    const refused = keys.filter((_, i) => outcomes[i]?.status === "rejected");
    const reason = outcomes.find((o) => o.status === "rejected")?.reason as unknown;
    if (reason !== undefined && refused.length === keys.length) throw reason;
    if (reason !== undefined) emit(this, "ended", { error: asParleyError(reason), identities: refused });
    return identities ? keys.filter((key) => this.#present.has(key)) : [...this.#present];
  }

  /** Ends watching those named, or all at once; who is watched by name stays. */
  async unwatch(identities: readonly string[] = [all]): Promise<void> {
    if (identities.includes(all)) this.#hasListened = false;
    for (const key of identities) {
      this.#watched.get(key)?.begin(); // whoever waits for it has nothing to wait for
      this.#watched.delete(key);
    }
    this.#forget();
    try {
      for (const keys of parts(identities)) {
        await this.#asker.insist("presence-unsubscribe", () => bodyOf(keys.filter((key) => !this.#watched.has(key))));
      }
    } catch (reason) {
      const error = asParleyError(reason);
      if (!this.#asker.isRestored(error)) throw error; // else it has ended with the session
    }
  }

  /** @internal Of what was subscribed to before, and is not yet again, nothing is heard: the reply will tell, and what follows it. */
  joined(identity: string): void {
    if (this.#covers(identity, ({ at }) => at !== "asked")) this.#set(identity, true);
  }

  /** @internal */
  left(identity: string): void {
    if (this.#covers(identity, ({ at }) => at !== "asked")) this.#set(identity, false);
  }

  /** @internal The server tells no more of it. */
  lose(): void {
    for (const entry of this.#watched.values()) entry.at = "asked";
    this.#told.clear();
  }

  /** @internal Subscribes again, and tells what has changed meanwhile. */
  restore(): void {
    this.#askAll([...this.#watched.keys()]);
  }

  /** @internal */
  unsubscribed(identity: string, error: ParleyError): void {
    this.#end([identity], error);
  }

  /** @internal */
  end(error: ParleyError): void {
    this.#end([...this.#watched.keys()], error);
  }

  #watchByListening(): void {
    if (!this.#hasListened || this.#watched.size > 0) return;
    this.watch().catch((reason: unknown) => emit(this, "ended", { error: asParleyError(reason), identities: undefined }));
  }

  #set(identity: string, isThere: boolean): void {
    if (this.#reading > 0) this.#told.add(identity);
    if (this.#present.has(identity) === isThere) return;
    if (isThere) this.#present.add(identity);
    else this.#present.delete(identity);
    emit(this, isThere ? "join" : "leave", { identity });
  }

  #askAll(keys: readonly string[]): void {
    for (const part of parts(keys)) void this.#ask(part);
  }

  async #ask(keys: readonly string[]): Promise<void> {
    const watches = keys.map((key) => this.#watched.get(key));
    const kept = (): string[] => keys.filter((key, i) => watches[i] && this.#watched.get(key) === watches[i]);
    let ask = 0;
    const newest = (): string[] => kept().filter((key) => this.#watched.get(key)?.ask === ask);
    const body = (): ReturnType<typeof bodyOf> => {
      ask = ++this.#asks;
      for (const entry of watches) if (entry) entry.ask = ask;
      return bodyOf(kept());
    };
    try {
      const reply = await this.#asker.keep("presence-subscribe", body);
      if (reply) await this.#taken(reply, newest);
    } catch (reason) {
      const error = asParleyError(reason);
      if (!this.#asker.isRestored(error)) this.#end(newest(), error);
    }
  }

  /** The reply to the newest request for these keys. Whom another watch tells of is known better. */
  async #taken(reply: Present, newest: () => string[]): Promise<void> {
    const asked = newest();
    for (const { name, error } of reply.refused ?? []) {
      if (!error || !asked.includes(name)) continue;
      if (error.code === "limit" && asked.length > 1) void this.#ask([name]); // perhaps only of what one request may ask for
      else this.#end([name], fromWire(error));
    }
    const known = new Set([...this.#watched].filter(([, { at }]) => at === "known").map(([key]) => key));
    for (const key of newest()) (this.#watched.get(key) as Watch).at = "told";
    this.#reading++;
    try {
      const there = new Set(await this.#readAll(reply));
      const keys = newest();
      const covered = keys.includes(all) ? [...new Set([...this.#present, ...there])] : keys;
      const begun = new Set(covered.filter((identity) => !this.#covers(identity, ({ isReady }) => isReady)));
      for (const key of keys) this.#watched.get(key)?.begin();
      for (const identity of covered) {
        if (known.has(all) || known.has(identity) || this.#told.has(identity) || !this.#covers(identity, () => true)) continue;
        if (begun.has(identity) && there.has(identity)) this.#present.add(identity); // the promise tells
        this.#set(identity, there.has(identity));
      }
    } finally {
      if (--this.#reading === 0) this.#told.clear();
    }
  }

  /** What a reply has, and what it says is more. */
  async #readAll(first: Present | undefined): Promise<readonly string[]> {
    const found: string[] = [];
    for (let page = first; page; ) {
      found.push(...page.identities);
      page = page.more && page.identities.length > 0 ? await this.#asker.insist("presence-read", () => ({ after: found.at(-1) ?? "" })) : undefined;
    }
    return found;
  }

  #end(keys: readonly string[], error: ParleyError): void {
    const ended: string[] = [];
    for (const key of keys) {
      const entry = this.#watched.get(key);
      this.#watched.delete(key);
      if (entry?.isReady) ended.push(key);
      else entry?.fail(error);
    }
    this.#forget();
    if (ended.length > 0) emit(this, "ended", { error, identities: ended.includes(all) ? undefined : ended });
  }

  /** Forgets those who are not watched any more. */
  #forget(): void {
    for (const identity of this.#present) if (!this.#covers(identity, () => true)) this.#present.delete(identity);
  }

  /** Whether there is such a watch of an identity, by name or with all. */
  #covers(identity: string, which: (watch: Watch) => boolean): boolean {
    return [all, identity].some((key) => {
      const entry = this.#watched.get(key);
      return entry !== undefined && which(entry);
    });
  }
}

function watch(): Watch {
  let settle: { resolve(): void; reject(error: ParleyError): void } | undefined;
  const ready = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  ready.catch(() => undefined); // it is told to who watches
  const begin = (): void => {
    entry.isReady = true;
    entry.at = "known";
    settle?.resolve();
  };
  const entry: Watch = { ready, isReady: false, at: "asked", ask: 0, begin, fail: (error) => settle?.reject(error) };
  return entry;
}

/** All is a request of its own; of those named there are so many in one. */
function parts(keys: readonly string[]): string[][] {
  const named = keys.filter((key) => key !== all);
  return keys.includes(all) ? [[all], ...chunks(named)] : chunks(named);
}

function chunks(names: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(names.length / limits.maxBulkNames) }, (_, i) => names.slice(i * limits.maxBulkNames, (i + 1) * limits.maxBulkNames));
}

/** Undefined: there is nobody to ask about. */
function bodyOf(keys: string[]): { identities?: string[] } | undefined {
  if (keys.length === 0) return undefined;
  return keys[0] === all ? {} : { identities: keys };
}
