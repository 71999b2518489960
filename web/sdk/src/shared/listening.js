// Active providers: who listens to a pattern is told which names of it others are subscribed to, and provides them.
import { asParleyError, ParleyError as Failure } from "../errors.js";
import { checkName } from "./json.js";
import { tell } from "./link.js";
export class Listening {
    #asker;
    #patterns = new Map();
    constructor(asker) {
        this.#asker = asker;
    }
    async listen(kind, pattern, handlers) {
        checkName(pattern);
        const key = keyOf(kind, pattern);
        if (this.#patterns.has(key)) {
            throw new Failure("bad-request", `This client listens to "${pattern}" already.`, { next: "End the first one." });
        }
        return new Promise((resolve, reject) => {
            const entry = { kind, pattern, handlers, active: new Set(), isReady: false, resolve: () => resolve(() => this.#end(key, entry)), reject };
            this.#patterns.set(key, entry);
            void this.#ask(key, entry);
        });
    }
    started({ kind, pattern, name }) {
        const entry = this.#patterns.get(keyOf(kind, pattern));
        if (entry?.active.has(name))
            return;
        entry?.active.add(name);
        let starts = false; // the pattern ended meanwhile, or it is not known what was begun
        tell(() => (starts = entry !== undefined && entry.handlers.start(name) !== false));
        if (starts)
            return;
        entry?.active.delete(name);
        this.#asker.insist("listen-reject", () => ({ kind, name })).catch(() => undefined); // nobody wants it any more
    }
    stopped({ kind, pattern, name }) {
        const entry = this.#patterns.get(keyOf(kind, pattern));
        if (entry?.active.delete(name))
            tell(() => entry.handlers.stop(name));
    }
    /** Others provide meanwhile what this client has provided. */
    lose() {
        for (const entry of this.#patterns.values())
            stopAll(entry);
    }
    restore() {
        this.lose();
        for (const [key, entry] of this.#patterns)
            void this.#ask(key, entry);
    }
    end(error, which = () => true) {
        for (const [key, entry] of [...this.#patterns]) {
            if (this.#patterns.get(key) === entry && which(entry.kind, entry.pattern))
                this.#drop(key, entry, error);
        }
    }
    #drop(key, entry, error) {
        this.#patterns.delete(key);
        stopAll(entry);
        if (entry.isReady)
            tell(() => entry.handlers.ended?.(error));
        else
            entry.reject(error);
    }
    #end(key, entry) {
        if (this.#patterns.get(key) !== entry)
            return;
        this.#patterns.delete(key);
        stopAll(entry);
        const { kind, pattern } = entry;
        this.#asker.insist("unlisten", () => (this.#patterns.has(key) ? undefined : { kind, pattern })).catch(() => undefined);
    }
    async #ask(key, entry) {
        const { kind, pattern } = entry;
        const isKept = () => this.#patterns.get(key) === entry;
        try {
            await this.#asker.keep("listen", () => (isKept() ? { kind, pattern } : undefined));
            entry.isReady = true;
            entry.resolve();
        }
        catch (reason) {
            const error = asParleyError(reason);
            if (isKept() && !this.#asker.isRestored(error))
                this.#drop(key, entry, error);
        }
    }
}
function keyOf(kind, pattern) {
    return `${kind} ${pattern}`;
}
function stopAll({ active, handlers }) {
    const names = [...active];
    active.clear();
    for (const name of names)
        tell(() => handlers.stop(name));
}
//# sourceMappingURL=listening.js.map