// Shared state of one scope: records, lists, events, RPC, presence. Docs/protocol.md, section 18.
import { ConnectionError, fromWire, NotFoundError } from "../errors.js";
import { freeze } from "./json.js";
import { Asker } from "./link.js";
import { Listening } from "./listening.js";
import { SharedList } from "./list.js";
import { Names } from "./names.js";
import { formatPath, parsePath } from "./path.js";
import { Presence } from "./presence.js";
import { SharedRecord } from "./record.js";
import { Records } from "./records.js";
import { Calls, RPC } from "./rpc.js";
import { Topic } from "./topic.js";
/** State that applications share. What is subscribed to or provided is kept while the connection is lost. */
export class SharedState {
    /** Who is there. */
    presence;
    #scope;
    #records;
    #topics;
    #provided;
    #calls;
    #listening;
    #asker;
    /** @internal */
    constructor(link, scope, cache) {
        this.#scope = scope;
        this.#asker = new Asker(link, scope);
        this.#records = new Records(this.#asker, cache);
        this.#topics = new Names(this.#asker, "event-subscribe", "event-unsubscribe");
        this.#provided = new Names(this.#asker, "rpc-provide", "rpc-unprovide");
        this.#calls = new Calls(this.#asker, this.#provided);
        this.#listening = new Listening(this.#asker);
        this.presence = new Presence(this.#asker);
    }
    /** Follows a record, whether it exists or not. Resolves when it is here. Whoever opened a record first has decided its options. */
    async record(name, options = {}) {
        return new SharedRecord(await this.#records.open(name, options), this.#records);
    }
    /** Follows a list, whether it exists or not. Resolves when it is here. */
    async list(name, options = {}) {
        return new SharedList(await this.#records.open(name, options), this.#records);
    }
    /** Reads a record, or what is at a path in it, once; undefined: nothing is there. */
    async snapshot(name, path = "") {
        const [result] = await this.#records.read([{ name, ...(path !== "" && { path: formatPath(parsePath(path)) }) }]);
        if (result?.error && result.error.code !== "not-found")
            throw fromWire(result.error);
        return result?.value;
    }
    /** Asks for a record's version. Rejects with "not-found" where there is none. */
    async head(name) {
        const [result] = await this.#records.read([{ name, head: true }]);
        if (!result?.record)
            throw result?.error ? fromWire(result.error) : new NotFoundError("not-found", "There is no such record.");
        const { version, expires } = result.record;
        return { version, expires: expires === undefined ? undefined : new Date(expires) };
    }
    /** Asks whether a record exists. */
    async has(name) {
        const [result] = await this.#records.read([{ name, head: true }]);
        if (result?.error && result.error.code !== "not-found")
            throw fromWire(result.error);
        return result?.record !== undefined;
    }
    event(name) {
        return new Topic(name, this.#asker, this.#topics);
    }
    rpc(name) {
        return new RPC(name, this.#calls, this.#provided);
    }
    /**
     * Provides what others subscribe to: of the names that match the pattern, in which "*" stands for any text, each has one provider.
     * Resolves with a function that ends it.
     */
    listen(pattern, handlers, kind = "record") {
        return this.#listening.listen(kind, pattern, handlers);
    }
    /** @internal */
    received(message) {
        if (message.type === "resync")
            return this.#forgotten();
        if (!("scope" in message.body) || message.body.scope !== this.#scope)
            return;
        switch (message.type) {
            case "event": {
                const { name, value, from } = message.body;
                const given = freeze(value);
                this.#topics.each(name, ({ listener }) => listener(given, { from }));
                return;
            }
            case "rpc-call":
                return void this.#calls.called(message.body);
            case "rpc-result":
                return this.#calls.result(message.body);
            case "listen-start":
                return this.#listening.started(message.body);
            case "listen-stop":
                return this.#listening.stopped(message.body);
            case "presence-joined":
                return this.presence.joined(message.body.identity);
            case "presence-left":
                return this.presence.left(message.body.identity);
            case "state-unsubscribed":
                return this.#unsubscribed(message.body);
            case "state-lost":
                return this.#forgotten();
            default:
                return this.#records.event(message);
        }
    }
    /** @internal */
    sessionIs(state) {
        switch (state.at) {
            case "open":
                return this.#records.pump();
            case "rejoining":
                return this.#lose();
            case "ended":
                return this.#end(state.error);
        }
    }
    /** @internal Makes all subscriptions again, in a new session. */
    restore() {
        this.#records.restore();
        this.#topics.restore();
        this.#provided.restore();
        this.#listening.restore();
        this.presence.restore();
    }
    /** The server has forgotten what this session had. */
    #forgotten() {
        this.#lose();
        this.restore();
    }
    #lose() {
        this.#records.lose();
        this.#calls.lose();
        this.#listening.lose();
        this.presence.lose();
    }
    #end(error) {
        this.#records.end(error);
        this.#topics.end(error);
        this.#provided.end(error);
        this.#calls.lose(error);
        this.#listening.end(error);
        this.presence.end(error);
    }
    #unsubscribed(body) {
        const { kind, name = "", path = "" } = body;
        const error = body.error ? fromWire(body.error) : new ConnectionError("The subscription has ended.");
        switch (kind) {
            case "record":
                return path === "" ? this.#records.drop(name, error) : undefined;
            case "event":
                return this.#topics.end(error, [name]);
            case "rpc":
                return this.#provided.end(error, [name]);
            case "presence":
                return this.presence.unsubscribed(name, error);
            case "listen-record":
            case "listen-event":
                return this.#listening.end(error, (k, pattern) => `listen-${k}` === kind && pattern === name);
        }
    }
}
//# sourceMappingURL=state.js.map