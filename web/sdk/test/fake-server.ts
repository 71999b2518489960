// A carrier whose server the test plays, and time that the test lets pass.

import { mock } from "node:test";
import { ConnectionError } from "../src/errors.js";
import type { Carrier, Connection, Inbox, ServerMessage } from "../src/signalling/carrier.js";
import type { Joined, RequestMessage } from "../src/wire.gen.js";

export class FakeServer implements Carrier {
  readonly requests: RequestMessage[] = [];
  connections = 0;
  reachable = true;
  #inbox: Inbox | undefined;
  #seq = 0;

  async open(inbox: Inbox, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    if (!this.reachable) throw new ConnectionError("no way");
    this.connections++;
    this.#inbox = inbox;
    return {
      send: (request) => this.requests.push(request),
      close: () => {
        if (this.#inbox === inbox) this.#inbox = undefined;
      },
    };
  }

  get connected(): boolean {
    return this.#inbox !== undefined;
  }

  /** The newest request. */
  get last(): RequestMessage {
    const request = this.requests.at(-1);
    if (!request) throw new Error("nothing was asked");
    return request;
  }

  /** Sends a numbered message. */
  send(message: Record<string, unknown>): void {
    this.raw({ seq: ++this.#seq, ...message });
  }

  /** Counts a message that the client does not get. */
  lose(): void {
    this.#seq++;
  }

  raw(message: Record<string, unknown>): void {
    this.#inbox?.received(message as unknown as ServerMessage);
  }

  reply(type: string, body: object, to: RequestMessage = this.last): void {
    this.send({ reply: to.id, type, body });
  }

  /** A refusal is numbered, but for that of a request which opens a session. */
  refuse(code: string, extra: object = {}, to: RequestMessage = this.last): void {
    const refusal = { reply: to.id, type: "error", body: { code, message: code, ...extra } };
    if (to.type === "join" || to.type === "resume") this.raw({ seq: 0, ...refusal });
    else this.send(refusal);
  }

  join(): void {
    this.#seq = 0;
    this.reply("joined", joined);
  }

  resume(replayed = 0): void {
    this.raw({ seq: 0, reply: this.last.id, type: "resumed", body: { session: "s", revision: 1, replayed } });
  }

  /** The connection breaks, or is closed with a status. */
  cut(status?: number): void {
    const inbox = this.#inbox;
    this.#inbox = undefined;
    inbox?.closed(status);
  }
}

export const joined: Joined = {
  session: "s",
  resumeToken: "secret",
  resumeSeconds: 30,
  identity: "ann",
  grants: { publish: true, subscribe: true, publishData: true, admin: false, hidden: false },
  room: { name: "tea", revision: 1, participants: [], chat: [], codecs: { audio: ["opus"], video: ["vp8"] }, speakers: { speaking: [] } },
  iceServers: [],
  pingSeconds: 10,
};

/** Lets everything run that waits for nothing but promises. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** Lets time pass, in steps small enough that what a timer starts can set the next one. */
export async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 50) {
    mock.timers.tick(Math.min(left, 50));
    await settle();
  }
}
