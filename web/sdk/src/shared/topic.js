// Events by name: fire and forget, to whom is subscribed and connected at that moment.
import { limits } from "../wire.gen.js";
import { checkName, payload } from "./json.js";
export class Topic {
    name;
    #asker;
    #names;
    /** @internal */
    constructor(name, asker, names) {
        this.name = name;
        this.#asker = asker;
        this.#names = names;
    }
    /** Tells all who are subscribed, but this client. Resolves when the server has it, whether anybody is there or not. */
    async publish(value) {
        checkName(this.name);
        await this.#asker.ask("event-publish", { name: this.name, ...payload("event", value, limits.maxEventBytes) });
    }
    /** Resolves when the subscription stands, with a function that ends it. It is kept while the connection is lost. */
    subscribe(listener, { ended } = {}) {
        return this.#names.use(this.name, { listener, ...(ended && { ended }) });
    }
}
//# sourceMappingURL=topic.js.map