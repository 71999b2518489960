// The server's part of shared state as a small model: records and presence, and messages that wait on their way until the test lets them go.
// It promises less than docs/protocol.md, section 18.1, does: what waits for a disk comes later than what was asked after it, and changes of
// records before the reply to the subscription that they belong to; but the reply to a write comes before the change that it made.

import { ConnectionError, fromWire, type ParleyError } from "../src/errors.js";
import { nearest } from "../src/shared/entries.js";
import type { StateLink } from "../src/shared/link.js";
import { applyAll, type Document } from "../src/shared/patch.js";
import { SharedState } from "../src/shared/state.js";
import type { EventMessage, Operation, PresenceSubscribe, RecordDelete, RecordRead, RecordResult, RecordState, RecordSubscribe, RecordWrite, Requests } from "../src/wire.gen.js";
import { settle } from "./fake-server.js";

export type Chance = (n: number) => number;

/** How many earlier versions of a record are kept. */
const maxPast = 5;

interface Stored {
  incarnation: number;
  version: number;
  document: Document;
  /** Former versions, the first first. */
  past: readonly Document[];
}

/** What one request brings about. */
interface Outcome {
  readonly reply: object | ParleyError;
  /** Whose messages wait for a disk, in their order. */
  readonly lane?: string;
  readonly event?: object;
  /** Who is told of it. */
  readonly told?: (client: ModelClient) => boolean;
}

export class ModelScope {
  readonly random: Chance;
  /** Of all records. */
  readonly isDurable: boolean;
  readonly records = new Map<string, Stored>();
  readonly clients: ModelClient[] = [];
  readonly present = new Set<string>();
  /** All operations that were carried out, as they were asked for, and of which incarnation. */
  readonly done: (Operation & { readonly incarnation: number })[] = [];
  #incarnations = 0;

  constructor(random: Chance, isDurable = false) {
    this.random = random;
    this.isDurable = isDurable;
  }

  client(identity: string): ModelClient {
    const client = new ModelClient(this, identity);
    this.clients.push(client);
    return client;
  }

  state(name: string): RecordState {
    const r = this.records.get(name);
    return r ? { name, incarnation: r.incarnation, version: r.version, value: r.document } : { name, incarnation: 0, version: 0 };
  }

  /** A version that is kept, of the last few. */
  version(name: string, version: number): RecordResult {
    const r = this.records.get(name);
    const document = r && r.version - version <= maxPast ? r.past[version - 1] : undefined;
    if (!r || document === undefined) return { error: { code: "not-found", message: "no such version" } };
    return { record: { name, incarnation: r.incarnation, version, value: document } };
  }

  write(body: RecordWrite, by: string): Outcome {
    const r = this.records.get(body.name);
    if (body.operations.some(isForbidden)) return { reply: fromWire({ code: "forbidden", message: "no" }) };
    if (this.#conflicts(r, body)) return this.#conflict(body.name);
    try {
      const done: Operation[] = [];
      let document = r?.document;
      for (const operation of body.operations) {
        const exact = resolved(document, operation);
        document = applyAll(document, [operation]);
        if (exact) done.push(exact);
      }
      const now = { incarnation: r?.incarnation ?? ++this.#incarnations, version: (r?.version ?? 0) + 1, document, past: r ? [...r.past, r.document] : [] };
      this.records.set(body.name, now);
      const { incarnation, version } = now;
      this.done.push(...body.operations.map((o) => ({ ...o, incarnation })));
      return this.#changed(body.name, { incarnation, version }, "record-changed", { name: body.name, incarnation, version, operations: done, by });
    } catch (reason) {
      return { reply: reason as ParleyError };
    }
  }

  delete(body: RecordDelete): Outcome {
    const r = this.records.get(body.name);
    if (!r) return { reply: fromWire({ code: "not-found", message: "none" }) };
    if (this.#conflicts(r, body)) return this.#conflict(body.name);
    this.records.delete(body.name);
    const { incarnation, version } = r;
    return this.#changed(body.name, {}, "record-deleted", { name: body.name, incarnation, version });
  }

  /** Somebody comes, or goes. */
  turn(identity: string): void {
    const comes = !this.present.delete(identity);
    if (comes) this.present.add(identity);
    const event = { type: comes ? "presence-joined" : "presence-left", body: { scope: "room", identity } };
    for (const client of this.clients) if (client.watches(identity)) client.send(event as EventMessage);
  }

  #conflicts(r: Stored | undefined, { version, incarnation = 0 }: { version?: number; incarnation?: number }): boolean {
    if (version !== undefined && version !== (r?.version ?? 0)) return true;
    return incarnation !== 0 && incarnation !== r?.incarnation;
  }

  #conflict(name: string): Outcome {
    return { reply: fromWire({ code: "conflict", message: "another version", current: this.state(name) }), ...this.#lane(name) };
  }

  #changed(name: string, reply: object, type: string, body: object): Outcome {
    return { reply, ...this.#lane(name), event: { type, body: { scope: "room", ...body } }, told: (client) => client.subscribed.has(name) };
  }

  #lane(name: string): { lane?: string } {
    return this.isDurable ? { lane: name } : {};
  }
}

/** What the rules do not allow: every thirteenth number, also in what is written with it, and entries that end with it. */
export function isForbidden({ value }: Pick<Operation, "value">): boolean {
  if (typeof value === "number") return value % 13 === 12;
  if (typeof value === "string") return value.endsWith("13");
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).some((v) => isForbidden({ value: v }));
}

/** Operations as the server tells them; undefined: it did nothing. */
function resolved(document: Document, operation: Operation): Operation | undefined {
  const { op, value, at = 0 } = operation;
  if (op === "insert") {
    const length = (document as readonly string[] | undefined)?.length ?? 0;
    return { op, value, at: Math.min(operation.at ?? length, length) };
  }
  if (op !== "remove" && op !== "move") return operation;
  const found = nearest((document ?? []) as readonly string[], value as string, at);
  return found < 0 ? undefined : { ...operation, at: found };
}

interface Request {
  /** In which time of the client's it was made: see ModelClient.hears. */
  readonly time: number;
  readonly type: keyof Requests;
  readonly body: object;
  resolve(body: object): void;
  reject(error: ParleyError): void;
}

interface Message {
  /** Of which request it is the reply. */
  readonly to?: Request;
  deliver(): void;
}

export class ModelClient implements StateLink {
  readonly state: SharedState;
  readonly identity: string;
  readonly subscribed = new Set<string>();
  readonly #watched = new Set<string>();
  /** The incarnations of records that it has been told; 0: it was told that there is none. */
  readonly told = new Map<string, number>();
  isOpen = true;
  /** It is not open, and its session can be resumed. */
  isCut = false;
  readonly isEnded = false;
  readonly #scope: ModelScope;
  #up: Request[] = [];
  #down: Message[] = [];
  readonly #lanes = new Map<string, Message[]>();
  readonly #unanswered = new Set<Request>();
  /** Records that it knows itself to be subscribed to, in this time: it ends when all is lost. */
  readonly #heard = new Set<string>();
  #time = 0;
  #lates = 0;

  constructor(scope: ModelScope, identity: string) {
    this.#scope = scope;
    this.identity = identity;
    this.state = new SharedState(this, "room");
  }

  get isIdle(): boolean {
    return this.#up.length + this.#down.length + this.#lanes.size === 0;
  }

  /** Some reply waits for a disk. */
  get isWaiting(): boolean {
    return [...this.#lanes.values()].some((messages) => messages.some((m) => m.to?.type !== "record-subscribe"));
  }

  watches(identity: string): boolean {
    return this.#watched.has("") || this.#watched.has(identity);
  }

  /** It was told that it is subscribed to a record, and nothing that ends that. */
  hears(name: string): boolean {
    return this.#heard.has(name);
  }

  nextCall(): number {
    return 1;
  }

  request<T extends keyof Requests>(type: T, body: Requests[T]["body"]): Promise<Requests[T]["replyBody"]> {
    return new Promise((resolve, reject) => {
      const request: Request = { time: this.#time, type, body, resolve: (b) => resolve(b as Requests[T]["replyBody"]), reject };
      this.#up.push(request);
      this.#unanswered.add(request);
    });
  }

  /** One request reaches the server. */
  up(): void {
    const request = this.#up.shift();
    if (!request) return;
    const { reply, lane, event, told } = this.#carryOut(request);
    this.#put({ to: request, deliver: () => this.#answer(request, reply) }, lane);
    if (event) for (const client of this.#scope.clients) if (told?.(client)) client.send(event as EventMessage, lane);
  }

  /** Something is sent that was not asked for. */
  send(event: EventMessage, lane?: string): void {
    const deliver = (): void => {
      if (event.type === "record-changed") this.told.set(event.body.name, event.body.incarnation);
      if (event.type === "record-deleted") this.told.set(event.body.name, 0);
      this.state.received(event);
    };
    this.#put({ deliver }, lane);
  }

  /** What waits is stored, or leaves late: the first of some lane. */
  release(): void {
    const lanes = [...this.#lanes.keys()];
    const lane = lanes[this.#scope.random(lanes.length)];
    const waiting = lane === undefined ? undefined : this.#lanes.get(lane);
    const message = waiting?.shift();
    if (message) this.#down.push(message);
    if (lane !== undefined && waiting?.length === 0) this.#lanes.delete(lane);
  }

  /** One message reaches the client. */
  down(): void {
    this.#down.shift()?.deliver();
  }

  /** The client did not read: what waits for it is discarded, but for replies, which may be lost too. */
  forget(losesReplies: boolean): void {
    this.subscribed.clear();
    this.#watched.clear();
    this.#down = this.#down.filter((m) => m.to);
    for (const [lane, messages] of [...this.#lanes]) {
      const replies = messages.filter((m) => m.to);
      const kept = losesReplies ? [] : replies;
      for (const { to } of losesReplies ? replies : []) if (to) this.#down.push({ to, deliver: () => this.#answer(to, lost(to)) });
      if (kept.length > 0) this.#lanes.set(lane, kept);
      else this.#lanes.delete(lane);
    }
    const event = this.#scope.random(2) ? { type: "state-lost", body: { scope: "room" } } : { type: "resync", body: {} };
    const deliver = (): void => {
      this.#begin();
      this.state.received(event as EventMessage);
    };
    this.#down.push({ deliver });
  }

  /** The session is lost: some of what is on its way arrives, but no reply. */
  lose(): void {
    for (let left = this.#scope.random(this.#up.length + 1); left > 0; left--) this.up();
    this.isOpen = this.isCut = false;
    this.subscribed.clear();
    this.#watched.clear();
    const lost = [...this.#unanswered];
    this.#unanswered.clear();
    this.#lanes.clear();
    [this.#up, this.#down] = [[], []];
    for (const request of lost) request.reject(new ConnectionError("lost"));
    this.#begin();
    this.state.sessionIs({ at: "rejoining" });
  }

  /** The connection is lost, and the server keeps the session. */
  cut(): void {
    this.isOpen = false;
    this.isCut = true;
    this.state.sessionIs({ at: "resuming" });
  }

  /** The session goes on: what is on its way to the client comes first. */
  async resume(): Promise<void> {
    while (this.#down.length > 0) {
      this.down();
      await settle();
    }
    this.isOpen = true;
    this.isCut = false;
    this.state.sessionIs({ at: "open" });
  }

  rejoin(): void {
    this.isOpen = true;
    this.isCut = false;
    this.state.sessionIs({ at: "open" });
    this.state.restore();
  }

  /** It knows that it is subscribed to nothing. */
  #begin(): void {
    this.#time++;
    this.#heard.clear();
  }

  #answer(request: Request, reply: object | ParleyError): void {
    this.#unanswered.delete(request);
    this.#note(request, reply);
    if (reply instanceof Error) request.reject(reply as ParleyError);
    else request.resolve(reply);
  }

  /** What it learns of records by a reply. */
  #note({ type, body, time }: Request, reply: object): void {
    const { name } = body as { name: string };
    if (type === "record-delete" && !(reply instanceof Error)) this.told.set(name, 0);
    if ("current" in reply) this.told.set(name, (reply.current as RecordState).incarnation);
    if (type !== "record-subscribe" || !("results" in reply)) return;
    for (const { record } of reply.results as { record: RecordState }[]) {
      this.told.set(record.name, record.incarnation);
      if (time === this.#time) this.#heard.add(record.name);
    }
  }

  #put(message: Message, lane: string | undefined): void {
    if (lane === undefined) this.#down.push(message);
    else this.#lanes.set(lane, [...(this.#lanes.get(lane) ?? []), message]);
  }

  /** A reply to a subscription may come later than what it is about. */
  #late(reply: object): Outcome {
    return this.#scope.random(2) ? { reply } : { reply, lane: `late ${this.#lates++}` };
  }

  #carryOut({ type, body }: Request): Outcome {
    switch (type) {
      case "record-subscribe":
        return this.#late({
          results: (body as RecordSubscribe).records.map(({ name, incarnation, version }) => {
            this.subscribed.add(name);
            const { value, ...head } = this.#scope.state(name);
            const same = head.version > 0 && incarnation === head.incarnation && version === head.version;
            return { record: same ? { ...head, same } : { ...head, ...(value !== undefined && { value }) } };
          }),
        });
      case "record-read":
        return this.#late({ results: (body as RecordRead).records.map(({ name, version = 0 }) => this.#scope.version(name, version)) });
      case "record-write":
        return this.#scope.write(body as RecordWrite, this.identity);
      case "record-delete":
        return this.#scope.delete(body as RecordDelete);
      case "presence-subscribe": {
        const { identities = [""] } = body as PresenceSubscribe;
        for (const key of identities) this.#watched.add(key);
        return { reply: { identities: [...this.#scope.present].filter((p) => identities.includes("") || identities.includes(p)) } };
      }
      case "presence-unsubscribe":
        for (const key of (body as PresenceSubscribe).identities ?? [""]) this.#watched.delete(key);
        return { reply: {} };
      default:
        throw new Error(`the model does not know ${type}`);
    }
  }
}

/** What is answered where the reply is gone. */
function lost({ type }: Request): ParleyError {
  const code = type === "record-write" || type === "record-delete" ? "internal" : "overloaded";
  return fromWire({ code, message: "the reply was lost", retrySeconds: 1 });
}
