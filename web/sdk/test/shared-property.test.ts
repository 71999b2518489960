import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ParleyError } from "../src/errors.js";
import { step } from "../src/shared/entries.js";
import { equal, type Json } from "../src/shared/json.js";
import { maxWaitingWrites } from "../src/shared/limits.js";
import { SharedList } from "../src/shared/list.js";
import { SharedRecord } from "../src/shared/record.js";
import type { WriteOptions } from "../src/shared/write.js";
import { settle } from "./fake-server.js";
import { type Chance, type ModelClient, ModelScope } from "./model-scope.js";
import { seeded } from "./seeded.js";

const runs = 150;
const actions = 60;

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

/** What may happen to messages and sessions, beside delays. */
interface Weather {
  /** Sessions are lost. */
  readonly losses: boolean;
  /** Clients read too slowly. */
  readonly forgets: boolean;
  /** Their replies are lost with that. */
  readonly losesReplies: boolean;
}

/** One of the eight weathers for each seed. */
function weatherOf(seed: number): Weather {
  return { losses: seed % 2 === 0, forgets: seed % 4 < 2, losesReplies: seed % 8 < 4 };
}

/** Lets messages go until none is on its way, which must be soon. */
async function drain(scope: ModelScope): Promise<void> {
  for (let [quiet, rounds] = [0, 0]; quiet < 3; rounds++) {
    assert.ok(rounds < 5_000, "it comes to an end");
    for (const client of scope.clients) {
      client.up();
      client.release();
      client.down();
    }
    await settle();
    quiet = scope.clients.every((c) => c.isIdle) ? quiet + 1 : 0;
    if (quiet > 0) mock.timers.tick(60_000);
    await settle();
  }
}

/** Lets something happen to the messages, or to the session, of a client. */
async function chance(scope: ModelScope, client: ModelClient, { losses, forgets, losesReplies }: Weather): Promise<void> {
  const what = scope.random(19);
  if (client.isCut) {
    if (what < 4) await client.resume();
    else if (what === 4 && losses) client.lose();
  } else if (!client.isOpen) {
    if (what < 6) client.rejoin();
  } else if (client.isWaiting && what < 3) { // for a disk, which is when a loss means most
    if (what === 0 && losses) client.lose();
    else if (what === 1 && forgets) client.forget(losesReplies);
    else client.up();
  } else if (what < 6) client.up();
  else if (what < 12) client.down();
  else if (what < 16) client.release();
  else if (what === 16 && forgets && scope.random(2)) client.forget(losesReplies);
  else if (what === 17 && losses && scope.random(2)) client.lose();
  else if (what === 18) client.cut();
  await settle();
}

/** Clients of which the last is another session of the first one's identity. */
async function opened<T>(scope: ModelScope, open: (client: ModelClient) => Promise<T>): Promise<T[]> {
  const all = ["ann", "bob", "ann"].map((identity) => open(scope.client(identity)));
  await drain(scope);
  return Promise.all(all);
}

async function finish(scope: ModelScope): Promise<void> {
  for (const client of scope.clients) {
    if (client.isCut) await client.resume();
    else if (!client.isOpen) client.rejoin();
  }
  await drain(scope);
}

async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "";
  } catch (reason) {
    assert.ok(reason instanceof ParleyError, String(reason));
    return reason.code;
  }
}

/** Not known whether it was carried out. */
const unknown = ["connection", "internal"];

test("lists: whatever is lost or late, all end with the server's entries; what was added is there, once, and never seen twice", async () => {
  for (let seed = 1; seed <= runs; seed++) {
    const random = seeded(seed * 7919);
    const scope = new ModelScope(random, random(2) === 0);
    const lists = await opened(scope, (c) => c.state.list("queue"));
    const told = lists.map((list) => follow(list, random));
    const tried: { readonly entry: string; readonly outcome: Promise<string> }[] = [];
    for (let i = 0; i < actions; i++) {
      const which = random(lists.length);
      const list = lists[which] as SharedList;
      if (random(4) === 0) {
        const entry = `${seed}-${i}`;
        tried.push({ entry, outcome: outcomeOf(random(2) ? list.insert(entry, random(5)) : list.set([...list.entries, entry])) });
      } else if (random(5) === 0 && list.entries.length > 0) {
        list.move(list.entries[random(list.entries.length)] ?? "", random(4)).catch(() => undefined);
      } else await chance(scope, scope.clients[which] as ModelClient, weatherOf(seed));
      for (const [n, one] of lists.entries()) {
        assert.equal(new Set(one.entries).size, one.entries.length, `seed ${seed}, action ${i}: ${one.entries.join(" ")}`);
        assert.deepEqual(told[n]?.(), one.entries, `seed ${seed}, action ${i}: the events lead there`);
      }
    }
    await finish(scope);
    const entries = (scope.records.get("queue")?.document ?? []) as readonly string[];
    for (const [n, list] of lists.entries()) {
      assert.deepEqual(list.entries, entries, `seed ${seed}`);
      assert.deepEqual(told[n]?.(), entries, `seed ${seed}`);
      assert.equal(list.isPending, false);
    }
    for (const { entry, outcome } of tried) {
      const times = entries.filter((e) => e === entry).length;
      const code = await outcome;
      if (code === "") assert.equal(times, 1, `seed ${seed}: ${entry} was acknowledged`);
      else if (unknown.includes(code)) assert.ok(times <= 1, `seed ${seed}: ${entry} is there ${times} times`);
      else assert.ok(code === "forbidden" && times === 0, `seed ${seed}: ${entry} ${code}, there ${times} times`);
    }
  }
});

/** The entries as the list's events tell them. Who listens may write. */
function follow(list: SharedList, random: Chance): () => readonly string[] {
  const entries = [...list.entries];
  list.addEventListener("entryadded", (e) => step(entries, { op: "insert", value: e.entry, at: e.at }));
  list.addEventListener("entryadded", (e) => random(4) === 0 && list.move(e.entry, random(3)).catch(() => undefined));
  list.addEventListener("entryremoved", (e) => {
    assert.equal(entries[e.at], e.entry);
    step(entries, { op: "remove", value: e.entry, at: e.at });
  });
  list.addEventListener("entrymoved", (e) => {
    assert.equal(entries[e.at], e.entry);
    step(entries, { op: "move", value: e.entry, at: e.at, to: e.to });
  });
  return () => entries;
}

test("records: all end with the server's document; each change is told once, to everybody; what is told of a write is what became of it", async () => {
  for (let seed = 1; seed <= runs; seed++) {
    const random = seeded(seed * 104729);
    const scope = new ModelScope(random, random(2) === 0);
    const weather = weatherOf(seed);
    const merges = ["remote", "local", (remote: Json | undefined, local: Json | undefined) => [{ remote: remote ?? null }, 7, { n: 12 }, local][random(4)], undefined] as const;
    const merge = merges[random(4)];
    const isRemote = merge === "remote" || merge === undefined;
    const records = await opened(scope, (c) => c.state.record("board", { merge: merge as "remote" }));
    const seen = records.map((record) => [watch(record, `seed ${seed}`, random), watch(record, `seed ${seed}`, random)]);
    const tried: { readonly value: number; readonly incarnation: number | undefined; readonly outcome: Promise<string> }[] = [];
    const ending = new Map<SharedRecord, number>(); // its deletions that have not ended
    for (let i = 0; i < actions; i++) {
      const which = random(records.length);
      const record = records[which] as SharedRecord;
      if (random(2) === 0) await chance(scope, scope.clients[which] as ModelClient, weather);
      else {
        const incarnation = ending.get(record) ? undefined : scope.clients[which]?.told.get("board");
        const isEnd = (i + 100) % 4 === 0 && random(2) === 0;
        const outcome = outcomeOf(isEnd ? record.delete() : act(record, random, i + 100));
        if (isEnd) {
          ending.set(record, (ending.get(record) ?? 0) + 1);
          void outcome.then(() => ending.set(record, (ending.get(record) ?? 0) - 1));
        }
        tried.push({ value: i + 100, incarnation, outcome });
      }
      for (const [n, one] of records.entries()) {
        assert.ok(!one.isLive || scope.clients[n]?.hears("board"), `seed ${seed}, action ${i}: nobody tells it of changes`);
        for (const last of seen[n] ?? []) assert.ok(equal(last(), one.get("a")), `seed ${seed}, action ${i}: told what is there`);
      }
    }
    await finish(scope);
    if (weather.forgets && random(3) === 0) await vanish(scope, records, random(records.length));
    const { document, version = 0 } = scope.records.get("board") ?? {};
    for (const record of records) {
      assert.ok(equal(record.get(), document), `seed ${seed}: ${JSON.stringify(record.get())}, and the server has ${JSON.stringify(document)}`);
      assert.equal(record.version, version, `seed ${seed}`);
      assert.equal(record.isPending, false);
      assert.equal(record.isLive, true);
    }
    for (const { value, incarnation, outcome } of tried) {
      const code = await outcome; // each write ends, one way or the other
      const done = scope.done.filter((o) => JSON.stringify(o.value)?.includes(`${value}`));
      const times = done.length;
      if (isRemote && !weather.losses && !weather.forgets && incarnation) {
        assert.ok(done.every((o) => o.incarnation === incarnation), `seed ${seed}: ${value} was made for ${incarnation}, and written to another`);
      }
      if (typeof merge === "function") continue;
      // A write to what did not exist may have made a record that is deleted since.
      const lives = new Set(done.map((o) => o.incarnation)).size;
      if (isRemote && value % 4 !== 0) assert.equal(times, lives, `seed ${seed}: ${value} is in ${times} versions of ${lives} records`);
      if (unknown.includes(code)) continue;
      if (code === "") assert.ok(times > 0 || value % 4 === 0, `seed ${seed}: ${value} was acknowledged`);
      else if (!weather.losses && isRemote) assert.equal(times, 0, `seed ${seed}: ${value} ${code}`);
    }
    const last = random(records.length);
    await fill(scope.clients[last] as ModelClient, records[last] as SharedRecord, `seed ${seed}`);
  }
});

/** One is answered that it has written, and told nothing more before another deletes the record. */
async function vanish(scope: ModelScope, records: readonly SharedRecord[], which: number): Promise<void> {
  const [mine, theirs] = [which, (which + 1) % records.length].map((n) => scope.clients[n] as ModelClient) as [ModelClient, ModelClient];
  const written = outcomeOf((records[which] as SharedRecord).set("last", 1));
  mine.up();
  mine.forget(false);
  void (records[(which + 1) % records.length] as SharedRecord).delete().catch(() => undefined);
  theirs.up();
  await drain(scope);
  assert.equal(await written, "");
}

/** What has ended does not count any more: as many writes may wait as at first, and no more. */
async function fill(client: ModelClient, record: SharedRecord, message: string): Promise<void> {
  client.lose();
  const write = (): Promise<string> => outcomeOf(record.set("unwatched", 1)); // who watches may write, too
  const waiting = Array.from({ length: maxWaitingWrites }, write);
  assert.equal(await write(), "limit", `${message}: one more`);
  record.close();
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set(["connection"]), message);
}

/** Each value is written once, but for those that can be divided by 4: something is erased then. */
function act(record: SharedRecord, random: Chance, value: number): Promise<void> {
  const path = ["a", "b", "a.c", "d[1]", "d[0]"][random(5)] ?? "a";
  if (value % 4 === 0) return record.erase(path);
  switch (random(5)) {
    case 0:
      return record.patch({ [path]: value, e: undefined });
    case 1:
      return record.set({ a: value });
    case 2:
      return record.set("b", value, { version: record.version });
    default:
      return record.set(path, value);
  }
}

/** A text that nobody else writes: what two write alike, each takes for his own where he does not know. */
let texts = 0;
const unlike = (): string => (++texts).toString(2).replaceAll("0", "o").replaceAll("1", "i");

/** Who is told may write. */
function watch(record: SharedRecord, message: string, random: Chance): () => Json | undefined {
  let last: Json | undefined = record.get("a");
  record.subscribe("a", (value) => {
    assert.ok(!equal(last, value), `${message}: told the same twice`);
    assert.ok(equal(value, record.get("a")), `${message}: told after it has changed`);
    last = value;
    if (random(8) === 0) record.set("a", unlike()).catch(() => undefined);
  });
  return () => last;
}

test("who writes alone has no conflicts, sees no value twice, and knows the version of what was acknowledged", async () => {
  for (let seed = 1; seed <= runs; seed++) {
    const random = seeded(seed * 15485863);
    const scope = new ModelScope(random, random(2) === 0);
    const weather = { ...weatherOf(seed), losesReplies: false };
    const [ann, bob] = (await opened(scope, (c) => c.state.record("board"))) as [SharedRecord, SharedRecord];
    const told = [ann, bob].map((record) => {
      const values: number[] = [];
      record.subscribe("n", (value) => values.push(typeof value === "number" ? value : 0));
      return values;
    });
    let open = 0;
    const outcomes: Promise<string>[] = [];
    const write = (path: string, value: unknown, options?: WriteOptions): void => {
      open++;
      outcomes.push(outcomeOf(ann.set(path, value, options).finally(() => open--)));
    };
    write("", {});
    await drain(scope);
    for (let n = 1; n <= actions * 2; n++) {
      const value = n * 13; // nothing that is forbidden
      if (random(3) === 0) write("n", value, open === 0 && !weather.losses ? { version: ann.version } : undefined);
      else await chance(scope, scope.clients[random(2)] as ModelClient, weather);
      if (open === 0) assert.equal(ann.version, scope.records.get("board")?.version, `seed ${seed}, action ${n}: it knows what it has written`);
    }
    await finish(scope);
    assert.deepEqual(new Set(await Promise.all(outcomes)), new Set([""]), `seed ${seed}`);
    for (const values of told) for (const [i, value] of values.entries()) assert.ok(value > (values[i - 1] ?? 0), `seed ${seed}: ${values.join(" ")}`);
    assert.equal(ann.get("n"), bob.get("n"));
  }
});

test("presence: all end with who is there of those they watch, and the events lead there", async () => {
  const names = ["ann", "bob", "cid", "dan"];
  for (let seed = 1; seed <= runs; seed++) {
    const random = seeded(seed * 32452843);
    const scope = new ModelScope(random);
    const client = scope.client("ann");
    const { presence } = client.state;
    const seen = new Set<string>();
    presence.addEventListener("join", (e) => assert.ok(!seen.has(e.identity) && seen.add(e.identity), `seed ${seed}: ${e.identity} comes`));
    presence.addEventListener("leave", (e) => assert.ok(seen.delete(e.identity), `seed ${seed}: ${e.identity} goes`));
    const watched = new Set<string>([""]); // by listening
    const met = (there: readonly string[]): void => there.forEach((identity) => presence.present.has(identity) && seen.add(identity));
    const waiting: Promise<unknown>[] = [presence.watch().then(met)];
    for (let i = 0; i < actions; i++) {
      const what = random(8);
      if (what < 2) scope.turn(names[random(names.length)] ?? "");
      else if (what === 2) {
        const some = random(3) === 0 ? undefined : [names[random(names.length)] ?? ""];
        for (const key of some ?? [""]) watched.add(key);
        waiting.push(presence.watch(some).then(met));
      } else if (what === 3 && random(3) === 0) {
        const some = random(3) === 0 ? undefined : [names[random(names.length)] ?? ""];
        for (const key of some ?? [""]) watched.delete(key);
        waiting.push(presence.unwatch(some).catch(() => undefined));
      } else await chance(scope, client, weatherOf(seed));
      for (const identity of seen) if (!presence.present.has(identity)) seen.delete(identity); // who is not watched any more just goes
    }
    await finish(scope);
    await Promise.all(waiting);
    const there = [...scope.present].filter((p) => watched.has("") || watched.has(p)).sort();
    assert.deepEqual([...presence.present].sort(), there, `seed ${seed}`);
    assert.deepEqual([...seen].sort(), there, `seed ${seed}`);
  }
});
