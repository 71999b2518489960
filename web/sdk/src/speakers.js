// Who speaks: the server says so, of everybody; and of those whose sound arrives it is heard here, a little sooner.
import { emit } from "./events.js";
export class Speakers {
    #room;
    #everyone;
    #told = { speaking: [] };
    #speaking = [];
    #dominant;
    constructor(room, everyone) {
        this.#room = room;
        this.#everyone = everyone;
    }
    get speaking() {
        return this.#speaking;
    }
    get dominant() {
        return this.#dominant;
    }
    /** The server says who speaks. */
    told(told) {
        this.#told = told;
        this.settle((p) => p.told(told.speaking.includes(p.identity)));
    }
    /** Listens once. */
    listen(nowMs) {
        this.settle((p) => p.listen(nowMs));
    }
    /** Brings the list up to date and tells what has changed. */
    settle(update = () => false) {
        const everyone = this.#everyone();
        const changed = everyone.filter(update);
        const speaking = order(everyone, this.#told);
        const dominant = everyone.find((p) => p.identity === this.#told.dominant);
        const same = dominant === this.#dominant && sameOrder(speaking, this.#speaking);
        this.#speaking = speaking;
        this.#dominant = dominant;
        for (const participant of changed)
            emit(this.#room, "speaking", { participant, speaking: participant.speaking });
        if (!same)
            emit(this.#room, "speakerschanged", { speakers: speaking, dominant });
    }
}
/** The dominant one first, then the others as the server orders them, then those that only are heard here. */
export function order(everyone, told) {
    const rank = ({ identity }) => {
        if (identity === told.dominant)
            return -1;
        const at = told.speaking.indexOf(identity);
        return at < 0 ? told.speaking.length : at;
    };
    return everyone.filter((p) => p.speaking).sort((a, b) => rank(a) - rank(b)); // which keeps equals in order
}
function sameOrder(a, b) {
    return a.length === b.length && a.every((p, i) => p === b[i]);
}
//# sourceMappingURL=speakers.js.map