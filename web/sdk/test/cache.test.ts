// Rule: whatever the browser's database does, records come, at the latest from the server; what it has no room for is not kept, neither as it is nor
// as it was; of what is kept no more stays than there may be.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { type Kept, lastKnown, RoomCache } from "../src/shared/cache.js";
import { maxCachedRecords } from "../src/shared/limits.js";
import { pass, settle } from "./fake-server.js";

type Row = Kept & { readonly key: string; readonly at: number; readonly bytes: number };

/** A request of a database, whose result comes later. */
class Pending {
  result: unknown;
  error: unknown;
  onsuccess: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onblocked: (() => void) | null = null;

  succeed(result?: unknown): void {
    this.result = result;
    this.onsuccess?.();
  }
}

/** What browsers have, as far as it is used: one store, whose transactions are carried out one after the other. */
class Database {
  readonly rows = new Map<string, Row>();
  readonly opening: Pending[] = [];
  closed = 0;
  /** Whether it takes these rows. */
  hasRoom: (rows: readonly Row[]) => boolean = () => true;

  open(): Pending {
    const request = new Pending();
    this.opening.push(request);
    return request;
  }

  close(): void {
    this.closed++;
  }

  transaction(): object {
    const [puts, acts]: [Row[], (() => void)[]] = [[], []];
    const transaction = { oncomplete: null as (() => void) | null, onabort: null as (() => void) | null, objectStore: () => records };
    const later = (act: (request: Pending) => void): Pending => {
      const request = new Pending();
      acts.push(() => act(request));
      return request;
    };
    const records = {
      transaction,
      put: (row: Row) => puts.push(row),
      delete: (key: string) => later(() => this.rows.delete(key)),
      get: (key: string) => later((request) => request.succeed(this.rows.get(key))),
      index: () => ({ openCursor: () => later((request) => this.#walk(request)) }),
    };
    queueMicrotask(() => {
      if (!this.hasRoom(puts)) return transaction.onabort?.();
      for (const row of puts) this.rows.set(row.key, row);
      for (const act of acts) act();
      transaction.oncomplete?.();
    });
    return transaction;
  }

  /** From the newest to the oldest. */
  #walk(request: Pending): void {
    const rows = [...this.rows.values()].sort((a, b) => b.at - a.at);
    const next = (): void => {
      const value = rows.shift();
      request.succeed(value && { value, delete: () => this.rows.delete(value.key), continue: next });
    };
    next();
  }
}

let database: Database;
let locks: number;
const given = new Map(["indexedDB", "navigator"].map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]));

function provide(name: string, descriptor: PropertyDescriptor): void {
  Object.defineProperty(globalThis, name, { configurable: true, ...descriptor });
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  [database, locks] = [new Database(), 0];
  provide("indexedDB", { value: database });
  const request = async (_: string, _options: object, held: (lock: object) => Promise<void>): Promise<void> => {
    locks++;
    await held({});
    locks--;
  };
  provide("navigator", { value: { locks: { request } } });
});
afterEach(() => {
  mock.timers.reset();
  for (const [name, descriptor] of given) {
    if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    else delete (globalThis as Record<string, unknown>)[name];
  }
});

async function open(): Promise<RoomCache> {
  const opening = RoomCache.open("https://house", "tea", "ann");
  await settle();
  database.opening.at(-1)?.succeed(database);
  const cache = await opening;
  assert.ok(cache);
  await settle();
  return cache;
}

const kept = (name: string, version: number): Kept => ({ name, incarnation: 1, version, value: { n: version }, writes: [] });
const versions = (): number[] => [...database.rows.values()].map((row) => row.version).sort((a, b) => a - b);

test("a database that may not be used, or never opens, is none; what opens too late is closed", async () => {
  for (const known of [() => RoomCache.open("https://house", "tea", "ann"), () => lastKnown("tea", "board", { url: "https://house" })]) {
    const silent = known();
    await pass(2_100);
    assert.equal(await silent, undefined);
    database.opening.at(-1)?.succeed(database);
    assert.equal(database.closed, 1);

    const blocked = known();
    await settle();
    database.opening.at(-1)?.onblocked?.();
    assert.equal(await blocked, undefined);

    const broken = known();
    await settle();
    database.opening.at(-1)?.onerror?.();
    assert.equal(await broken, undefined);

    provide("indexedDB", {
      get: () => {
        throw new Error("SecurityError");
      },
    });
    assert.equal(await known(), undefined);
    provide("indexedDB", { value: (database = new Database()) });
  }
  await settle();
  assert.equal(locks, 0, "another page can have it");
});

test("what was kept is known, also before there is a connection", async () => {
  const cache = await open();
  cache.of("room").save(kept("board", 1));
  await pass(200);
  const known = lastKnown("tea", "board", { url: "https://house/x", identity: "ann" });
  database.opening.at(-1)?.succeed(database);
  assert.deepEqual([await known, (await cache.of("room").load("board"))?.version], [{ n: 1 }, 1]);
});

test("where there is no room, what was kept before goes, and what still fits stays", async () => {
  const cache = await open();
  const room = cache.of("room");
  for (const name of ["a", "b", "c"]) room.save(kept(name, 1));
  await pass(200);
  assert.deepEqual(versions(), [1, 1, 1]);
  database.hasRoom = (rows) => rows.every((row) => row.name !== "b");
  for (const name of ["a", "b", "c"]) room.save(kept(name, 2));
  await pass(200);
  await settle();
  assert.deepEqual(versions(), [2, 2], "b is neither as it is nor as it was");
  assert.equal(await room.load("b"), undefined);
});

test("what was saved again meanwhile is not undone by what had no room", async () => {
  const cache = await open();
  const room = cache.of("room");
  database.hasRoom = (rows) => rows.every((row) => row.version !== 1);
  room.save(kept("a", 1));
  mock.timers.tick(100); // it is on its way
  room.save(kept("a", 2));
  mock.timers.tick(100);
  await settle();
  assert.deepEqual(versions(), [2]);
});

test("of what is kept over a long session no more stays than there may be, and the oldest goes", async () => {
  const cache = await open();
  const room = cache.of("room");
  for (let n = 1; n <= 2 * maxCachedRecords; n++) {
    room.save(kept(`record ${n}`, n));
    mock.timers.tick(1_000);
    await settle();
  }
  assert.ok(database.rows.size < 1.5 * maxCachedRecords, `${database.rows.size} records`);
  assert.ok((versions()[0] ?? 0) > maxCachedRecords / 2);
});
