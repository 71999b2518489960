// The media between this client and the server: the m-lines that are wanted, independent of the RTCPeerConnection that carries
// them now. When that is lost, the next one gets the same m-lines in the same order.
import { Channels } from "./channels.js";
import { chooseCodec, sendCodecs, slotCodecs } from "./codecs.js";
import { ConnectionError, isPassing, MediaError } from "./errors.js";
import { chooseLayers, Demand, layersFor, offeredLayers, refit, sendEncodings, streamsOf, tune } from "./layers.js";
import { mediaPathOf } from "./media-path.js";
import { chooseHeaderExtensions, scalabilityOf, tellsReceivedLevel, tuneSender } from "./quirks.js";
import { allowDtx } from "./sdp.js";
import { firstSlots, grow } from "./slots.js";
import { Transport } from "./transport.js";
/** Pauses between RTCPeerConnections that do not come up. */
const replaceMs = { first: 500, most: 15_000 };
/** The pause before an offer is tried again that was refused for a reason that passes. */
const retryOfferMs = 2_000;
export class Media {
    #owner;
    #lines = [];
    #slots = [];
    #firstLines;
    #count = { pairs: 0, videos: 0 };
    #transport;
    #channels;
    #offered = false;
    #failures = 0;
    #timer;
    #reason;
    #demands = new Map(); // by publication id
    #together = new MediaStream(); // microphone and camera
    #screen = new MediaStream();
    constructor(owner, slots = firstSlots) {
        this.#owner = owner;
        this.#add(slots);
        this.#firstLines = this.#lines.length;
        this.#transport = new Transport(owner.configuration, this);
    }
    get peerConnection() {
        return this.#transport.peerConnection;
    }
    /** An offer is on its way: what the server says of one's own publications may be about either side of it. */
    get isOffering() {
        return this.#transport.state.at === "offering";
    }
    /** Makes the first offer. */
    start() {
        this.#transport.changed();
    }
    close() {
        for (const id of [...this.#demands.keys()])
            this.#forgetDemand(id);
        this.#stop();
    }
    /** Begins again on a new RTCPeerConnection, at once; perhaps in a new session. */
    replace({ session = false } = {}) {
        if (session)
            this.close();
        else
            this.#stop();
        this.#channels = undefined;
        this.#offered = false;
        for (const line of this.#lines)
            line.transceiver = undefined;
        this.#transport = new Transport(this.#owner.configuration, this);
        this.#owner.peerConnectionChanged();
        this.#transport.changed();
    }
    serverSays(state) {
        this.#transport.serverSays(state);
    }
    networkChanged() {
        this.#transport.networkChanged();
    }
    /** What has come from the server on any pair: bytes, and answers to checks where the browser counts them. It grows while there is a path. */
    async received() {
        const report = await this.peerConnection.getStats().catch(() => undefined);
        let sum = 0;
        report?.forEach((s) => {
            if (s.type === "candidate-pair")
                sum += (s.bytesReceived ?? 0) + (s.responsesReceived ?? 0);
        });
        return sum;
    }
    /** When the newest packet of sound or pictures came, in milliseconds as of performance.now(); 0: none has, or it cannot be known. */
    newestPacket() {
        if (!tellsReceivedLevel())
            return 0;
        const sources = this.peerConnection.getReceivers().flatMap((r) => r.getSynchronizationSources());
        return Math.max(0, ...sources.map((s) => s.timestamp - performance.timeOrigin)); // WebRTC, section 5.3: of 1970
    }
    growSlots(wanted) {
        const target = grow(this.#count, wanted);
        if (target.pairs === this.#count.pairs && target.videos === this.#count.videos)
            return;
        this.#add({ pairs: target.pairs - this.#count.pairs, videos: target.videos - this.#count.videos });
        this.#transport.changed();
    }
    /** Offers the publication's track, on an m-line that is free or on a new one. The owner hears what becomes of it. */
    publish(publication) {
        const { kind } = publication;
        const streams = this.#streams(publication);
        let line = this.#lines.find((l) => l.use === "send" && l.kind === kind && l.streams === streams && l.publication === undefined);
        if (!line) {
            line = newLine("send", kind, streams);
            this.#lines.push(line);
        }
        line.publication = publication;
        this.#transport.changed();
    }
    /** What somebody wants of a publication: the rest is not sent. */
    wanted(encodings) {
        const { publication: id } = encodings;
        let demand = this.#demands.get(id);
        if (!demand) {
            demand = new Demand(() => void this.#tune(this.#lines.find((l) => l.publication?.id === id)));
            this.#demands.set(id, demand);
        }
        demand.told(encodings);
    }
    /** Frees the publication's m-line. Nothing of its track is sent any more. */
    async unpublish(publication) {
        const line = this.#lineOf(publication);
        if (!line)
            return;
        line.publication = undefined;
        this.#forgetDemand(publication.id);
        await line.transceiver?.sender.replaceTrack(null);
    }
    async replaceTrack(publication, track) {
        const line = this.#lineOf(publication);
        await line?.transceiver?.sender.replaceTrack(track);
        await this.#tune(line, track);
    }
    sender(publication) {
        return this.#lineOf(publication)?.transceiver?.sender;
    }
    /** What the packets travel over now. */
    async path() {
        const report = await this.peerConnection.getStats().catch(() => undefined);
        return report && mediaPathOf(report);
    }
    /** The receiver of a slot's m-line. */
    receiver(mid) {
        return this.#lines.find((l) => l.use === "slot" && l.transceiver?.mid === mid)?.transceiver?.receiver;
    }
    /** The room's common codecs have changed: what not everyone can decode is offered in another one. */
    codecsChanged() {
        for (const line of this.#lines) {
            const { publication } = line;
            if (!publication || publication.codec === "")
                continue;
            const codec = this.#codec(publication);
            if (codec === publication.codec)
                continue;
            if (this.#streams(publication) === line.streams) {
                this.#transport.changed();
                continue;
            }
            // Another number of streams needs another m-line.
            line.publication = undefined;
            void line.transceiver?.sender.replaceTrack(null);
            publication.encodes("");
            this.publish(publication);
        }
    }
    async send(message, reliable) {
        if (this.#channels)
            await this.#channels.send(message, reliable);
        else if (reliable)
            throw new ConnectionError("The media connection is being made anew.");
    }
    // What the transport asks.
    begin() {
        for (const line of this.#lines.slice(0, this.#firstLines))
            this.#shapeSlot(line);
        this.#channels = new Channels(this.peerConnection, (m, reliable) => this.#owner.received(m, reliable));
    }
    async prepare() {
        for (const line of this.#lines) {
            if (line.use === "slot")
                this.#shapeSlot(line);
            else
                await this.#shapeSender(line);
        }
    }
    async exchange(sdp) {
        // Events about the new slots may overtake the answer.
        if (!this.#offered)
            this.#owner.connectionReplaced();
        this.#offered = true;
        const answer = await this.#owner.offer({ sdp, tracks: this.#offerTracks(), slots: this.#offerSlots() });
        for (const { mid, publication: id } of answer.publications ?? []) {
            const publication = this.#lines.find((l) => l.transceiver?.mid === mid)?.publication;
            if (!publication || !id)
                continue;
            if (publication.id !== id)
                this.#forgetDemand(publication.id);
            this.#owner.named(publication, id);
        }
        const microphones = this.#lines.filter((l) => l.publication?.source === "microphone").map((l) => l.transceiver?.mid ?? "");
        return allowDtx(answer.sdp, new Set(microphones));
    }
    async negotiated() {
        this.#owner.published();
        for (const line of this.#lines)
            await this.#tune(line);
    }
    refused(error) {
        this.#reason = error;
        if (isPassing(error)) {
            clearTimeout(this.#timer);
            this.#timer = setTimeout(() => this.#transport.changed(), retryOfferMs);
            return;
        }
        for (const line of this.#lines) {
            const { publication } = line;
            if (!publication || publication.id !== "")
                continue;
            line.publication = undefined;
            this.#owner.notPublished(publication, error);
        }
    }
    pathChanged(path) {
        if (path === "connected") {
            this.#failures = 0;
            this.#reason = undefined;
        }
        this.#owner.pathChanged(path, path === "connected" ? undefined : this.#reason);
    }
    lost() {
        this.#reason ??= new MediaError("timeout", "The media connection to the server was lost or could not be made.", {
            next: "Check that a firewall lets UDP or TCP through to the server's port.",
        });
        this.#channels?.close();
        const pause = Math.min(replaceMs.first * 2 ** this.#failures++, replaceMs.most);
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.replace(), pause);
    }
    #stop() {
        clearTimeout(this.#timer);
        this.#channels?.close();
        this.#transport.close();
    }
    #forgetDemand(publication) {
        this.#demands.get(publication)?.close();
        this.#demands.delete(publication);
    }
    #add({ pairs, videos }) {
        const line = (kind) => {
            const added = newLine("slot", kind, 1);
            this.#lines.push(added);
            return added;
        };
        for (let i = 0; i < pairs; i++)
            this.#slots.push({ audio: line("audio"), video: line("video") });
        for (let i = 0; i < videos; i++)
            this.#slots.push({ audio: undefined, video: line("video") });
        this.#count = { pairs: this.#count.pairs + pairs, videos: this.#count.videos + videos };
    }
    #lineOf(publication) {
        return this.#lines.find((l) => l.publication === publication);
    }
    #shapeSlot(line) {
        if (line.transceiver)
            return;
        const transceiver = this.peerConnection.addTransceiver(line.kind, { direction: "recvonly" });
        transceiver.setCodecPreferences(slotCodecs(line.kind, RTCRtpReceiver.getCapabilities(line.kind)?.codecs ?? []));
        chooseHeaderExtensions(transceiver, "slot");
        line.transceiver = transceiver;
    }
    async #shapeSender(line) {
        const { publication } = line;
        if (!line.transceiver) {
            // A free m-line keeps the layers of what it carried last.
            if (publication && line.kind === "video") {
                line.layers = layersFor(picture(publication, this.#codec(publication), publication.track), line.streams);
            }
            const { layers } = line;
            line.transceiver = this.peerConnection.addTransceiver(line.kind, {
                direction: "inactive",
                ...(line.kind === "video" && layers && { sendEncodings: sendEncodings(layers) }),
            });
            chooseHeaderExtensions(line.transceiver, "publish");
        }
        const { sender } = line.transceiver;
        line.transceiver.direction = publication ? "sendonly" : "inactive";
        if (sender.track !== (publication?.track ?? null))
            await sender.replaceTrack(publication?.track ?? null);
        if (!publication)
            return;
        sender.setStreams?.(publication.source.startsWith("screen") ? this.#screen : this.#together);
        const codec = this.#codec(publication);
        if (codec === publication.codec && line.transceiver.mid !== null)
            return;
        publication.encodes(codec);
        await this.#layer(line, publication);
        const all = RTCRtpSender.getCapabilities(line.kind)?.codecs ?? [];
        line.transceiver.setCodecPreferences(sendCodecs(codec, all, publication.source === "microphone"));
    }
    /** What the publication is to be encoded in: what it is now, as long as everyone decodes it. */
    #codec(publication) {
        const common = this.#owner.codecs;
        if (publication.codec !== "" && common[publication.kind].includes(publication.codec))
            return publication.codec;
        const all = RTCRtpSender.getCapabilities(publication.kind)?.codecs ?? [];
        return chooseCodec(publication.kind, common, all, publication.options.codec);
    }
    /** Gives a line the layers of what it carries now, as far as the browser makes them. */
    async #layer(line, publication) {
        if (line.kind !== "video" || !line.transceiver)
            return;
        line.layers = layersFor(picture(publication, publication.codec, publication.track), line.streams);
        await this.#tune(line);
        if (line.layers.kind === "svc" && scalabilityOf(line.transceiver.sender) !== line.layers.mode) {
            line.layers = { kind: "one", maxBitrate: line.layers.maxBitrate };
        }
    }
    /** How many streams a publication has. */
    #streams(publication) {
        if (publication.kind === "audio")
            return 1;
        try {
            return streamsOf(chooseLayers(picture(publication, this.#codec(publication), publication.track)));
        }
        catch {
            return 1; // no codec: the offer will say so
        }
    }
    /** Brings a sender's encoders in line with the picture that it sends, and with what is wanted of that. */
    async #tune(line, track = line?.publication?.track) {
        if (line?.kind !== "video" || !track)
            return;
        line.tuned = line.tuned.then(async () => {
            const { publication, layers, transceiver } = line;
            if (!publication || !layers || !transceiver)
                return;
            const now = refit(layers, picture(publication, publication.codec, track));
            await tuneSender(transceiver.sender, tune(now, this.#demands.get(publication.id)?.wanted));
        });
        await line.tuned;
    }
    #offerTracks() {
        const tracks = [];
        for (const { publication, transceiver, layers } of this.#lines) {
            const mid = transceiver?.mid;
            if (!publication || !mid || transceiver.direction !== "sendonly")
                continue;
            tracks.push({
                mid,
                source: publication.source,
                ...(publication.name && { name: publication.name }),
                ...(publication.muted && { muted: true }),
                ...(layers && publication.kind === "video" && offeredLayers(layers, publication.track.getSettings())),
            });
        }
        return tracks;
    }
    #offerSlots() {
        const slots = [];
        for (const { audio, video } of this.#slots) {
            const [a, v] = [audio?.transceiver?.mid, video.transceiver?.mid];
            if (v)
                slots.push({ ...(a && { audio: a }), video: v });
        }
        return slots;
    }
}
/** What decides on the layers of a publication that sends this track in this codec. */
function picture({ source, options }, codec, track) {
    const { width, height } = track.getSettings();
    return { ...options, source, codec, width, height };
}
function newLine(use, kind, streams) {
    return { use, kind, streams, transceiver: undefined, publication: undefined, layers: undefined, tuned: Promise.resolve() };
}
//# sourceMappingURL=media.js.map