// A record as an application sees it.
import { fromWire } from "../errors.js";
import { emit, TypedEventTarget } from "../events.js";
import { limits } from "../wire.gen.js";
import { take } from "./json.js";
import { tell } from "./link.js";
import { formatPath, get, parsePath } from "./path.js";
/**
 * A JSON document that is shared. It shows what the server has, with one's own writes on top of it at once. A write that is refused is undone
 * here, and its promise rejects. T is what its users agree on; nobody checks it.
 */
export class SharedRecord extends TypedEventTarget {
    name;
    #core;
    #records;
    #ending = new Set();
    #isClosed = false;
    /** @internal */
    constructor(core, records) {
        super();
        this.name = core.name;
        this.#core = core;
        this.#records = records;
        this.#ending.add(core.observe({
            provided: (provided) => emit(this, "providedchange", { provided }),
            ended: (error) => emit(this, "ended", { error }),
            discarded: (operations, error) => emit(this, "discarded", { operations, error }),
        }));
        this.#ending.add(core.watch([], () => emit(this, "change", {})));
    }
    /** 1 when it was created, and one more with each write; 0: it does not exist. One's own writes count when the server has them. */
    get version() {
        return this.#core.version;
    }
    get exists() {
        return this.#core.view !== undefined;
    }
    /** What is seen is what the server has. False: the connection is lost, or it is what this browser has kept. */
    get isLive() {
        return this.#core.isLive;
    }
    /** Some writes are not part of it on the server yet, as far as is known here. */
    get isPending() {
        return this.#core.isPending;
    }
    /** A client that listens to a pattern provides this record. */
    get provided() {
        return this.#core.isProvided;
    }
    get(path = "") {
        return get(this.#core.view, parsePath(path));
    }
    has(path = "") {
        return this.get(path) !== undefined;
    }
    async set(...given) {
        const [path, value, options] = typeof given[0] === "string" ? given : ["", given[0], given[1]];
        const written = operation(path, take(value));
        await (written.path === undefined ? this.#core.replace(written, options) : this.#core.write([written], options));
    }
    /** Takes away what is at a path. */
    async erase(path, options) {
        await this.#core.write([operation(path, undefined)], options);
    }
    /** Sets and erases what is at several paths, in their order, all of it or nothing. */
    async patch(changes, options) {
        const operations = Object.entries(changes).map(([path, value]) => operation(path, value === undefined ? undefined : take(value)));
        await this.#core.write(operations, options);
    }
    /** Deletes the record. Who follows it goes on to do so. */
    async delete(options) {
        await this.#core.write(undefined, options);
    }
    subscribe(...given) {
        const [text, fn, { now = false } = {}] = (typeof given[0] === "string" ? given : ["", ...given]);
        const path = parsePath(text);
        if (this.#isClosed)
            return () => undefined;
        const unwatch = this.#core.watch(path, (value, _, info) => fn(value, info));
        const end = () => {
            this.#ending.delete(end);
            unwatch();
        };
        this.#ending.add(end);
        if (now)
            tell(() => fn(get(this.#core.view, path), { by: undefined, version: this.version }));
        return end;
    }
    /** Earlier versions that the server has kept, the newest first. */
    async history(most = 8) {
        const first = this.version - 1;
        const versions = Array.from({ length: Math.max(0, Math.min(most, limits.maxHistory, first)) }, (_, i) => first - i);
        if (versions.length === 0)
            return [];
        const results = await this.#records.read(versions.map((version) => ({ name: this.name, version })));
        return results.flatMap(({ record, value, error }) => {
            if (error && error.code !== "not-found")
                throw fromWire(error);
            return record && value !== undefined ? [{ version: record.version, value: value }] : [];
        });
    }
    /** Follows it no more. Writes that are not confirmed reject. */
    close() {
        if (this.#isClosed)
            return;
        this.#isClosed = true;
        for (const end of [...this.#ending])
            end();
        this.#records.close(this.#core);
    }
}
function operation(text, value) {
    const path = formatPath(parsePath(text));
    return { op: value === undefined ? "erase" : "set", ...(path !== "" && { path }), ...(value !== undefined && { value }) };
}
//# sourceMappingURL=record.js.map