// Participants: identities in the room.
import { SpeakingDetector } from "./level.js";
class Member {
    identity;
    joinedAt;
    #detector = new SpeakingDetector();
    #isTold = false;
    #speaking = false;
    #name;
    #metadata;
    constructor(facts) {
        this.identity = facts.identity;
        this.joinedAt = new Date(facts.joinedAt);
        this.#name = facts.name ?? "";
        this.#metadata = facts.metadata ?? "";
    }
    /** For display; the identity where there is none. */
    get name() {
        return this.#name || this.identity;
    }
    get metadata() {
        return this.#metadata;
    }
    /** Whether the participant speaks now: the server says so, also of those who are not among the loudest; or it is heard here. */
    get speaking() {
        return this.#speaking;
    }
    /** @internal */
    learn(name, metadata) {
        this.#name = name;
        this.#metadata = metadata;
    }
    /** @internal Listens once; true where speaking has changed. */
    listen(nowMs) {
        this.#detector.update(this.audioLevel, nowMs);
        return this.#settleSpeaking();
    }
    /** @internal The server says whether the participant speaks; true where speaking has changed. */
    told(speaking) {
        this.#isTold = speaking;
        return this.#settleSpeaking();
    }
    #settleSpeaking() {
        const before = this.#speaking;
        this.#speaking = this.#isTold || this.#detector.speaking;
        return this.#speaking !== before;
    }
}
/** Someone else. */
export class RemoteParticipant extends Member {
    isLocal = false;
    /** By id. */
    publications = new Map();
    /** Microphone and camera in one stream, for a single element; its tracks are swapped, it stays. */
    stream = new MediaStream();
    /** @internal */
    constructor(facts) {
        super(facts);
    }
    get audioLevel() {
        return loudest(this.publications.values(), (p) => (p.muted || p.source !== "microphone" ? 0 : p.subscription.audioLevel));
    }
    /** @internal */
    get mutablePublications() {
        return this.publications;
    }
}
/** Oneself. */
export class LocalParticipant extends Member {
    isLocal = true;
    /** By id. */
    publications = new Map();
    #grants;
    /** @internal */
    constructor(facts, grants) {
        super(facts);
        this.#grants = grants;
    }
    get grants() {
        return this.#grants;
    }
    get audioLevel() {
        return loudest(this.publications.values(), (p) => (p.source === "microphone" ? p.audioLevel : 0));
    }
    /** @internal */
    granted(grants) {
        this.#grants = grants;
    }
    /** @internal */
    get mutablePublications() {
        return this.publications;
    }
}
function loudest(publications, level) {
    let most = 0;
    for (const p of publications)
        most = Math.max(most, level(p));
    return most;
}
//# sourceMappingURL=participant.js.map