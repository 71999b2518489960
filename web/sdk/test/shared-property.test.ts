import assert from "node:assert/strict";
import { test } from "node:test";
import { ParleyError } from "../src/errors.js";
import { step } from "../src/shared/entries.js";
import { equal, type Json } from "../src/shared/json.js";
import { SharedList } from "../src/shared/list.js";
import { SharedRecord } from "../src/shared/record.js";
import { settle } from "./fake-server.js";
import { type ModelClient, ModelScope } from "./model-scope.js";
import { seeded } from "./seeded.js";

const runs = 150;
const actions = 60;

type Chance = (n: number) => number;

/** Lets messages go until none is on its way. */
async function drain(scope: ModelScope): Promise<void> {
  for (let quiet = 0; quiet < 2; ) {
    await settle();
    quiet = scope.clients.every((c) => c.isIdle) ? quiet + 1 : 0;
    for (const client of scope.clients) {
      client.up();
      client.down();
    }
  }
}

/** Lets something happen to the messages, or to the session, of a client. */
async function chance(client: ModelClient, random: Chance): Promise<void> {
  const what = random(14);
  if (what < 6) client.up(random(2) === 0);
  else if (what < 12) client.down();
  else if (!client.isOpen) client.rejoin();
  else if (random(3) === 0) client.lose();
  await settle();
}

async function opened<T>(scope: ModelScope, open: (client: ModelClient) => Promise<T>): Promise<[T, T]> {
  const [a, b] = [open(scope.client()), open(scope.client())];
  await drain(scope);
  return [await a, await b];
}

async function finish(scope: ModelScope): Promise<void> {
  for (const client of scope.clients) if (!client.isOpen) client.rejoin();
  await drain(scope);
}

interface Tried {
  readonly entry: string;
  outcome: string;
}

test("lists: whatever is lost on the way, both clients end with the server's entries; what was added is there, once", async () => {
  for (let seed = 1; seed <= runs; seed++) {
    const random = seeded(seed * 7919);
    const scope = new ModelScope();
    const lists = await opened(scope, (c) => c.state.list("queue"));
    const told = lists.map((list) => follow(list));
    const tried: Tried[] = [];
    for (let i = 0; i < actions; i++) {
      const which = random(2);
      const list = lists[which] as SharedList;
      if (random(3) === 0) {
        const one: Tried = { entry: `${seed}-${i}`, outcome: "open" };
        tried.push(one);
        const added = random(2) ? list.insert(one.entry, random(5)) : list.set([...list.entries, one.entry]);
        added.then(() => (one.outcome = "added"), (e: ParleyError) => (one.outcome = e.code));
      } else if (random(4) === 0 && list.entries.length > 0) {
        list.move(list.entries[random(list.entries.length)] ?? "", random(4)).catch(() => undefined);
      } else await chance(scope.clients[which] as ModelClient, random);
    }
    await finish(scope);
    const entries = (scope.records.get("queue")?.document ?? []) as readonly string[];
    for (const [i, list] of lists.entries()) {
      assert.deepEqual(list.entries, entries, `seed ${seed}`);
      assert.deepEqual(told[i]?.(), entries, `seed ${seed}: the events lead there`);
      assert.equal(list.isPending, false);
    }
    for (const { entry, outcome } of tried) {
      const times = entries.filter((e) => e === entry).length;
      if (outcome === "added") assert.equal(times, 1, `seed ${seed}: ${entry} was acknowledged`);
      else assert.ok(outcome === "connection" && times <= 1, `seed ${seed}: ${entry} ${outcome}, there ${times} times`);
    }
  }
});

/** The entries as the list's events tell them. */
function follow(list: SharedList): () => readonly string[] {
  let entries = list.entries;
  list.addEventListener("entryadded", (e) => (entries = step(entries, { op: "insert", value: e.entry, at: e.at })));
  list.addEventListener("entryremoved", (e) => (entries = step(entries, { op: "remove", value: e.entry, at: e.at })));
  list.addEventListener("entrymoved", (e) => (entries = step(entries, { op: "move", value: e.entry, at: e.at, to: e.to })));
  return () => entries;
}

test("records: both clients end with the server's document and version, and subscriptions tell each change of value, once", async () => {
  for (let seed = 1; seed <= runs; seed++) {
    const random = seeded(seed * 104729);
    const scope = new ModelScope();
    const merges = ["remote", "local", (remote: Json | undefined) => ({ merged: remote ?? null })] as const;
    const merge = merges[random(3)] ?? "remote";
    const records = await opened(scope, (c) => c.state.record("board", { merge }));
    const seen = records.map((record) => watch(record, `seed ${seed}`));
    const outcomes: Promise<unknown>[] = [];
    let refused = 0;
    for (let i = 0; i < actions; i++) {
      const which = random(2);
      const record = records[which] as SharedRecord;
      if (random(2) === 0) await chance(scope.clients[which] as ModelClient, random);
      else outcomes.push(act(record, random, i).catch((e: unknown) => {
        assert.ok(e instanceof ParleyError, String(e));
        refused++;
      }));
    }
    await finish(scope);
    await Promise.all(outcomes); // each write ends, one way or the other
    const { document, version = 0 } = scope.records.get("board") ?? {};
    for (const [i, record] of records.entries()) {
      assert.ok(equal(record.get(), document), `seed ${seed}: ${JSON.stringify(record.get())}, and the server has ${JSON.stringify(document)}`);
      assert.equal(record.version, version, `seed ${seed}`);
      assert.equal(record.isPending, false);
      assert.ok(equal(seen[i]?.(), record.get("a")), `seed ${seed}`);
    }
    assert.ok(refused < outcomes.length || scope.writes > 0);
  }
});

function act(record: SharedRecord, random: Chance, i: number): Promise<void> {
  const path = ["a", "b", "a.c", "d[1]"][random(4)] ?? "a";
  switch (random(6)) {
    case 0:
      return record.erase(path);
    case 1:
      return record.patch({ [path]: i, e: undefined });
    case 2:
      return record.set({ a: i });
    case 3:
      return random(4) === 0 ? record.delete() : record.set("b", i, { version: record.version });
    default:
      return record.set(path, random(3));
  }
}

function watch(record: SharedRecord, message: string): () => Json | undefined {
  let last: Json | undefined = record.get("a");
  record.subscribe("a", (value) => {
    assert.ok(!equal(last, value), `${message}: told the same twice`);
    assert.ok(equal(value, record.get("a")), `${message}: told after it has changed`);
    last = value;
  });
  return () => last;
}
