import assert from "node:assert/strict";
import { test } from "node:test";
import { connectMs, type Happening, initial, patienceMs, step, type TransportState } from "../src/transport-machine.js";

/** Runs happenings, and lists what was to be done, in short. */
function run(...happenings: Happening[]): { did: string[]; state: TransportState } {
  let state: TransportState = initial;
  const did: string[] = [];
  for (const happening of happenings) {
    const [next, actions] = step(state, happening);
    state = next;
    for (const a of actions) {
      if (a.do === "offer") did.push(a.restart ? "offer restart" : "offer");
      else if (a.do === "alarm") did.push(`alarm ${a.afterMs}`);
      else if (a.do === "tell") did.push(a.path);
      else did.push(a.do);
    }
  }
  return { did, state };
}

const changed: Happening = { is: "changed" };
const answered: Happening = { is: "answered" };
const waited: Happening = { is: "waited" };
const ice = (state: RTCIceConnectionState): Happening => ({ is: "ice", state });
const up: Happening[] = [changed, answered, ice("connected")];

test("one offer at a time: changes meanwhile become one more", () => {
  assert.deepEqual(run(changed, changed, changed).did, ["offer"]);
  assert.deepEqual(run(...up, changed, changed, changed, answered).did.slice(4), ["offer", "offer"]);
  assert.deepEqual(run(...up, changed, changed, answered, answered).state, { at: "idle", path: "connected" });
});

test("the first answer must lead to a connection", () => {
  const first = run(changed, answered);
  assert.deepEqual(first.did, ["offer", `alarm ${connectMs}`]);
  assert.deepEqual(run(changed, answered, waited).did.slice(2), [`alarm ${connectMs}`, "broken", "offer restart"]);
  assert.deepEqual(run(changed, answered, ice("checking"), ice("connected")).did.slice(2), ["no-alarm", "connected"]);
});

test("a short interruption passes without an offer", () => {
  const { did, state } = run(...up, ice("disconnected"), ice("connected"));
  assert.deepEqual(did.slice(4), [`alarm ${patienceMs}`, "shaky", "no-alarm", "connected"]);
  assert.deepEqual(state, { at: "idle", path: "connected" });
});

test("a longer one restarts ICE", () => {
  assert.deepEqual(run(...up, ice("disconnected"), waited).did.slice(6), [`alarm ${connectMs}`, "broken", "offer restart"]);
});

test("another network restarts ICE at once, and leaves the old path until there is a new one", () => {
  const { did, state } = run(...up, { is: "network" }, answered);
  assert.deepEqual(did.slice(4), ["offer restart"]);
  assert.deepEqual(state, { at: "idle", path: "connected" });
  assert.deepEqual(run(...up, changed, { is: "network" }, answered).did.slice(4), ["offer", "offer restart"]);
  assert.deepEqual(run(changed, { is: "network" }).did, ["offer"]);
});

test("failed ICE is restarted at once, and again until it works", () => {
  const { did, state } = run(...up, ice("failed"), answered, waited, answered, ice("connected"));
  assert.deepEqual(did.slice(4), [
    ...[`alarm ${connectMs}`, "broken", "offer restart"],
    `alarm ${connectMs}`,
    ...[`alarm ${connectMs}`, "broken", "offer restart"],
    `alarm ${connectMs}`,
    ...["no-alarm", "connected"],
  ]);
  assert.deepEqual(state, { at: "idle", path: "connected" });
});

test("a restart that is wanted during an offer comes after its answer", () => {
  assert.deepEqual(run(...up, changed, ice("failed"), answered).did.slice(4), ["offer", `alarm ${connectMs}`, "broken", "offer restart"]);
});

test("an answer that does not come is waited for: signalling is down", () => {
  assert.deepEqual(run(...up, ice("failed"), waited, waited).did.slice(7), [`alarm ${connectMs}`, `alarm ${connectMs}`]);
});

test("a path that works survives that a restart is refused for now, once", () => {
  const network: Happening = { is: "network" };
  const passing: Happening = { is: "refused", usable: false, passing: true };
  assert.deepEqual(run(...up, network, passing).did.slice(4), ["offer restart", `alarm ${patienceMs}`, "shaky"]);
  assert.deepEqual(run(...up, network, passing, waited).did.slice(7), [`alarm ${connectMs}`, "broken", "offer restart"]);
  assert.equal(run(...up, network, passing, waited, passing).state.at, "over");
  assert.equal(run(changed, passing).state.at, "over");
});

test("a refused offer is taken back where that is possible, else the connection is lost", () => {
  assert.deepEqual(run(...up, changed, { is: "refused", usable: true, passing: false }).state, { at: "idle", path: "connected" });
  assert.deepEqual(run(changed, { is: "refused", usable: false, passing: false }).did, ["offer", "no-alarm", "broken", "replace"]);
});

test("what cannot be mended by ICE needs another connection, once", () => {
  for (const happening of [{ is: "dtls-failed" }, { is: "server", state: "failed" }] satisfies Happening[]) {
    const { did, state } = run(...up, happening, happening, changed, ice("failed"), waited);
    assert.deepEqual(did.slice(4), ["no-alarm", "broken", "replace"]);
    assert.deepEqual(state, { at: "over", why: "lost" });
  }
});

test("what the server says otherwise changes nothing: the browser knows its own path", () => {
  assert.deepEqual(run(...up, { is: "server", state: "disconnected" }, { is: "server", state: "connected" }).did.length, 4);
});

test("after closing nothing happens", () => {
  assert.deepEqual(run(changed, { is: "close" }, answered, ice("connected"), waited, changed).did, ["offer", "no-alarm"]);
});
