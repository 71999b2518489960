// The server's part of shared state as a small model: records only, and messages that wait on their way until the test lets them go.

import { ConnectionError, fromWire, type ParleyError } from "../src/errors.js";
import { nearest } from "../src/shared/entries.js";
import type { StateLink } from "../src/shared/link.js";
import { applyAll, type Document } from "../src/shared/patch.js";
import { SharedState } from "../src/shared/state.js";
import type { EventMessage, Operation, RecordDelete, RecordState, RecordSubscribe, RecordWrite, Requests } from "../src/wire.gen.js";

interface Stored {
  incarnation: number;
  version: number;
  document: Document;
}

export class ModelScope {
  readonly records = new Map<string, Stored>();
  readonly clients: ModelClient[] = [];
  writes = 0;
  #incarnations = 0;

  client(): ModelClient {
    const client = new ModelClient(this, `client ${this.clients.length}`);
    this.clients.push(client);
    return client;
  }

  state(name: string): RecordState {
    const r = this.records.get(name);
    return r ? { name, incarnation: r.incarnation, version: r.version, value: r.document } : { name, incarnation: 0, version: 0 };
  }

  write(body: RecordWrite, by: string): object | ParleyError {
    const r = this.records.get(body.name);
    if (this.#conflicts(r, body)) return this.#conflict(body.name);
    try {
      const done: Operation[] = [];
      let document = r?.document;
      for (const operation of body.operations) {
        const exact = resolved(document, operation);
        document = applyAll(document, [operation]);
        if (exact) done.push(exact);
      }
      const now = { incarnation: r?.incarnation ?? ++this.#incarnations, version: (r?.version ?? 0) + 1, document };
      this.records.set(body.name, now);
      this.writes++;
      const { incarnation, version } = now;
      return this.#after({ incarnation, version }, body.name, { type: "record-changed", body: { scope: "room", name: body.name, incarnation, version, operations: done, by } });
    } catch (reason) {
      return reason as ParleyError;
    }
  }

  delete(body: RecordDelete): object | ParleyError {
    const r = this.records.get(body.name);
    if (!r) return fromWire({ code: "not-found", message: "none" });
    if (this.#conflicts(r, body)) return this.#conflict(body.name);
    this.records.delete(body.name);
    const { incarnation, version } = r;
    return this.#after({}, body.name, { type: "record-deleted", body: { scope: "room", name: body.name, incarnation, version } });
  }

  /** Sends everybody the events that are there. */
  tell(): void {
    for (const client of this.clients) client.told();
  }

  #conflicts(r: Stored | undefined, { version, incarnation = 0 }: { version?: number; incarnation?: number }): boolean {
    if (version !== undefined && version !== (r?.version ?? 0)) return true;
    return incarnation !== 0 && incarnation !== r?.incarnation;
  }

  #conflict(name: string): ParleyError {
    return fromWire({ code: "conflict", message: "another version", current: this.state(name) });
  }

  #after(reply: object, name: string, event: object): object {
    for (const client of this.clients) if (client.subscribed.has(name)) client.later.push(event as EventMessage);
    return reply;
  }
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
  readonly type: keyof Requests;
  readonly body: object;
  resolve(body: object): void;
  reject(error: ParleyError): void;
}

export class ModelClient implements StateLink {
  readonly state: SharedState;
  readonly subscribed = new Set<string>();
  /** Events of the request that is carried out. */
  readonly later: EventMessage[] = [];
  isOpen = true;
  readonly isEnded = false;
  readonly #scope: ModelScope;
  #up: Request[] = [];
  #down: (() => void)[] = [];
  #unanswered = new Set<Request>();

  readonly identity: string;

  constructor(scope: ModelScope, identity: string) {
    this.#scope = scope;
    this.identity = identity;
    this.state = new SharedState(this, "room");
  }

  get isIdle(): boolean {
    return this.#up.length + this.#down.length === 0;
  }

  nextCall(): number {
    return 1;
  }

  request<T extends keyof Requests>(type: T, body: Requests[T]["body"]): Promise<Requests[T]["replyBody"]> {
    return new Promise((resolve, reject) => {
      const request: Request = { type, body, resolve: (b) => resolve(b as Requests[T]["replyBody"]), reject };
      this.#up.push(request);
      this.#unanswered.add(request);
    });
  }

  /** One request reaches the server. Its events may come before its reply. */
  up(eventsFirst = false): void {
    const request = this.#up.shift();
    if (!request) return;
    const reply = this.#carryOut(request);
    if (eventsFirst) this.#scope.tell();
    this.#down.push(() => {
      this.#unanswered.delete(request);
      if (reply instanceof Error) request.reject(reply as ParleyError);
      else request.resolve(reply);
    });
    this.#scope.tell();
  }

  /** Sends the events that are there. */
  told(): void {
    for (const event of this.later.splice(0)) this.#down.push(() => this.state.received(event));
  }

  /** One message reaches the client. */
  down(): void {
    this.#down.shift()?.();
  }

  /** The session is lost: what is on its way does not arrive. */
  lose(): void {
    this.isOpen = false;
    this.subscribed.clear();
    const lost = [...this.#unanswered];
    this.#unanswered.clear();
    [this.#up, this.#down] = [[], []];
    for (const request of lost) request.reject(new ConnectionError("lost"));
    this.state.sessionIs({ at: "rejoining" });
  }

  rejoin(): void {
    this.isOpen = true;
    this.state.sessionIs({ at: "open" });
    this.state.restore();
  }

  #carryOut({ type, body }: Request): object | ParleyError {
    switch (type) {
      case "record-subscribe":
        return {
          results: (body as RecordSubscribe).records.map(({ name, incarnation, version }) => {
            this.subscribed.add(name);
            const { value, ...head } = this.#scope.state(name);
            const same = head.version > 0 && incarnation === head.incarnation && version === head.version;
            return { record: same ? { ...head, same } : { ...head, ...(value !== undefined && { value }) } };
          }),
        };
      case "record-write":
        return this.#scope.write(body as RecordWrite, this.identity);
      case "record-delete":
        return this.#scope.delete(body as RecordDelete);
      default:
        throw new Error(`the model does not know ${type}`);
    }
  }
}
