// What shared state needs of the session: to ask, and to know whether there is a connection.
import { asParleyError, isPassing } from "../errors.js";
import { limits } from "../wire.gen.js";
import { maxPauseSeconds } from "./limits.js";
/** Asks about one scope. */
export class Asker {
    #link;
    #scope;
    constructor(link, scope) {
        this.#link = link;
        this.#scope = scope;
    }
    get isOpen() {
        return this.#link.isOpen;
    }
    get identity() {
        return this.#link.identity;
    }
    /** Nothing reaches the server ever again. */
    get isEnded() {
        return this.#link.isEnded;
    }
    /** Whether the same may go well a little later. */
    isCrowded(error) {
        return !this.isEnded && (error.code === "rate" || error.code === "overloaded");
    }
    /** Whether what is kept over lost sessions will be asked for again in the next one. */
    isRestored(error) {
        return !this.isEnded && error.code === "connection";
    }
    nextCall() {
        return this.#link.nextCall();
    }
    ask(type, body) {
        const scoped = this.#scope === "room" ? body : { scope: this.#scope, ...body };
        return this.#link.request(type, scoped);
    }
    /** Asks again, later, while the server says that it is too much at once. The body is made anew each time; undefined: nothing is asked. */
    insist(type, body) {
        return this.#persist(type, body, (error) => this.isCrowded(error));
    }
    /** The same for what is kept until somebody ends it: nothing that passes is its end. */
    keep(type, body) {
        return this.#persist(type, body, (error) => !this.isEnded && error.code !== "connection" && isPassing(error));
    }
    async #persist(type, body, passes) {
        for (let attempt = 0;; attempt++) {
            const now = body();
            if (now === undefined)
                return undefined;
            try {
                return await this.ask(type, now);
            }
            catch (reason) {
                const error = asParleyError(reason);
                if (!passes(error))
                    throw error;
                await pause(error, attempt);
            }
        }
    }
}
/** As long as the server says, and longer with each attempt. */
export function pause({ retrySeconds = 1 }, attempt = 0) {
    const seconds = Math.max(retrySeconds, Math.min(2 ** attempt, maxPauseSeconds));
    return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
/** Names whose subscriptions end, in requests of as many as there may be. */
export class Ending {
    #names = new Set();
    #isUsed;
    #end;
    #isRunning = false;
    /** End asks the server; it is given the names anew for each attempt. */
    constructor(isUsed, end) {
        this.#isUsed = isUsed;
        this.#end = end;
    }
    add(name) {
        this.#names.add(name);
        if (this.#isRunning)
            return;
        this.#isRunning = true;
        queueMicrotask(() => void this.#run());
    }
    async #run() {
        while (this.#names.size > 0) {
            let asked = [];
            const next = () => {
                const left = [...new Set([...asked, ...this.#names])].filter((name) => !this.#isUsed(name)); // perhaps it is used again
                asked = left.slice(0, limits.maxBulkNames);
                this.#names.clear();
                for (const name of left.slice(limits.maxBulkNames))
                    this.#names.add(name);
                return asked.length > 0 ? asked : undefined;
            };
            await this.#end(next).catch(() => undefined); // the server knows no more of them
        }
        this.#isRunning = false;
    }
}
/** Calls what the application has given; what that throws is the page's, as with event listeners. */
export function tell(act) {
    try {
        act();
    }
    catch (reason) {
        queueMicrotask(() => {
            throw reason;
        });
    }
}
//# sourceMappingURL=link.js.map