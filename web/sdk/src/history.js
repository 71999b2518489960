// Chat from before what the server gives to who joins: read from the room's log, from its end to its beginning.
import { ParleyError } from "./errors.js";
import { limits } from "./wire.gen.js";
/** In one call: the log holds other things too, and a room with little chat has many pages of those. */
const maxPages = 8;
export class ChatHistory {
    #ask;
    #first = 0;
    /** The oldest entry that was read; undefined: none was. */
    #oldest;
    /** How many cursors the next page goes back over: more where most are of entries that are gone. */
    #span = limits.maxLogEntries;
    constructor(read) {
        this.#ask = read;
    }
    /** Nothing older is left. */
    get isOver() {
        return this.#oldest !== undefined && this.#oldest <= this.#first;
    }
    /** The next older messages, oldest first: those of the first page that has some of which isKnown says no. */
    async older(isKnown) {
        if (this.#oldest === undefined) {
            const { first, last } = await this.#read({ after: 0, limit: 1 });
            [this.#first, this.#oldest] = [first, last + 1];
        }
        for (let page = 0; page < maxPages && !this.isOver; page++) {
            const found = (await this.#page(this.#oldest)).filter((m) => !isKnown(m));
            if (found.length > 0)
                return found;
        }
        return [];
    }
    /** The messages among the entries before a cursor. One reply has not all of them where they are long. A page that is too large is left to the next. */
    async #page(before) {
        const start = Math.max(this.#first, before - this.#span);
        const found = [];
        let replies = 0;
        for (let after = start - 1; after < before - 1; replies++) {
            if (replies > 0 && this.#span > limits.maxLogEntries) {
                this.#span /= 2;
                return [];
            }
            const page = await this.#read({ after, limit: Math.min(before - 1 - after, limits.maxLogEntries) });
            this.#first = page.first;
            found.push(...page.entries.filter((e) => e.cursor < before));
            after = Math.max(page.after, after + 1); // what may not be read is left out, perhaps all of a page
        }
        if (replies === 1 && found.length < limits.maxLogEntries / 2)
            this.#span *= 2;
        this.#oldest = start;
        return found.filter((e) => e.type === "chat").map((e) => e.body);
    }
    async #read(body) {
        try {
            return await this.#ask(body);
        }
        catch (reason) {
            if (reason instanceof ParleyError && reason.code === "unsupported")
                this.#oldest = this.#first; // there is no log
            throw reason;
        }
    }
}
//# sourceMappingURL=history.js.map