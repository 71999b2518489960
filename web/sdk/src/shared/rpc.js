// Remote procedure calls: one of those who provide a name is asked.
import { bytesOf } from "../bytes.js";
import { asParleyError, ConnectionError, fromWire, LimitError, ParleyError as Failure, textOf } from "../errors.js";
import { limits } from "../wire.gen.js";
import { checkName, freeze, payload } from "./json.js";
import { maxAnswering, maxFailureBytes } from "./limits.js";
import { tell } from "./link.js";
/** Calls of one scope, those of this client and those that it answers. */
export class Calls {
    #asker;
    #provided;
    #open = new Map();
    #answering = 0;
    constructor(asker, provided) {
        this.#asker = asker;
        this.#provided = provided;
    }
    request(name, value) {
        return new Promise((resolve, reject) => {
            checkName(name);
            if (this.#open.size >= limits.maxOpenCalls)
                throw new LimitError("limit", "Too many calls have no result yet.", { next: "Await some first." });
            const body = { name, ...payload("request", value, limits.maxRPCBytes) };
            const call = this.#asker.nextCall();
            this.#open.set(call, { resolve, reject });
            this.#asker.ask("rpc-request", { ...body, call }).catch((reason) => {
                if (this.#open.delete(call))
                    reject(asParleyError(reason));
            });
        });
    }
    /** A call of this client has ended. */
    result({ call, value, error }) {
        const open = this.#open.get(call);
        this.#open.delete(call);
        if (error)
            open?.reject(fromWire(error));
        else
            open?.resolve(freeze(value));
    }
    /** This client is asked. It begins when the server has agreed: it may have asked somebody else meanwhile. */
    async called({ call, name, value, from }) {
        const [provision] = this.#provided.of(name);
        const [given, info] = [freeze(value), { from }];
        if (!provision || this.#answering >= maxAnswering || !accepts(provision, given, info))
            return this.#tell("rpc-reject", { call });
        this.#answering++;
        try {
            await this.#asker.ask("rpc-accept", { call });
            if (!this.#provided.of(name).includes(provision))
                return await this.#tell("rpc-reject", { call }); // it has ended meanwhile
            await this.#tell("rpc-answer", { call, ...(await answerOf(provision, given, info)) });
        }
        catch {
            // another one is asked
        }
        finally {
            this.#answering--;
        }
    }
    /** Nobody waits for it any more, where it is refused for good. */
    async #tell(type, body) {
        await this.#asker.insist(type, () => body).catch(() => undefined);
    }
    /** The server has forgotten the calls that have no result. */
    lose(error = new ConnectionError("The connection was lost before the call had a result: perhaps it was carried out.")) {
        const open = [...this.#open.values()];
        this.#open.clear();
        for (const { reject } of open)
            reject(error);
    }
}
function accepts({ accepts }, value, info) {
    let taken = accepts === undefined;
    tell(() => (taken ||= accepts?.(value, info) ?? true));
    return taken;
}
async function answerOf({ provider }, value, info) {
    try {
        return payload("answer", await provider(value, info), limits.maxRPCBytes);
    }
    catch (reason) {
        return { failure: shortened(textOf(reason)) };
    }
}
function shortened(text) {
    let cut = text || "The provider failed.";
    while (bytesOf(cut) > maxFailureBytes)
        cut = cut.slice(0, Math.min(cut.length - 1, maxFailureBytes));
    return cut;
}
/** An RPC by its name. */
export class RPC {
    name;
    #calls;
    #provided;
    /** @internal */
    constructor(name, calls, provided) {
        this.name = name;
        this.#calls = calls;
        this.#provided = provided;
    }
    /**
     * Asks a provider, which has 10 s to answer, or what the server was given. Rejects with the code "no-provider", "timeout", or "rpc-failed" and what the provider says;
     * with "connection" it is not known whether it was carried out.
     */
    request(value) {
        return this.#calls.request(this.name, value);
    }
    /** Resolves when this client is asked, with a function that ends that. It is kept while the connection is lost. */
    async provide(provider, options = {}) {
        if (this.#provided.of(this.name).length > 0) {
            throw new Failure("bad-request", `This client provides "${this.name}" already.`, { next: "End the first provider." });
        }
        return this.#provided.use(this.name, { ...options, provider });
    }
}
//# sourceMappingURL=rpc.js.map