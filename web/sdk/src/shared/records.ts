// The records of one scope: which ones are open, the subscriptions to them, and whose writes are sent next.

import { asParleyError, ConnectionError, LimitError, type ParleyError } from "../errors.js";
import type { EventMessage, RecordResult, RecordWanted } from "../wire.gen.js";
import type { Cache } from "./cache.js";
import { Core, type CoreOwner, type RecordOptions } from "./core.js";
import { checkName, type Json, take } from "./json.js";
import { maxRestored, maxWaitingBytes, maxWaitingWrites, maxWritesUnderway } from "./limits.js";
import { type Asker, Ending } from "./link.js";

export class Records implements CoreOwner {
  readonly asker: Asker;
  readonly #open = new Map<string, { readonly core: Core; readonly here: Promise<void>; users: number }>();
  readonly #cache: Promise<Cache | undefined>;
  readonly #ready = new Set<Core>();
  readonly #ending: Ending;
  #kept: Cache | undefined;
  #underway = 0;
  #waiting = { writes: 0, bytes: 0 };

  constructor(asker: Asker, cache: Promise<Cache | undefined> = Promise.resolve(undefined)) {
    this.asker = asker;
    this.#cache = cache;
    void cache.then((c) => (this.#kept = c));
    this.#ending = new Ending(
      (name) => this.#open.has(name),
      (names) => asker.insist("record-unsubscribe", () => {
        const records = names()?.map((name) => ({ name }));
        return records && { records };
      }),
    );
  }

  /** Opens a record, or shares it with whoever has opened it before. */
  async open(name: string, options: RecordOptions): Promise<Core> {
    checkName(name);
    let entry = this.#open.get(name);
    if (!entry) {
      const core = new Core(name, options, this);
      entry = { core, here: this.#begin(core), users: 0 };
      this.#open.set(name, entry);
    }
    entry.users++;
    await entry.here;
    return entry.core;
  }

  /** Resolves when the record is here: as this browser has kept it, else as the server has it. */
  async #begin(core: Core): Promise<void> {
    const kept = await (await this.#cache)?.load(core.name);
    if (!this.#isOpen(core)) return core.subscribed; // it is over
    if (kept) core.known(kept);
    this.resubscribe(core);
    if (core.view === undefined) await core.subscribed;
  }

  /** Ends the subscription when nobody uses it any more. */
  close(core: Core): void {
    const entry = this.#open.get(core.name);
    if (entry?.core !== core || --entry.users > 0) return;
    this.#remove(core.name);
    core.end(new ConnectionError("The record was closed.", { next: "Await writes before closing." }));
    this.keep(core);
    this.#ending.add(core.name);
  }

  /** Reads records once. What has no room in one reply is asked for again. */
  async read(wanted: readonly RecordWanted[]): Promise<(RecordResult & { readonly value: Json | undefined })[]> {
    const results = (await this.asker.insist("record-read", () => ({ records: [...wanted] })))?.results ?? [];
    const rest = wanted.filter((_, i) => results[i]?.error?.code === "limit");
    const others = rest.length > 0 && rest.length < wanted.length ? await this.read(rest) : undefined;
    return results.map((r) => {
      if (others && r.error?.code === "limit") return others.shift() ?? { ...r, value: undefined };
      return { ...r, value: r.record?.value === undefined ? undefined : take(r.record.value) };
    });
  }

  event(message: EventMessage): void {
    switch (message.type) {
      case "record-changed":
      case "record-deleted":
      case "record-provided":
        return this.#open.get(message.body.name)?.core.told(message.body);
    }
  }

  /** The connection is lost. The server may keep the session. */
  apart(): void {
    for (const { core } of this.#open.values()) core.apart();
  }

  /** There is a connection: what is not lost goes on. */
  together(): void {
    for (const { core } of this.#open.values()) core.together();
    this.pump();
  }

  /** The server tells nothing any more. */
  lose(): void {
    for (const { core } of this.#open.values()) core.lose();
  }

  /** Subscribes again, naming what is here. */
  restore(): void {
    const cores = [...this.#open.values()].map((e) => e.core);
    for (let i = 0; i < cores.length; i += maxRestored) void this.#subscribe(cores.slice(i, i + maxRestored));
  }

  resubscribe(core: Core): void {
    void this.#subscribe([core]);
  }

  /** It is over for one record. */
  drop(name: string, error: ParleyError): void {
    const core = this.#remove(name);
    if (error.code === "forbidden") this.#kept?.forget(name);
    core?.end(error);
  }

  keep(core: Core): void {
    this.#kept?.save(core.kept);
  }

  end(error: ParleyError): void {
    for (const name of [...this.#open.keys()]) this.drop(name, error);
  }

  admit(bytes: number): void {
    const { writes, bytes: sum } = this.#waiting;
    if (writes >= maxWaitingWrites || sum + bytes > maxWaitingBytes) {
      throw new LimitError("limit", "Too many writes wait for the server.", {
        next: this.asker.isOpen ? "Await writes before making more." : "Wait until the room is connected again.",
      });
    }
    this.#waiting = { writes: writes + 1, bytes: sum + bytes };
  }

  settled(bytes: number): void {
    this.#waiting = { writes: this.#waiting.writes - 1, bytes: this.#waiting.bytes - bytes };
  }

  resized(bytes: number): void {
    this.#waiting = { ...this.#waiting, bytes: this.#waiting.bytes + bytes };
  }

  ready(core: Core): void {
    if (this.#isOpen(core)) this.#ready.add(core);
    this.pump();
  }

  /** Sends what can be sent: of each record one write at a time, so that they keep their order whatever is refused. */
  pump(): void {
    while (this.asker.isOpen && this.#underway < maxWritesUnderway) {
      const [core] = this.#ready;
      if (!core) return;
      this.#ready.delete(core);
      const sent = core.send();
      if (!sent) continue;
      this.#underway++;
      void sent.finally(() => {
        this.#underway--;
        this.ready(core);
      });
    }
  }

  async #subscribe(cores: readonly Core[]): Promise<void> {
    let asked: { readonly core: Core; readonly ask: number }[] = [];
    const body = (): { records: Core["have"][] } | undefined => {
      asked = cores.filter((core) => this.#isOpen(core) && !core.isLive).map((core) => ({ core, ask: core.asked() }));
      return asked.length > 0 ? { records: asked.map(({ core }) => core.have) } : undefined;
    };
    try {
      const results = (await this.asker.keep("record-subscribe", body))?.results ?? [];
      asked.forEach(({ core, ask }, i) => this.#taken(core, ask, results[i] ?? {}, asked.length > 1));
    } catch (reason) {
      const error = asParleyError(reason);
      if (this.asker.isRestored(error)) return;
      for (const { core, ask } of asked) if (this.#isOpen(core) && ask === core.asks) this.drop(core.name, error);
    }
  }

  #taken(core: Core, ask: number, result: RecordResult, inBulk: boolean): void {
    if (!this.#isOpen(core)) return this.#ending.add(core.name); // closed meanwhile
    if (ask !== core.asks) return; // a newer one is on its way
    // The values in one reply have a limit, which each alone does not reach.
    if (inBulk && result.error?.code === "limit") return this.resubscribe(core);
    if (!result.record) this.#remove(core.name);
    if (result.error?.code === "forbidden") this.#kept?.forget(core.name);
    core.taken(result);
  }

  #remove(name: string): Core | undefined {
    const core = this.#open.get(name)?.core;
    this.#open.delete(name);
    if (core) this.#ready.delete(core);
    return core;
  }

  #isOpen(core: Core): boolean {
    return this.#open.get(core.name)?.core === core;
  }
}
