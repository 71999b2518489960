import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Session, type SessionObserver } from "../src/session.js";
import type { Carrier, Connection, Inbox, ServerMessage } from "../src/signalling/carrier.js";
import type { RequestMessage } from "../src/wire.gen.js";
import { joined, pass, settle } from "./fake-server.js";
import { seeded } from "./seeded.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
afterEach(() => mock.timers.reset());

type Message = Record<string, unknown>;

/** One session as docs/protocol.md sections 3 and 6 have it. Messages are on their way until the test lets them go. */
class ModelServer implements Carrier {
  /** The texts of what was carried out. */
  readonly done: string[] = [];
  readonly #sent: Message[] = [];
  readonly #replies = new Map<number, Message | undefined>(); // undefined: it is carried out, and its reply waits for a disk
  #up: RequestMessage[] = [];
  #down: Message[] = [];
  #inbox: Inbox | undefined;
  #isAttached = false;

  async open(inbox: Inbox): Promise<Connection> {
    this.#inbox = inbox;
    this.#isAttached = false;
    [this.#up, this.#down] = [[], []];
    return { send: (r) => this.#inbox === inbox && this.#up.push(r), close: () => undefined };
  }

  get isIdle(): boolean {
    return this.#up.length + this.#down.length + [...this.#replies.values()].filter((r) => !r).length === 0;
  }

  /** One request arrives. */
  up(isDurable: boolean): void {
    const request = this.#up.shift();
    if (!request) return;
    this.#isAttached ||= request.type === "join";
    if (request.type === "join") return this.#send({ reply: request.id, type: "joined", body: joined });
    if (request.type === "resume") return this.#resume(request.id, request.body.seq);
    if (request.type === "ping") return this.#send({ reply: request.id, type: "ok", body: {} });
    if (this.#replies.has(request.id)) {
      const kept = this.#replies.get(request.id);
      return kept && this.#send(kept);
    }
    this.done.push((request.body as { text: string }).text);
    this.#replies.set(request.id, undefined);
    if (!isDurable) this.#answer(request.id);
  }

  /** What waited for the disk is stored. */
  store(): void {
    for (const [id, reply] of this.#replies) if (!reply) this.#answer(id);
  }

  tell(): void {
    this.#send({ type: "participant-left", body: { identity: "bob", reason: "left" } });
  }

  /** One message arrives. */
  down(): void {
    const message = this.#down.shift();
    if (message) this.#inbox?.received(message as unknown as ServerMessage);
  }

  cut(): void {
    const inbox = this.#inbox;
    this.#inbox = undefined;
    this.#isAttached = false;
    [this.#up, this.#down] = [[], []];
    inbox?.closed();
  }

  #answer(id: number): void {
    const reply = { reply: id, type: "ok", body: {} };
    this.#replies.set(id, reply);
    this.#send(reply);
  }

  #send(message: Message): void {
    this.#sent.push({ ...message, seq: this.#sent.length + 1 });
    if (this.#isAttached) this.#down.push(this.#sent.at(-1) as Message);
  }

  #resume(id: number, seq: number): void {
    this.#isAttached = true;
    const replay = this.#sent.slice(seq);
    this.#down.push({ seq: 0, reply: id, type: "resumed", body: { session: "s", revision: 1, replayed: replay.length } }, ...replay);
  }
}

// Rule (section 18.1): requests of one session have one order, that in which they are asked, and each is carried out once, however often the
// connection is lost.
test("whatever is lost on the way, requests are carried out once, in the order in which they were made", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seeded(seed * 7919);
    const server = new ModelServer();
    const [asked, answers]: [string[], Promise<unknown>[]] = [[], []];
    const ask = (): void => {
      const text = `${asked.length}`;
      asked.push(text);
      answers.push(session.request("chat", { text }));
    };
    const observer: SessionObserver = {
      event: () => random(3) === 0 && ask(),
      rejoined: () => assert.fail("the session was lost"),
      stateChanged: ({ at }) => at !== "ended" && ask(),
    };
    const session = new Session(server, { room: "tea" }, observer);
    const opening = session.open();
    await settle();
    server.up(false);
    server.down();
    await opening;
    for (let i = 0; i < 80; i++) {
      const what = random(16);
      if (what < 3) ask();
      else if (what < 8) server.up(random(2) === 0);
      else if (what < 12) server.down();
      else if (what === 12) server.tell();
      else if (what === 13) server.store();
      else if (what === 14) await pass(400);
      else server.cut();
      await settle();
    }
    for (let i = 0; i < 400 && !(server.isIdle && session.state.at === "open"); i++) {
      server.up(false);
      server.down();
      server.store();
      await (i % 20 === 0 ? pass(400) : settle());
    }
    await Promise.all(answers);
    session.leave();
    assert.deepEqual(server.done, asked, `seed ${seed}`);
  }
});
