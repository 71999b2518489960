// What records were last known in this browser, and writes by path that have not reached the server: in IndexedDB, for pages that ask for it
// (join({ cache: true })). Everyone has their own, for others may read and write less. One page at a time keeps what is of one person in one room:
// two would repeat one another's writes.
import { maxCacheAgeDays, maxCachedBytes, maxCachedRecords } from "./limits.js";
const [database, store, byTime] = ["parley", "records", "at"];
const saveMs = 100;
const dayMs = 86_400_000;
const minuteMs = 60_000;
/** How long the browser may take to open the database: some never answer. */
const openMs = 2_000;
/** The caches of one room's scopes, for one person. */
export class RoomCache {
    #db;
    #place;
    #release;
    #unsaved = new Map();
    #underway = new Map();
    /** How large is what was kept since too much was taken away last, by key. */
    #fresh = new Map();
    #prunedAt = 0;
    #closing = new AbortController();
    #timer;
    /** Identity: who has asked for one, or is given one by a token; else empty. Undefined: this browser has none, or another page has it. */
    static async open(origin, room, identity) {
        if (!globalThis.navigator?.locks)
            return undefined;
        const place = placeOf(origin, room, identity);
        const release = await lock(`parley ${place}`);
        if (!release)
            return undefined;
        try {
            const cache = new RoomCache(await openDatabase(), place, release);
            cache.#try(() => cache.#prune());
            return cache;
        }
        catch {
            release(); // a private window, or one that may keep nothing
            return undefined;
        }
    }
    constructor(db, place, release) {
        this.#db = db;
        this.#place = place;
        this.#release = release;
        globalThis.addEventListener?.("pagehide", () => this.#flush(), { signal: this.#closing.signal });
        db.onversionchange = () => db.close(); // a newer page wants to change it: from now on nothing is kept here
    }
    of(scope) {
        const keyOf = (name) => JSON.stringify([this.#place, scope, name]);
        return {
            load: (name) => this.#load(keyOf(name)),
            save: (kept) => this.#save(keyOf(kept.name), kept),
            forget: (name) => this.#forget(keyOf(name)),
        };
    }
    /** Lets another page have it. */
    close() {
        this.#flush();
        this.#closing.abort();
        this.#db.close(); // once what was begun is done
        this.#release();
    }
    async #load(key) {
        const unsaved = this.#unsaved.get(key);
        if (unsaved)
            return unsaved;
        try {
            return await done(this.#records("readonly").get(key));
        }
        catch {
            return undefined; // then it comes from the server
        }
    }
    #save(key, kept) {
        this.#unsaved.set(key, kept);
        this.#timer ??= setTimeout(() => this.#flush(), saveMs);
    }
    #forget(key) {
        this.#unsaved.delete(key);
        this.#underway.delete(key);
        this.#try(() => this.#records("readwrite").delete(key));
    }
    #flush() {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        if (this.#unsaved.size === 0)
            return;
        const rows = [...this.#unsaved].map(([key, kept]) => ({ ...kept, key, at: Date.now(), bytes: JSON.stringify(kept).length }));
        this.#unsaved.clear();
        this.#put(rows);
        this.#grown(rows);
    }
    /** All or nothing: where all is too much, each for itself. What cannot be kept is not kept as it was before either. */
    #put(rows) {
        for (const row of rows)
            this.#underway.set(row.key, row);
        this.#try(() => {
            const records = this.#records("readwrite");
            const newest = () => {
                const found = rows.filter((row) => this.#underway.get(row.key) === row);
                for (const { key } of found)
                    this.#underway.delete(key);
                return found;
            };
            records.transaction.oncomplete = newest;
            records.transaction.onabort = () => {
                for (const row of newest()) {
                    if (rows.length > 1)
                        this.#put([row]);
                    else
                        this.#forget(row.key);
                }
            };
            for (const row of rows)
                records.put(row);
        });
    }
    /** Takes away what is too much now and then. */
    #grown(rows) {
        for (const { key, bytes } of rows)
            this.#fresh.set(key, bytes);
        const bytes = [...this.#fresh.values()].reduce((sum, n) => sum + n, 0);
        if (this.#fresh.size < maxCachedRecords / 4 && bytes < maxCachedBytes / 4)
            return;
        if (Date.now() - this.#prunedAt >= minuteMs)
            this.#try(() => this.#prune());
    }
    /** What cannot be kept is not kept. */
    #try(act) {
        try {
            act();
        }
        catch {
            this.#unsaved.clear();
        }
    }
    #records(mode) {
        return this.#db.transaction(store, mode).objectStore(store);
    }
    /** Takes away what is too old, or too much: the oldest first. */
    #prune() {
        this.#prunedAt = Date.now();
        this.#fresh.clear();
        let [count, bytes] = [0, 0];
        const request = this.#records("readwrite").index(byTime).openCursor(null, "prev");
        request.onsuccess = () => {
            const cursor = request.result;
            if (!cursor)
                return;
            const row = cursor.value;
            count++;
            bytes += row.bytes;
            if (count > maxCachedRecords || bytes > maxCachedBytes || Date.now() - row.at > maxCacheAgeDays * dayMs)
                cursor.delete();
            cursor.continue();
        };
    }
}
/** What a record was last known to be in this browser, also before there is a connection; undefined: nothing is known. */
export async function lastKnown(room, name, options = {}) {
    const { url = location.origin, scope = "room", identity = "" } = options;
    const key = JSON.stringify([placeOf(new URL(url).origin, room, identity), scope, name]);
    let db;
    try {
        db = await openDatabase();
        return (await done(db.transaction(store).objectStore(store).get(key)))?.value;
    }
    catch {
        return undefined; // a private window, or one that may keep nothing
    }
    finally {
        db?.close();
    }
}
const placeOf = (origin, room, identity) => JSON.stringify([origin, room, identity]);
/** Rejects where this page may keep nothing, another page has an older database open, or the browser does not answer. */
function openDatabase() {
    return new Promise((resolve, reject) => {
        const request = indexedDB.open(database, 1);
        const giveUp = () => {
            reject(new Error("The browser's database does not open."));
            request.onsuccess = () => request.result.close(); // it comes too late
        };
        const timer = setTimeout(giveUp, openMs);
        request.onupgradeneeded = () => request.result.createObjectStore(store, { keyPath: "key" }).createIndex(byTime, byTime);
        request.onblocked = giveUp;
        done(request).then(resolve, reject).finally(() => clearTimeout(timer));
    });
}
function done(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}
/** Holds a lock of the browser's until it is released; undefined: another page has it. */
function lock(name) {
    return new Promise((resolve) => {
        const held = (given) => {
            if (!given)
                return void resolve(undefined);
            return new Promise((release) => resolve(release));
        };
        navigator.locks.request(name, { ifAvailable: true }, held).catch(() => resolve(undefined));
    });
}
//# sourceMappingURL=cache.js.map