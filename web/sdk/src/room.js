// The room as an application sees it. What goes on behind it is in call.ts.
import { TypedEventTarget } from "./events.js";
export class Room extends TypedEventTarget {
    name;
    localParticipant;
    /** The others, by identity. */
    participants;
    #call;
    /** @internal */
    constructor(name, begin) {
        super();
        this.name = name;
        this.#call = begin(this);
        this.localParticipant = this.#call.localParticipant;
        this.participants = this.#call.participants;
    }
    get connectionState() {
        return this.#call.connectionState;
    }
    /** Chat, oldest first. */
    get messages() {
        return this.#call.messages;
    }
    /** Whether there may be messages from before those in room.messages. */
    get hasOlderMessages() {
        return this.#call.hasOlderMessages;
    }
    /**
     * Reads messages from before those in room.messages, to which they are added: 200 are there to begin with, and 5,000 at most. Resolves with
     * hasOlderMessages. Rejects with "unsupported" where the server keeps no log of the room.
     */
    olderMessages() {
        return this.#call.olderMessages();
    }
    /** State that the room's participants share: records, lists, events, RPC, presence. It ends with the room, but for durable records. */
    get state() {
        return this.#call.shared.room;
    }
    /** The same, shared by all rooms of the server. */
    get serverState() {
        return this.#call.shared.server;
    }
    /** How media travel now; undefined while they do not. */
    get mediaPath() {
        return this.#call.mediaPath;
    }
    /** For what this SDK does not offer. It is replaced when it fails ("peerconnection"); offers are made by the SDK only. */
    get peerConnection() {
        return this.#call.peerConnection;
    }
    /** Who speaks now: the dominant speaker first, then the others by when they began. */
    get speakers() {
        return this.#call.speakers.speaking;
    }
    /** Who leads the conversation, also while everybody pauses; oneself, perhaps. */
    get dominantSpeaker() {
        return this.#call.speakers.dominant;
    }
    publish(what, options = {}) {
        if (what instanceof MediaStreamTrack)
            return this.#call.publish(what, options);
        return Promise.all(what.getTracks().map((t) => this.#call.publish(t, options, what)));
    }
    /** Withdraws a publication. Its m-line is used again by the next one. */
    unpublish(publication) {
        return this.#call.unpublish(publication);
    }
    /**
     * Sends data over the data channels; see SendOptions. Resolves when the browser has taken it: with reliable data, who awaits that keeps to
     * the pace of the slowest receiver, and who does not may fill 64 MiB. Rejects with "connection" while there is no channel: what was
     * sent shortly before may be lost then. With a TypeError, where data is neither text nor bytes.
     */
    send(data, options = {}) {
        return this.#call.send(data, options);
    }
    /** Says something to everyone, or to one identity. It comes back as a "message" event. */
    sendMessage(text, options = {}) {
        return this.#call.sendMessage(text, options.to);
    }
    /** Ends another participant's session. */
    kick(identity, reason) {
        return this.#call.kick(identity, reason);
    }
    /** Changes one's own name or metadata. */
    update(change) {
        return this.#call.update(change);
    }
    /** Plays again what the browser refused to play; call it from a user's click. */
    play() {
        return this.#call.play();
    }
    leave() {
        this.#call.leave();
    }
}
//# sourceMappingURL=room.js.map