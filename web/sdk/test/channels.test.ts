import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Channels, decode, encode, type DataMessage } from "../src/channels.js";
import { ConnectionError, LimitError } from "../src/errors.js";
import { settle } from "./fake-server.js";

/** What a browser has in place of a data channel here: what is sent stays buffered until the test lets it go. */
class FakeChannel {
  readyState: RTCDataChannelState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  readonly sent: Uint8Array<ArrayBuffer>[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onbufferedamountlow: (() => void) | null = null;

  readonly label: string;

  constructor(label: string) {
    this.label = label;
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    this.sent.push(message);
    this.bufferedAmount += message.length;
  }

  open(): void {
    this.readyState = "open";
    this.onopen?.();
  }

  /** The other end closes it. */
  lose(): void {
    this.readyState = "closed";
    this.onclose?.();
  }

  drain(): void {
    this.bufferedAmount = 0;
    this.onbufferedamountlow?.();
  }

  close(): void {
    this.readyState = "closed";
  }
}

class FakeConnection extends EventTarget {
  connectionState: RTCPeerConnectionState = "connected";
  readonly made: FakeChannel[] = [];

  createDataChannel(label: string): FakeChannel {
    const channel = new FakeChannel(label);
    this.made.push(channel);
    return channel;
  }

  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }

  /** The newest of a label. */
  at(label: string): FakeChannel {
    const channel = this.made.findLast((c) => c.label === label);
    assert.ok(channel);
    return channel;
  }
}

function start(): { connection: FakeConnection; channels: Channels; received: DataMessage[] } {
  const connection = new FakeConnection();
  const received: DataMessage[] = [];
  const channels = new Channels(connection as unknown as RTCPeerConnection, (m) => received.push(m));
  return { connection, channels, received };
}

/** Sends a text and tells what becomes of it. */
function send(channels: Channels, text: string): { outcome: string } {
  const told = { outcome: "waits" };
  channels.send(encode(text), true).then(
    () => (told.outcome = "taken"),
    (e: unknown) => (told.outcome = e instanceof ConnectionError || e instanceof LimitError ? e.code : String(e)),
  );
  return told;
}

const texts = (channel: FakeChannel): unknown[] => channel.sent.map((m) => decode(m.buffer)?.payload);

test("what is sent before the channel is open, or while the browser has no room, waits and goes in order", async () => {
  const { connection, channels } = start();
  const channel = connection.at("parley");
  const big = "x".repeat(60_000);
  const first = send(channels, "first");
  await settle();
  assert.equal(first.outcome, "waits");
  channel.open();
  const all = Array.from({ length: 40 }, (_, i) => send(channels, `${i} ${big}`));
  await settle();
  assert.equal(first.outcome, "taken");
  const taken = all.filter((o) => o.outcome === "taken").length;
  assert.ok(taken < 20, `${taken} taken`);
  channel.bufferedAmount = 1 << 20; // there is a little room, which is not for those who come later
  const later = send(channels, "later");
  channel.drain();
  channel.drain();
  channel.drain();
  await settle();
  assert.deepEqual([...all, later].filter((o) => o.outcome !== "taken"), []);
  assert.deepEqual(texts(channel), ["first", ...all.map((_, i) => `${i} ${big}`), "later"]);
});

test("a channel that the server closes is opened again at once; what waits and what comes before is rejected, nothing vanishes", async () => {
  const { connection, channels } = start();
  connection.at("parley").open();
  connection.at("parley").bufferedAmount = 2 << 20;
  const waiting = send(channels, "waiting");
  connection.at("parley").lose();
  const between = send(channels, "between");
  await settle();
  assert.deepEqual([waiting.outcome, between.outcome], ["connection", "connection"]);
  assert.equal(connection.made.length, 3);
  connection.at("parley").open();
  const after = send(channels, "after");
  await settle();
  assert.equal(after.outcome, "taken");
  assert.deepEqual(texts(connection.at("parley")), ["after"]);
});

test("without a connection the channel is opened again when there is one", async () => {
  const { connection, channels } = start();
  connection.at("parley").open();
  connection.connectionState = "disconnected";
  connection.at("parley").lose();
  connection.become("connecting");
  assert.equal(connection.made.length, 2);
  connection.become("connected");
  connection.become("connected");
  assert.equal(connection.made.length, 3);
  connection.at("parley").lose();
  channels.close();
  connection.become("connected");
  const ended = send(channels, "too late");
  await settle();
  assert.equal(ended.outcome, "connection");
});

test("a channel that is closed again and again is opened after longer and longer pauses, as long as it takes; after a calm time at once", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  const clock = mock.method(performance, "now", () => now);
  try {
    const { connection } = start();
    const pauses: number[] = [];
    for (let i = 0; i < 8; i++) {
      connection.at("parley").open();
      const before = connection.made.length;
      connection.at("parley").lose();
      let waited = 0;
      for (; connection.made.length === before; waited += 500) mock.timers.tick(500);
      pauses.push(waited);
    }
    assert.deepEqual(pauses, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    connection.at("parley").open();
    now = 61_000;
    const before = connection.made.length;
    connection.at("parley").lose();
    assert.equal(connection.made.length, before + 1);
  } finally {
    clock.mock.restore();
    mock.timers.reset();
  }
});

test("who sends without waiting is stopped at 64 MiB; lossy messages never wait", async () => {
  const { connection, channels } = start();
  const all = Array.from({ length: 1_025 }, () => send(channels, "x".repeat(65_536)));
  await settle();
  assert.ok(all.slice(0, 1_023).every((o) => o.outcome === "waits"));
  assert.equal(all.at(-1)?.outcome, "limit");
  await channels.send(encode("lost"), false);
  connection.at("parley-lossy").open();
  await channels.send(encode("sent"), false);
  connection.at("parley-lossy").bufferedAmount = 2 << 20;
  await channels.send(encode("lost"), false);
  assert.deepEqual(texts(connection.at("parley-lossy")), ["sent"]);
});
