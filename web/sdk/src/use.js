// How a subscription is used, and what of that the server has been told.
export const defaultUse = { width: 0, height: 0, priority: 100, paused: false };
/** What differs, as the server is told; undefined: nothing. */
export function difference(told, now) {
    const changed = Object.fromEntries(Object.entries(now).filter(([name, value]) => told[name] !== value));
    return Object.keys(changed).length > 0 ? changed : undefined;
}
/** Sizes are told no more often than this. */
const tellMs = 300;
/** A picture that nobody sees is paused after so long: who scrolls back soon shall not wait. */
const unseenMs = 5_000;
/** Tells the server how a subscription is used: at once, then not too often. */
export class Teller {
    #tell;
    #told = defaultUse;
    #now = defaultUse;
    #seen = true;
    #paused = false; // by the application
    #timer;
    #unseen;
    constructor(tell) {
        this.#tell = tell;
    }
    get use() {
        return this.#now;
    }
    /** A new subscription on the server's side: nothing of this one has been told. */
    begin() {
        this.#told = defaultUse;
        this.#soon(true);
    }
    prefer(use) {
        this.#now = { ...this.#now, ...use };
        this.#soon(false);
    }
    /** The application's own pause. */
    pause(paused) {
        this.#paused = paused;
        this.#settlePause();
    }
    /** Whether anybody can see it. */
    see(seen) {
        if (seen) {
            clearTimeout(this.#unseen);
            this.#unseen = undefined;
            this.#seen = true;
            return this.#settlePause();
        }
        if (this.#seen)
            this.#unseen ??= setTimeout(() => {
                this.#unseen = undefined;
                this.#seen = false;
                this.#settlePause();
            }, unseenMs);
    }
    close() {
        clearTimeout(this.#timer);
        clearTimeout(this.#unseen);
    }
    #settlePause() {
        const paused = this.#paused || !this.#seen;
        if (paused === this.#now.paused)
            return;
        this.#now = { ...this.#now, paused };
        this.#soon(true);
    }
    #soon(atOnce) {
        if (this.#timer !== undefined && !atOnce)
            return;
        clearTimeout(this.#timer);
        // What is said in one moment goes together.
        if (this.#timer === undefined || atOnce)
            queueMicrotask(() => this.#say());
        this.#timer = setTimeout(() => {
            this.#timer = undefined;
            this.#say();
        }, tellMs);
    }
    #say() {
        const change = difference(this.#told, this.#now);
        if (!change)
            return;
        this.#told = this.#now;
        this.#tell(change).catch(() => undefined); // the session is over, or begins anew and everything is told again
    }
}
//# sourceMappingURL=use.js.map