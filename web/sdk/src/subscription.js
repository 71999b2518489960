// Subscriptions: tracks of others as they arrive here. A subscription and its stream stay the same while slots, connections
// and even sessions change beneath them.
import { isRefused } from "./blocked.js";
import { emit, TypedEventTarget } from "./events.js";
import { LevelMeter, receivedLevel } from "./level.js";
import { Places } from "./places.js";
import { tellsReceivedLevel } from "./quirks.js";
import { Teller } from "./use.js";
import { PendingLastN } from "./wire.gen.js";
export class Subscription extends TypedEventTarget {
    publication;
    /** Stays the same; holds the track while there is one. */
    stream = new MediaStream();
    #link;
    #elements = new Set();
    #teller = new Teller((change) => this.#tell(change));
    #places; // of video elements
    #isSized = false; // the application says how large it is
    #status = "pending";
    #reason = "";
    #receiver;
    #meter;
    /** @internal */
    constructor(publication, link) {
        super();
        this.publication = publication;
        this.#link = link;
    }
    get participant() {
        return this.publication.participant;
    }
    get kind() {
        return this.publication.kind;
    }
    get source() {
        return this.publication.source;
    }
    get status() {
        return this.#status;
    }
    /** Why it is paused: "off", because pause() was called or nobody can see it; "bandwidth"; others may come. */
    get pausedReason() {
        return this.#status === "paused" ? this.#reason : undefined;
    }
    /** Whether it is "pending" because others come first: see lastN of join(). Its turn comes when the participant leads, or by priority. */
    get isLeftOut() {
        return this.#status === "pending" && this.#reason === PendingLastN;
    }
    /** The track that arrives now; another one after "trackreplaced". */
    get mediaStreamTrack() {
        return this.#receiver?.track;
    }
    /**
     * Plays the subscription in a media element, now and whenever its track changes. Returns what ends that. The server sends a size
     * of the picture that suits the element, and after a while nothing if it cannot be seen.
     */
    attach(element) {
        this.#elements.add(element);
        element.autoplay = true;
        if (element instanceof HTMLVideoElement) {
            element.playsInline = true;
            this.#place(element);
        }
        this.#show(element);
        return () => this.detach(element);
    }
    detach(element) {
        if (this.#elements.delete(element) && element.srcObject === this.stream)
            element.srcObject = null;
        if (element instanceof HTMLVideoElement)
            this.#places?.remove(element);
    }
    /** Says how the picture is used, where that does not follow from the elements that it is attached to. */
    prefer({ width, height, priority }) {
        this.#isSized ||= width !== undefined || height !== undefined;
        this.#teller.prefer({
            ...(width !== undefined && { width }),
            ...(height !== undefined && { height }),
            ...(priority !== undefined && { priority }),
        });
    }
    /** Receives nothing until resume(). The slot is kept, so that it goes on soon. */
    pause() {
        this.#teller.pause(true);
    }
    resume() {
        this.#teller.pause(false);
    }
    /** Whether to receive it at all. */
    async want(wanted) {
        await this.#link.want(this.publication.id, wanted);
        if (wanted)
            this.#teller.begin(); // it may have been off, when nothing was told
    }
    /** Loudness now, 0 to 1. */
    get audioLevel() {
        const receiver = this.#receiver;
        if (!receiver || this.kind !== "audio" || receiver.track.readyState !== "live")
            return 0;
        if (tellsReceivedLevel()) {
            const level = receivedLevel(receiver, Date.now());
            if (level !== undefined)
                return level;
        }
        this.#meter ??= new LevelMeter(receiver.track);
        return this.#meter.level();
    }
    /** Counters of the track as it arrives now; undefined while nothing does. */
    async stats() {
        const report = await this.#receiver?.getStats();
        if (!report)
            return undefined;
        const inbound = [...report.values()].find(isInbound);
        if (!inbound)
            return undefined;
        return { ...numbers(inbound), codec: codecOf(report, inbound), report };
    }
    /** Plays again what the browser refused to play. */
    async play() {
        await Promise.all([...this.#elements].map((e) => e.play()));
    }
    /** @internal The server fills a slot with it, or the slot is blanked (undefined). */
    receive(receiver) {
        if (receiver === this.#receiver)
            return;
        const together = this.source === "microphone" || this.source === "camera" ? [this.participant.stream] : [];
        for (const stream of [this.stream, ...together]) {
            if (this.#receiver)
                stream.removeTrack(this.#receiver.track);
            if (receiver)
                stream.addTrack(receiver.track);
        }
        this.#meter?.close();
        this.#meter = undefined;
        this.#receiver = receiver;
        for (const element of this.#elements)
            this.#show(element);
        emit(this, "trackreplaced", { subscription: this, track: receiver?.track });
        this.#link.changed(this, "track");
    }
    /** @internal */
    become(status, reason = "") {
        if ((status === this.#status && reason === this.#reason) || this.#status === "ended")
            return;
        this.#status = status;
        this.#reason = reason;
        emit(this, "statuschanged", { subscription: this, status });
        this.#link.changed(this, "status");
    }
    /** @internal The server knows nothing of how it is used: the publication has another id, or the session is a new one. */
    useAnew() {
        this.#teller.begin();
    }
    /** @internal */
    end() {
        this.#teller.close();
        this.#places?.close();
        this.receive(undefined);
        this.become("ended");
    }
    #place(element) {
        this.#places ??= new Places(() => this.#placed());
        this.#places.add(element);
    }
    #placed() {
        const size = this.#places?.size;
        this.#teller.see(size !== undefined);
        if (size && !this.#isSized)
            this.#teller.prefer(size);
    }
    /** What is not wanted at all stays so. */
    async #tell(change) {
        if (this.#status !== "off" && this.#status !== "ended")
            await this.#link.use(this.publication.id, change);
    }
    /** An element without a track shows nothing, rather than the last picture. */
    #show(element) {
        element.srcObject = this.#receiver ? this.stream : null;
        if (!this.#receiver)
            return;
        element.play().catch((reason) => {
            if (isRefused(reason))
                this.#link.playbackBlocked(this, element);
        });
    }
}
function isInbound(stats) {
    return stats.type === "inbound-rtp";
}
function numbers(s) {
    const video = {
        framesDecoded: s.framesDecoded,
        framesPerSecond: s.framesPerSecond,
        frameWidth: s.frameWidth,
        frameHeight: s.frameHeight,
        freezeCount: s.freezeCount,
    };
    return {
        bytesReceived: s.bytesReceived ?? 0,
        packetsReceived: s.packetsReceived ?? 0,
        packetsLost: s.packetsLost ?? 0,
        jitterSeconds: s.jitter ?? 0,
        ...Object.fromEntries(Object.entries(video).filter(([, value]) => value !== undefined)),
    };
}
function codecOf(report, inbound) {
    const codec = inbound.codecId === undefined ? undefined : report.get(inbound.codecId);
    if (typeof codec !== "object" || codec === null || !("mimeType" in codec))
        return "";
    return typeof codec.mimeType === "string" ? codec.mimeType : "";
}
//# sourceMappingURL=subscription.js.map