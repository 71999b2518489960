// Shared state of one scope: records, lists, events, RPC, presence. Docs/protocol.md, section 18.

import { ConnectionError, fromWire, NotFoundError, type ParleyError } from "../errors.js";
import type { EventMessage, ListenKind, Scope, StateUnsubscribed } from "../wire.gen.js";
import type { SessionState } from "../session.js";
import type { Cache } from "./cache.js";
import type { RecordOptions } from "./core.js";
import { freeze, type Json } from "./json.js";
import { Asker, type StateLink } from "./link.js";
import { Listening, type ListenHandlers } from "./listening.js";
import { SharedList } from "./list.js";
import { Names } from "./names.js";
import { formatPath, parsePath } from "./path.js";
import { Presence } from "./presence.js";
import { SharedRecord } from "./record.js";
import { Records } from "./records.js";
import { Calls, type Provision, RPC } from "./rpc.js";
import { type Subscriber, Topic } from "./topic.js";

/** What a record is, without following it. */
export interface Head {
  readonly version: number;
  /** When it goes, unless it is written before. */
  readonly expires: Date | undefined;
}

/** State that applications share. What is subscribed to or provided is kept while the connection is lost. */
export class SharedState {
  /** Who is there. */
  readonly presence: Presence;
  readonly #scope: Scope;
  readonly #records: Records;
  readonly #topics: Names<Subscriber>;
  readonly #provided: Names<Provision>;
  readonly #calls: Calls;
  readonly #listening: Listening;
  readonly #asker: Asker;

  /** @internal */
  constructor(link: StateLink, scope: Scope, cache?: Promise<Cache | undefined>) {
    this.#scope = scope;
    this.#asker = new Asker(link, scope);
    this.#records = new Records(this.#asker, cache);
    this.#topics = new Names(this.#asker, "event-subscribe", "event-unsubscribe");
    this.#provided = new Names(this.#asker, "rpc-provide", "rpc-unprovide");
    this.#calls = new Calls(this.#asker, this.#provided);
    this.#listening = new Listening(this.#asker);
    this.presence = new Presence(this.#asker);
  }

  /** Follows a record, whether it exists or not. Resolves when it is here. Whoever opened a record first has decided its options. */
  async record<T = Json>(name: string, options: RecordOptions = {}): Promise<SharedRecord<T>> {
    return new SharedRecord<T>(await this.#records.open(name, options), this.#records);
  }

  /** Follows a list, whether it exists or not. Resolves when it is here. */
  async list(name: string, options: RecordOptions = {}): Promise<SharedList> {
    return new SharedList(await this.#records.open(name, options), this.#records);
  }

  /** Reads a record, or what is at a path in it, once; undefined: nothing is there. */
  async snapshot(name: string, path = ""): Promise<Json | undefined> {
    const [result] = await this.#records.read([{ name, ...(path !== "" && { path: formatPath(parsePath(path)) }) }]);
    if (result?.error && result.error.code !== "not-found") throw fromWire(result.error);
    return result?.value;
  }

  /** Asks for a record's version. Rejects with "not-found" where there is none. */
  async head(name: string): Promise<Head> {
    const [result] = await this.#records.read([{ name, head: true }]);
    if (!result?.record) throw result?.error ? fromWire(result.error) : new NotFoundError("not-found", "There is no such record.");
    const { version, expires } = result.record;
    return { version, expires: expires === undefined ? undefined : new Date(expires) };
  }

  /** Asks whether a record exists. */
  async has(name: string): Promise<boolean> {
    const [result] = await this.#records.read([{ name, head: true }]);
    if (result?.error && result.error.code !== "not-found") throw fromWire(result.error);
    return result?.record !== undefined;
  }

  event(name: string): Topic {
    return new Topic(name, this.#asker, this.#topics);
  }

  rpc(name: string): RPC {
    return new RPC(name, this.#calls, this.#provided);
  }

  /**
   * Provides what others subscribe to: of the names that match the pattern, in which "*" stands for any text, each has one provider.
   * Resolves with a function that ends it.
   */
  listen(pattern: string, handlers: ListenHandlers, kind: ListenKind = "record"): Promise<() => void> {
    return this.#listening.listen(kind, pattern, handlers);
  }

  /** @internal */
  received(message: EventMessage): void {
    if (message.type === "resync") return this.#forgotten();
    if (!("scope" in message.body) || message.body.scope !== this.#scope) return;
    switch (message.type) {
      case "event": {
        const { name, value, from } = message.body;
        const given = freeze(value);
        this.#topics.each(name, ({ listener }) => listener(given, { from }));
        return;
      }
      case "rpc-call":
        return void this.#calls.called(message.body);
      case "rpc-result":
        return this.#calls.result(message.body);
      case "listen-start":
        return this.#listening.started(message.body);
      case "listen-stop":
        return this.#listening.stopped(message.body);
      case "presence-joined":
        return this.presence.joined(message.body.identity);
      case "presence-left":
        return this.presence.left(message.body.identity);
      case "state-unsubscribed":
        return this.#unsubscribed(message.body);
      case "state-lost":
        return this.#forgotten();
      default:
        return this.#records.event(message);
    }
  }

  /** @internal */
  sessionIs(state: SessionState): void {
    switch (state.at) {
      case "open":
        this.#calls.sent();
        return this.#records.together();
      case "resuming":
        return this.#records.apart();
      case "rejoining":
        return this.#lose();
      case "ended":
        return this.#end(state.error);
    }
  }

  /** @internal Makes all subscriptions again, in a new session. */
  restore(): void {
    this.#records.restore();
    this.#topics.restore();
    this.#provided.restore();
    this.#listening.restore();
    this.presence.restore();
  }

  /** The server has forgotten what this session had. */
  #forgotten(): void {
    this.#lose();
    this.restore();
  }

  #lose(): void {
    this.#records.lose();
    this.#calls.lose();
    this.#listening.lose();
    this.presence.lose();
  }

  #end(error: ParleyError): void {
    this.#records.end(error);
    this.#topics.end(error);
    this.#provided.end(error);
    this.#calls.end(error);
    this.#listening.end(error);
    this.presence.end(error);
  }

  #unsubscribed(body: StateUnsubscribed): void {
    const { kind, name = "", path = "" } = body;
    const error = body.error ? fromWire(body.error) : new ConnectionError("The subscription has ended.");
    switch (kind) {
      case "record":
        return path === "" ? this.#records.drop(name, error) : undefined;
      case "event":
        return this.#topics.end(error, [name]);
      case "rpc":
        return this.#provided.end(error, [name]);
      case "presence":
        return this.presence.unsubscribed(name, error);
      case "listen-record":
      case "listen-event":
        return this.#listening.end(error, (k, pattern) => `listen-${k}` === kind && pattern === name);
    }
  }
}
