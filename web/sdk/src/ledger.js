// The ledger of a session: which requests wait for their reply, and which messages were seen. It knows no time and no network.
export class Ledger {
    #nextID = 1;
    #seen = 0;
    #waiting = new Map();
    /** The number of the last message that was seen. */
    get seen() {
        return this.#seen;
    }
    /** Numbers a request and waits for its reply. */
    ask(type, body) {
        const request = { id: this.#nextID++, type, body };
        this.#waiting.set(request.id, request);
        return request;
    }
    /** Nobody waits for this reply any more. */
    forget(id) {
        this.#waiting.delete(id);
    }
    /** Requests to send again over a new connection, oldest first. The server answers each once more, and acts once. */
    unanswered() {
        return [...this.#waiting.values()].filter((r) => !isOpening(r));
    }
    /** A new session has begun: its numbers start anew, and what was asked in the old one will not be answered. */
    restart() {
        this.#waiting.clear();
        this.#seen = 0;
    }
    read(message) {
        const request = message.reply === undefined ? undefined : this.#waiting.get(message.reply);
        if (request && isOpening(request)) {
            // The reply to join starts the numbers; that to resume, and a refusal, stand outside them.
            if (message.type === "joined")
                this.#seen = message.seq;
            this.#waiting.delete(request.id);
            return { is: "reply", message: message, request };
        }
        if (message.seq !== 0) {
            if (message.seq <= this.#seen)
                return { is: "known" };
            // A resync stands for everything before it.
            if (message.seq !== this.#seen + 1 && message.type !== "resync")
                return { is: "gap" };
            this.#seen = message.seq;
        }
        if (message.reply === undefined)
            return { is: "event", message: message };
        if (!request)
            return { is: "known" };
        this.#waiting.delete(request.id);
        return { is: "reply", message: message, request };
    }
}
/** Requests that open a session on a connection belong to that connection. */
function isOpening(r) {
    return r.type === "join" || r.type === "resume";
}
//# sourceMappingURL=ledger.js.map