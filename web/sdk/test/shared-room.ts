// Shared state over a session whose server the test plays.

import { ParleyError } from "../src/errors.js";
import { Session } from "../src/session.js";
import type { StateLink } from "../src/shared/link.js";
import type { SharedList } from "../src/shared/list.js";
import type { SharedRecord } from "../src/shared/record.js";
import { SharedState } from "../src/shared/state.js";
import type { RequestMessage } from "../src/wire.gen.js";
import { FakeServer, pass, settle } from "./fake-server.js";

/** A session and its two scopes. */
export interface Opened {
  readonly server: FakeServer;
  readonly session: Session;
  readonly state: SharedState;
  readonly other: SharedState;
}

export async function open(): Promise<Opened> {
  const server = new FakeServer();
  const session = new Session(server, { room: "tea" }, {
    event: (m) => [state, other].forEach((s) => s.received(m)),
    rejoined: () => [state, other].forEach((s) => s.restore()),
    stateChanged: (now) => [state, other].forEach((s) => s.sessionIs(now)),
  });
  let calls = 0;
  const link: StateLink = {
    identity: "ann",
    get isOpen() {
      return session.state.at === "open";
    },
    get isEnded() {
      return session.state.at === "ended";
    },
    nextCall: () => ++calls,
    request: (type, body) => session.request(type, body),
  };
  const [state, other] = [new SharedState(link, "room"), new SharedState(link, "server")];
  const opened = session.open();
  await settle();
  server.join();
  await opened;
  return { server, session, state, other };
}

export async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "";
  } catch (reason) {
    return reason instanceof ParleyError ? reason.code : String(reason);
  }
}

export function asked(server: FakeServer, type: string): RequestMessage[] {
  return server.requests.filter((r) => r.type === type);
}

/** Opens a record that has this value at version 5 of incarnation 3, or that does not exist. */
export async function record(
  { server, state }: { server: FakeServer; state: SharedState },
  value?: object,
  options: Parameters<SharedState["record"]>[1] = {},
): Promise<SharedRecord> {
  const opening = state.record("board", options);
  await settle();
  server.reply("records", { results: [{ record: board(5, value) }] });
  return opening;
}

export function board(version: number, value?: object, incarnation = 3): object {
  return value === undefined ? { name: "board", incarnation: 0, version: 0 } : { name: "board", incarnation, version, value };
}

export function changed(server: FakeServer, version: number, operations: object[], incarnation = 3, by = "bob"): void {
  server.send({ type: "record-changed", body: { scope: "room", name: "board", incarnation, version, operations, by } });
}

/** The session expires, and another one takes its place. */
export async function expire(server: FakeServer): Promise<void> {
  server.cut();
  await pass(400);
  server.refuse("session-expired");
  await pass(6_000);
  server.join();
  await settle();
}

/** Opens a list that has these entries at version 5 of incarnation 3. */
export async function list({ server, state }: Opened, entries: readonly string[]): Promise<SharedList> {
  const opening = state.list("board");
  await settle();
  server.reply("records", { results: [{ record: board(5, entries) }] });
  return opening;
}

/** The operations of the newest write. */
export function written(server: FakeServer): readonly { readonly op: string; readonly path?: string; readonly value?: unknown }[] {
  return (asked(server, "record-write").at(-1)?.body as { operations: { op: string; path?: string; value?: unknown }[] }).operations;
}

/** The server has forgotten what the session has in the room's scope. */
export function stateLost(server: FakeServer): void {
  server.send({ type: "state-lost", body: { scope: "room" } });
}

/** The newest subscription to a record is answered. */
export async function answer(server: FakeServer, record: object): Promise<void> {
  server.reply("records", { results: [{ record }] }, asked(server, "record-subscribe").at(-1));
  await settle();
}
