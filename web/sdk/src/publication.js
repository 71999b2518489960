// Publications: tracks that participants offer to the room, one's own and those of others.
import { forbidden } from "./errors.js";
import { LevelMeter } from "./level.js";
import { Subscription } from "./subscription.js";
/** A track of someone else. */
export class RemotePublication {
    participant;
    subscription;
    #facts;
    /** @internal */
    constructor(participant, facts, link) {
        this.participant = participant;
        this.#facts = facts;
        this.subscription = new Subscription(this, link);
    }
    get id() {
        return this.#facts.id;
    }
    get kind() {
        return this.#facts.kind;
    }
    get source() {
        return this.#facts.source;
    }
    get name() {
        return this.#facts.name ?? "";
    }
    get codec() {
        return this.#facts.codec;
    }
    get muted() {
        return this.#facts.muted ?? false;
    }
    get encrypted() {
        return this.#facts.encrypted ?? false;
    }
    /** Of its largest size, where the publisher has told it. */
    get dimensions() {
        const { width, height } = this.#facts;
        return width !== undefined && height !== undefined ? { width, height } : undefined;
    }
    /** How it has several sizes; undefined: it has one. */
    get layers() {
        return this.#facts.layers;
    }
    /** @internal */
    learn(facts) {
        this.#facts = { ...this.#facts, ...facts };
    }
}
/** A track of one's own. */
export class LocalPublication {
    participant;
    kind;
    source;
    name;
    /** @internal */
    options;
    #link;
    #id = "";
    #codec = "";
    #track;
    #muted = false;
    #meter;
    /** @internal */
    constructor(participant, track, options, link) {
        if (!link.mayPublish)
            throw forbidden("publish");
        this.participant = participant;
        this.kind = track.kind === "audio" ? "audio" : "video";
        this.source = options.source;
        this.name = options.name;
        this.options = options;
        this.#track = track;
        this.#link = link;
    }
    /** Unique in the room. It changes when the track has to be published anew, after a lost session or with another codec. */
    get id() {
        return this.#id;
    }
    /** "opus", "vp8", "vp9", "h264" or "av1". */
    get codec() {
        return this.#codec;
    }
    get track() {
        return this.#track;
    }
    get muted() {
        return this.#muted;
    }
    /** Sends silence or black at once, then tells the others. */
    async mute() {
        if (this.#muted)
            return;
        this.#track.enabled = false;
        await this.#link.mute(this, true);
    }
    async unmute() {
        if (!this.#muted)
            return;
        await this.#link.mute(this, false);
        this.#track.enabled = true;
    }
    /** Sends another track in place of this one, of the same kind: another camera, say. The old one is not stopped. */
    async replaceTrack(track) {
        if (track === this.#track)
            return;
        if (track.kind !== this.kind)
            throw new TypeError(`A ${track.kind} track cannot take the place of ${this.kind}.`);
        track.enabled = !this.#muted;
        await this.#link.replaceTrack(this, track);
        this.#meter?.close();
        this.#meter = undefined;
        this.#track = track;
    }
    /** Loudness now, 0 to 1. */
    get audioLevel() {
        if (this.kind !== "audio" || this.#muted || this.#track.readyState !== "live")
            return 0;
        this.#meter ??= new LevelMeter(this.#track);
        return this.#meter.level();
    }
    /** What the browser knows of sending it. */
    stats() {
        return this.#link.stats(this);
    }
    /** @internal */
    named(id) {
        this.#id = id;
    }
    /** @internal */
    encodes(codec) {
        this.#codec = codec;
    }
    /** @internal */
    nowMuted(muted) {
        this.#muted = muted;
    }
    /** @internal */
    ended() {
        this.#meter?.close();
        this.#meter = undefined;
        this.#id = "";
    }
}
/** What a track shows or sounds like, where the caller does not say. */
export function sourceOf(track, stream) {
    const isDisplay = (t) => "displaySurface" in t.getSettings();
    if (track.kind === "video")
        return isDisplay(track) ? "screen" : "camera";
    return stream?.getVideoTracks().some(isDisplay) ? "screen-audio" : "microphone";
}
//# sourceMappingURL=publication.js.map