// Names that the server knows this session by: events that it is subscribed to, RPCs that it provides. They are kept over lost sessions.
import { asParleyError, fromWire, ParleyError } from "../errors.js";
import { limits } from "../wire.gen.js";
import { checkName } from "./json.js";
import { Ending, tell } from "./link.js";
export class Names {
    #asker;
    #add;
    #ending;
    #kept = new Map();
    constructor(asker, add, remove) {
        this.#asker = asker;
        this.#add = add;
        this.#ending = new Ending((name) => this.#kept.has(name), (next) => asker.insist(remove, () => {
            const names = next();
            return names && { names };
        }));
    }
    /** Who uses a name. */
    of(name) {
        return [...(this.#kept.get(name)?.users ?? [])];
    }
    /** Calls what tells whoever uses a name, one after the other. What one does may end another. */
    each(name, act) {
        const users = this.#kept.get(name)?.users;
        for (const user of [...(users ?? [])])
            if (users?.has(user))
                tell(() => act(user));
    }
    /** Resolves when the server knows the name; with how to end it. */
    async use(name, user) {
        checkName(name);
        let entry = this.#kept.get(name);
        if (!entry) {
            entry = keep();
            this.#kept.set(name, entry);
            void this.#ask([name]);
        }
        entry.users.add(user);
        await entry.ready;
        const { users } = entry;
        return () => this.#leave(name, users, user);
    }
    /** The server has forgotten all of it. */
    restore() {
        const names = [...this.#kept.keys()];
        for (let i = 0; i < names.length; i += limits.maxBulkNames)
            void this.#ask(names.slice(i, i + limits.maxBulkNames));
    }
    /** It is not allowed any more, or the session has ended. */
    end(error, names = [...this.#kept.keys()]) {
        for (const name of names) {
            const entry = this.#kept.get(name);
            this.#kept.delete(name);
            if (entry?.isReady)
                for (const user of entry.users)
                    tell(() => user.ended?.(error));
            else
                entry?.settle(error);
        }
    }
    #leave(name, users, user) {
        if (!users.delete(user) || users.size > 0 || this.#kept.get(name)?.users !== users)
            return;
        this.#kept.delete(name);
        this.#ending.add(name);
    }
    async #ask(names) {
        const entries = names.map((name) => this.#kept.get(name));
        const isKept = (name, i) => entries[i] !== undefined && this.#kept.get(name) === entries[i];
        let asked = [];
        const settle = (result) => {
            names.forEach((name, i) => {
                if (!isKept(name, i))
                    return;
                const error = result(asked.indexOf(name));
                if (error?.code === "limit" && asked.length > 1)
                    void this.#ask([name]); // perhaps only of what one request may ask for
                else if (error)
                    this.end(error, [name]);
                else
                    entries[i]?.settle();
            });
        };
        try {
            const reply = await this.#asker.keep(this.#add, () => {
                asked = names.filter(isKept);
                return asked.length > 0 ? { names: [...asked] } : undefined;
            });
            const results = reply?.results ?? [];
            settle((i) => results[i]?.error && fromWire(results[i].error));
        }
        catch (reason) {
            const error = asParleyError(reason);
            if (!this.#asker.isRestored(error))
                settle(() => error);
        }
    }
}
function keep() {
    let settle = () => undefined;
    const ready = new Promise((resolve, reject) => {
        settle = (error) => {
            entry.isReady ||= !error;
            if (error)
                reject(error);
            else
                resolve();
        };
    });
    ready.catch(() => undefined); // it is told to who uses the name
    const entry = { users: new Set(), ready, isReady: false, settle: (error) => settle(error) };
    return entry;
}
//# sourceMappingURL=names.js.map