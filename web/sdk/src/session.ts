// A session with the server: joins, asks and is answered, and goes on over a new connection when the old one is lost.

import { bytesOf } from "./bytes.js";
import { asParleyError, ConnectionError, EndedError, fromWire, LimitError, ParleyError, TimeoutError } from "./errors.js";
import { Ledger, type Reading } from "./ledger.js";
import type { Carrier, Connection, ServerMessage } from "./signalling/carrier.js";
import { type EventMessage, type Join, type Joined, limits, type RequestMessage, type Requests } from "./wire.gen.js";

const requestTimeoutMs = 10_000;
/** What a request has around its body. */
const envelopeBytes = 256;
/** Requests that wait for a reply, or for a connection. Beyond it those are refused that an application asks as often as it likes. */
export const maxWaiting = 512;
const limited: ReadonlySet<keyof Requests> = new Set([
  "chat", "update", "kick", "mute", "event-publish", "rpc-request", "record-read", "presence-read", "log-read",
]);
/** The close status for a message that is too large: docs/protocol.md, section 2.1. */
const tooLargeStatus = 1009;
/** How long a lost session tries to come back before it gives up. */
const giveUpMs = 5 * 60_000;
/** A try that takes longer was not one all the time: the machine slept, or the page was frozen. */
const longestTryMs = 20_000;
const backoffMs = { first: 300, most: 5_000 };
/** How long the server may take to answer when the network seems to have changed. */
const checkMs = 500;

export type SessionState =
  | { readonly at: "new" }
  | { readonly at: "open" } // requests are sent at once
  | { readonly at: "resuming"; readonly reason?: ParleyError } // the server may still keep the session; reason: why it ended it
  | { readonly at: "rejoining" } // the session is lost; the same participant joins anew
  | { readonly at: "ended"; readonly error: ParleyError };

/** Who is told. Calls come after the state has changed. */
export interface SessionObserver {
  event(message: EventMessage): void;
  /** A new session took the place of an expired one: all that the old one had published, slots and answers, is gone. */
  rejoined(joined: Joined): void;
  stateChanged(state: SessionState): void;
}

/** A token, or where to get one: it is asked for whenever the session joins, as the one before may be over. */
export type TokenSource = string | (() => string | Promise<string>);

/** What a session joins with. */
export type Entry = Omit<Join, "protocol" | "token"> & { readonly token?: TokenSource };

interface Waiting {
  readonly request: RequestMessage;
  readonly bytes: number;
  resolve(body: object): void;
  reject(error: ParleyError): void;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** The connection over which it was sent last. */
  sentOver?: Connection | undefined;
  /** A connection was given up for it. */
  isRepeated?: boolean;
}

/** Somebody waits for the last message of a replay. */
interface Replay {
  readonly end: number;
  resolve(): void;
  reject(error: ParleyError): void;
}

export class Session {
  readonly #carrier: Carrier;
  readonly #entry: Entry;
  readonly #observer: SessionObserver;
  readonly #ledger = new Ledger();
  readonly #waiting = new Map<number, Waiting>();
  readonly #ending = new AbortController();
  #state: SessionState = { at: "new" };
  #connection: Connection | undefined;
  #joined: Joined | undefined;
  #pingTimer: ReturnType<typeof setTimeout> | undefined;
  #wake: (() => void) | undefined;
  #gapAfter: number | undefined;
  #heard = 0; // messages that have come over the connection
  #checking: Promise<boolean> | undefined;
  #replay: Replay | undefined;

  constructor(carrier: Carrier, entry: Entry, observer: SessionObserver) {
    this.#carrier = carrier;
    this.#entry = { ...entry };
    this.#observer = observer;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Joins for the first time: one try, so that a wrong address or token is told at once. */
  async open(signal?: AbortSignal): Promise<Joined> {
    const abort = (): void => this.#end(asParleyError(signal?.reason, "left"), false);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort);
    try {
      const joined = await this.#attach("join", await this.#join());
      this.#joined = joined;
      this.#schedulePing();
      this.#opened();
      return joined;
    } catch (reason) {
      this.#end(asParleyError(reason, "connection"), false);
      signal?.throwIfAborted();
      throw asParleyError(reason, "connection");
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Asks the server. While the connection is lost the request waits; its time limit runs while there is one. */
  request<T extends keyof Requests>(type: T, body: Requests[T]["body"]): Promise<Requests[T]["replyBody"]> {
    if (this.#state.at === "ended") return Promise.reject(this.#state.error);
    if (this.#waiting.size >= maxWaiting && limited.has(type)) {
      return Promise.reject(new LimitError("limit", "Too many requests wait for the server.", { next: "Slow down." }));
    }
    const bytes = bytesOf(JSON.stringify(body)) + envelopeBytes;
    if (bytes > limits.maxMessageBytes) return Promise.reject(tooLarge(type));
    return this.#ask(type, body, bytes, this.#state.at === "open");
  }

  /** Ends the session, telling the server where it can still be told. */
  leave(): void {
    if (this.#state.at === "ended") return;
    if (this.#connection && this.#state.at === "open") this.#connection.send(this.#ledger.ask("leave", {}));
    this.#end(new EndedError("left", "You have left the room."), true);
  }

  /** The network may be back: try again now instead of after the pause. */
  wake(): void {
    this.#wake?.();
  }

  /**
   * The network may have changed: a connection over which the server does not answer soon is given up, and another one is tried at once.
   * Resolves with whether it answers.
   */
  async check(): Promise<boolean> {
    this.wake();
    if (this.#state.at !== "open") return false;
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  async #check(): Promise<boolean> {
    const connection = this.#connection;
    const timer = setTimeout(() => {
      if (this.#connection === connection) this.#lost(true);
    }, checkMs);
    try {
      await this.request("ping", {});
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  #ask<T extends keyof Requests>(type: T, body: Requests[T]["body"], bytes: number, send: boolean): Promise<Requests[T]["replyBody"]> {
    const request = this.#ledger.ask(type, body);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { request, bytes, resolve: (b) => resolve(b as Requests[T]["replyBody"]), reject, timer: undefined };
      this.#waiting.set(request.id, waiting);
      if (send) this.#send(waiting);
    });
  }

  #send(waiting: Waiting): void {
    const { request } = waiting;
    const heard = this.#heard;
    clearTimeout(waiting.timer);
    waiting.timer = setTimeout(() => void this.#late(waiting, heard), requestTimeoutMs);
    waiting.sentOver = this.#connection;
    this.#connection?.send(request);
  }

  /**
   * A request has no reply in time. Where nothing has come since it was sent, the connection may be lost: it waits for the next one then, once, as it may
   * be the request that takes so long.
   */
  async #late(waiting: Waiting, heard: number): Promise<void> {
    const { request } = waiting;
    if (heard === this.#heard && !isOfConnection(request) && !waiting.isRepeated) {
      waiting.isRepeated = true;
      if (!(await this.check())) return;
    }
    this.#drop(request.id, new TimeoutError(`The server did not answer "${request.type}" in time.`));
  }

  #drop(id: number, error: ParleyError): void {
    this.#ledger.forget(id);
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    clearTimeout(waiting.timer);
    this.#waiting.delete(id);
    waiting.reject(error);
  }

  /** Opens a connection and asks the first request on it. */
  async #attach<T extends "join" | "resume">(type: T, body: Requests[T]["body"]): Promise<Requests[T]["replyBody"]> {
    this.#detach();
    const connection = await this.#carrier.open(
      {
        received: (m) => {
          if (this.#connection !== connection) return;
          this.#heard++;
          this.#received(m);
        },
        closed: (status) => {
          if (this.#connection !== connection) return;
          if (status === tooLargeStatus) this.#dropLargest();
          this.#lost();
        },
      },
      this.#ending.signal,
    );
    if (this.#state.at === "ended") {
      connection.close();
      throw this.#state.error;
    }
    this.#connection = connection;
    this.#heard = 0;
    return this.#ask(type, body, bytesOf(JSON.stringify(body)), true);
  }

  /** Something that was sent is larger than the server takes. It does not say what; the same again would close the next connection too. */
  #dropLargest(): void {
    const sent = [...this.#waiting.values()].filter((w) => w.sentOver === this.#connection);
    const [largest] = sent.sort((a, b) => b.bytes - a.bytes);
    if (largest) this.#drop(largest.request.id, tooLarge(largest.request.type));
  }

  #detach(): void {
    clearTimeout(this.#pingTimer);
    this.#connection?.close();
    this.#connection = undefined;
    this.#replay?.reject(new ConnectionError("The connection was lost."));
    this.#replay = undefined;
    for (const { request, timer } of [...this.#waiting.values()]) {
      clearTimeout(timer);
      if (isOfConnection(request)) {
        this.#drop(request.id, new ConnectionError("The connection was lost."));
      }
    }
  }

  /** From now on requests are sent at once: behind those that waited, as the server carries them out in the order in which they come. */
  #opened(): void {
    if (!this.#connection) throw new ConnectionError("The connection was lost at once.");
    this.#repeat();
    this.#become({ at: "open" });
  }

  /** Sends what has no reply yet. What the server had got before it answers once more, and does once. */
  #repeat(): void {
    for (const request of this.#ledger.unanswered()) {
      const waiting = this.#waiting.get(request.id);
      if (waiting && waiting.sentOver !== this.#connection) this.#send(waiting);
    }
  }

  #schedulePing(): void {
    const seconds = this.#joined?.pingSeconds || 20;
    this.#pingTimer = setTimeout(() => {
      const connection = this.#connection;
      this.#ask("ping", {}, 0, true).then(
        () => {
          if (this.#connection === connection) this.#schedulePing();
        },
        () => {
          if (this.#connection === connection) this.#lost();
        },
      );
    }, seconds * 1000);
  }

  #received(message: ServerMessage): void {
    try {
      this.#take(this.#ledger.read(message));
    } finally {
      if (this.#replay && this.#ledger.seen >= this.#replay.end) {
        this.#replay.resolve();
        this.#replay = undefined;
      }
    }
  }

  /** Resolves with the last message of a replay: only after it is asked again what has no reply. */
  #replayed(end: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#connection) throw new ConnectionError("The connection was lost at once.");
      if (this.#ledger.seen >= end) resolve();
      else this.#replay = { end, resolve, reject };
    });
  }

  #take(reading: Reading): void {
    switch (reading.is) {
      case "known":
        return;
      case "gap":
        // The same hole after a resume: the server no longer has what is missing.
        if (this.#gapAfter === this.#ledger.seen) this.#joined = undefined;
        this.#gapAfter = this.#ledger.seen;
        return this.#lost();
      case "event":
        return this.#event(reading.message);
      case "reply": {
        const waiting = this.#waiting.get(reading.request.id);
        if (!waiting) return;
        clearTimeout(waiting.timer);
        this.#waiting.delete(reading.request.id);
        if (reading.message.type === "error") waiting.reject(fromWire(reading.message.body));
        else waiting.resolve(reading.message.body);
      }
    }
  }

  #event(message: EventMessage): void {
    if (message.type === "ended") {
      const { code, message: text, rejoin } = message.body;
      if (!rejoin) return this.#end(fromWire({ code, message: text }), true);
      this.#joined = undefined;
      return this.#lost(false, fromWire({ code, message: text }));
    }
    this.#observer.event(message);
  }

  /** The connection is gone, or of no more use. */
  #lost(atOnce = false, reason?: ParleyError): void {
    if (this.#state.at !== "open") return this.#detach(); // whoever attaches hears it by the rejected request
    this.#detach();
    void this.#comeBack(atOnce, reason);
  }

  async #comeBack(atOnce: boolean, reason: ParleyError | undefined): Promise<void> {
    const lostAt = Date.now();
    let tried = 0;
    this.#become({ at: "resuming", ...(reason && { reason }) });
    for (let attempt = 0; !this.#ending.signal.aborted; attempt++) {
      const expired = Date.now() - lostAt >= (this.#joined?.resumeSeconds ?? 0) * 1000;
      if (expired && this.#state.at === "resuming") this.#startRejoining();
      const began = Date.now();
      try {
        if (!atOnce || attempt > 0) await this.#pause(backoff(attempt, Math.random()));
        if (this.#state.at === "resuming") return await this.#resume();
        return await this.#rejoin();
      } catch (reason) {
        if (this.#ending.signal.aborted) return;
        const error = asParleyError(reason, "connection");
        tried += Math.min(Date.now() - began, longestTryMs);
        if (this.#state.at === "resuming" && !isPassing(error)) {
          attempt = -1;
          this.#startRejoining();
        } else if (!isPassing(error) || tried > giveUpMs) {
          return this.#end(error, true);
        }
        tried += (error.retrySeconds ?? 0) * 1000;
        if (error.retrySeconds) await this.#pause(error.retrySeconds * 1000).catch(() => undefined);
      }
    }
  }

  #startRejoining(): void {
    this.#joined = undefined;
    for (const id of [...this.#waiting.keys()]) {
      this.#drop(id, new ConnectionError("The connection was lost before the server answered."));
    }
    this.#ledger.restart();
    this.#become({ at: "rejoining" });
  }

  async #resume(): Promise<void> {
    if (!this.#joined) throw new ParleyError("session-expired", "The session cannot be resumed.");
    const { session, resumeToken } = this.#joined;
    const seq = this.#ledger.seen;
    const { replayed } = await this.#attach("resume", { protocol: limits.protocol, session, token: resumeToken, seq });
    this.#schedulePing();
    await this.#replayed(seq + replayed);
    this.#opened();
  }

  async #rejoin(): Promise<void> {
    const joined = await this.#attach("join", await this.#join());
    this.#joined = joined;
    this.#schedulePing();
    this.#opened();
    this.#observer.rejoined(joined);
  }

  /** A lost session joins again as this participant. */
  remember(identity: string): void {
    this.#entry.identity = identity;
  }

  /** What it joins with now. */
  async #join(): Promise<Join> {
    const { token, ...entry } = this.#entry;
    const current = typeof token === "function" ? await this.#given(token) : token;
    return { ...entry, ...(current !== undefined && { token: current }), protocol: limits.protocol };
  }

  /** What the application gives, unless that takes too long, or the session ends. */
  #given(give: () => string | Promise<string>): Promise<string> {
    const { signal } = this.#ending;
    return new Promise<string>((resolve, reject) => {
      const ended = (): void => reject(signal.reason);
      const timer = setTimeout(() => reject(new TimeoutError("The application gave no token in time.")), requestTimeoutMs);
      const over = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", ended);
      };
      signal.addEventListener("abort", ended);
      Promise.resolve().then(give).finally(over).then(resolve, reject);
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = this.#ending;
      const done = (act: () => void) => () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", aborted);
        this.#wake = undefined;
        act();
      };
      const aborted = done(() => reject(signal.reason));
      const timer = setTimeout(done(resolve), ms);
      this.#wake = done(resolve);
      signal.addEventListener("abort", aborted);
    });
  }

  #end(error: ParleyError, tell: boolean): void {
    if (this.#state.at === "ended") return;
    this.#state = { at: "ended", error };
    this.#ending.abort(error);
    for (const id of [...this.#waiting.keys()]) this.#drop(id, error);
    this.#detach();
    if (tell) this.#observer.stateChanged(this.#state);
  }

  #become(state: SessionState): void {
    if (this.#state.at === state.at || this.#state.at === "ended") return;
    this.#state = state;
    this.#observer.stateChanged(state);
  }
}

/** The pause before a try: 0.3 s, doubling up to 5 s, ± a quarter so that clients of a restarted server do not come at once. */
export function backoff(attempt: number, random: number): number {
  return Math.min(backoffMs.first * 2 ** Math.min(attempt, 16), backoffMs.most) * (0.75 + random / 2);
}

/** Whether a request is about the connection, and is not repeated over another one. */
function isOfConnection({ type }: RequestMessage): boolean {
  return type === "join" || type === "resume" || type === "ping";
}

function tooLarge(type: string): ParleyError {
  return new LimitError("too-large", `The request "${type}" is too large.`, { next: "Send less at once." });
}

/** Whether trying again can help. */
function isPassing(error: ParleyError): boolean {
  switch (error.code) {
    case "connection":
    case "timeout":
    case "overloaded":
    case "draining":
    case "rate":
    case "internal":
      return true;
    default:
      return false;
  }
}
