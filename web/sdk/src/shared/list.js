// A list as an application sees it: a record whose root is an array of strings.
import { emit, TypedEventTarget } from "../events.js";
import { limits } from "../wire.gen.js";
import { diff, entriesOf } from "./entries.js";
import { badRequest, wellFormed } from "./json.js";
/** Strings in an order, the same one several times perhaps. Who add, remove and move at once do not undo one another. */
export class SharedList extends TypedEventTarget {
    name;
    #core;
    #records;
    #ending;
    #isClosed = false;
    /** @internal */
    constructor(core, records) {
        super();
        this.name = core.name;
        this.#core = core;
        this.#records = records;
        this.#ending = [
            core.watch([], (after, before) => this.#tell(listOf(before), listOf(after))),
            core.observe({ ended: (error) => emit(this, "ended", { error }) }),
        ];
    }
    /** The entries, in their order. Empty where there is no list. */
    get entries() {
        return listOf(this.#core.view);
    }
    get version() {
        return this.#core.version;
    }
    /** What is seen is what the server has. False: the connection is lost, or it is what this browser has kept. */
    get isLive() {
        return this.#core.isLive;
    }
    /** Some writes are not part of it on the server yet, as far as is known here. */
    get isPending() {
        return this.#core.isPending;
    }
    /** Adds an entry at the end. */
    add(entry) {
        return this.#write([{ op: "insert", value: text(entry) }]);
    }
    /** Inserts an entry at a place; one beyond the end is the end. */
    insert(entry, at) {
        return this.#write([{ op: "insert", value: text(entry), at }]);
    }
    /** Removes an entry: of several equal ones the one nearest to a place. What is not there is not removed. */
    remove(entry, at = 0) {
        return this.#write([{ op: "remove", value: text(entry), at }]);
    }
    /** Moves an entry to the place that it shall have; of several equal ones the one nearest to the place from. */
    move(entry, to, from = 0) {
        return this.#write([{ op: "move", value: text(entry), at: from, to }]);
    }
    /**
     * Makes the list this one. What others change meanwhile stays: only what differs is written, unless that is most of a long list. Where that is more
     * than one write may have it is written in parts: when one of them is refused, the promise rejects as that one, those before it stay, those behind
     * it are not written, and the entries are what the server has.
     */
    async set(entries) {
        const wanted = entries.map(text);
        const steps = diff(this.entries, wanted);
        const { version, view, isPending } = this.#core;
        if (steps?.length === 0 && view !== undefined)
            return;
        if (steps && steps.length > 0 && steps.length <= limits.maxWriteOperations)
            return this.#write(steps);
        // Too many to name in one write: the server finds them, where it knows what the entries were made from.
        if (version > 0 && !isPending)
            return this.#write([{ op: "entries", value: wanted, base: version }]);
        if (!steps || steps.length === 0)
            return this.#write([{ op: "set", value: wanted }]);
        const starts = Array.from({ length: Math.ceil(steps.length / limits.maxWriteOperations) }, (_, i) => i * limits.maxWriteOperations);
        await this.#core.writeParts(starts.map((at) => steps.slice(at, at + limits.maxWriteOperations)));
    }
    /** Follows it no more. Writes that are not confirmed reject. */
    close() {
        if (this.#isClosed)
            return;
        this.#isClosed = true;
        for (const end of this.#ending)
            end();
        this.#records.close(this.#core);
    }
    async #write(operations) {
        await this.#core.write(operations);
    }
    #tell(before, after) {
        for (const step of diff(before, after) ?? []) {
            if (this.#isClosed)
                return; // by who heard of a step
            const { op, value: entry, at } = step;
            if (op === "move")
                emit(this, "entrymoved", { entry, at, to: step.to });
            else
                emit(this, op === "insert" ? "entryadded" : "entryremoved", { entry, at });
        }
        if (!this.#isClosed)
            emit(this, "change", {});
    }
}
function listOf(document) {
    return document === undefined ? [] : (entriesOf(document) ?? []);
}
function text(entry) {
    if (typeof entry !== "string")
        throw badRequest("An entry of a list is a string.");
    return wellFormed(entry);
}
//# sourceMappingURL=list.js.map