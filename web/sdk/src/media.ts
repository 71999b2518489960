// The media between this client and the server: the m-lines that are wanted, independent of the RTCPeerConnection that carries
// them now. When that is lost, the next one gets the same m-lines in the same order.

import { Channels, type DataMessage } from "./channels.js";
import { chooseCodec, sendCodecs, slotCodecs } from "./codecs.js";
import { ConnectionError, isPassing, MediaError, type ParleyError } from "./errors.js";
import { chooseLayers, Demand, type Layers, layersFor, offeredLayers, type Picture, refit, sendEncodings, streamsOf, tune } from "./layers.js";
import { type MediaPath, mediaPathOf } from "./media-path.js";
import type { LocalPublication } from "./publication.js";
import { chooseHeaderExtensions, scalabilityOf, tellsReceivedLevel, tuneSender } from "./quirks.js";
import { allowDtx } from "./sdp.js";
import { firstSlots, grow, type SlotCount } from "./slots.js";
import { Transport, type TransportOwner } from "./transport.js";
import type { Path } from "./transport-machine.js";
import type { Answer, Codecs, Encodings, Kind, Offer, OfferSlot, OfferTrack } from "./wire.gen.js";

/** Who the media are for. */
export interface MediaOwner {
  readonly configuration: RTCConfiguration;
  offer(offer: Offer): Promise<Answer>;
  /** The room's common codecs. */
  readonly codecs: Codecs;
  /** A new RTCPeerConnection is offered for the first time: its slots are empty. */
  connectionReplaced(): void;
  /** The publication has another id than before, or its first. */
  named(publication: LocalPublication, id: string): void;
  /** What has a name is sent. */
  published(): void;
  /** The server does not take the publication. */
  notPublished(publication: LocalPublication, error: ParleyError): void;
  received(message: DataMessage, reliable: boolean): void;
  pathChanged(path: Path, reason: ParleyError | undefined): void;
  peerConnectionChanged(): void;
}

/** One m-line. Lines are only ever added. */
interface Line {
  readonly use: "slot" | "send";
  readonly kind: Kind;
  /** Streams of video that are sent: it cannot change. */
  readonly streams: number;
  transceiver: RTCRtpTransceiver | undefined;
  publication: LocalPublication | undefined; // what a sending line carries; none: it is free
  layers: Layers | undefined; // of what it carries
  tuned: Promise<void>; // one change of its sender after the other
}

interface SlotLines {
  readonly audio: Line | undefined;
  readonly video: Line;
}

/** Pauses between RTCPeerConnections that do not come up. */
const replaceMs = { first: 500, most: 15_000 };
/** The pause before an offer is tried again that was refused for a reason that passes. */
const retryOfferMs = 2_000;

export class Media implements TransportOwner {
  readonly #owner: MediaOwner;
  readonly #lines: Line[] = [];
  readonly #slots: SlotLines[] = [];
  readonly #firstLines: number;
  #count: SlotCount = { pairs: 0, videos: 0 };
  #transport: Transport;
  #channels: Channels | undefined;
  #offered = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reason: ParleyError | undefined;
  readonly #demands = new Map<string, Demand>(); // by publication id
  #together = new MediaStream(); // microphone and camera
  #screen = new MediaStream();

  constructor(owner: MediaOwner, slots: SlotCount = firstSlots) {
    this.#owner = owner;
    this.#add(slots);
    this.#firstLines = this.#lines.length;
    this.#transport = new Transport(owner.configuration, this);
  }

  get peerConnection(): RTCPeerConnection {
    return this.#transport.peerConnection;
  }

  /** An offer is on its way: what the server says of one's own publications may be about either side of it. */
  get isOffering(): boolean {
    return this.#transport.state.at === "offering";
  }

  /** Makes the first offer. */
  start(): void {
    this.#transport.changed();
  }

  close(): void {
    for (const id of [...this.#demands.keys()]) this.#forgetDemand(id);
    this.#stop();
  }

  /** Begins again on a new RTCPeerConnection, at once; perhaps in a new session. */
  replace({ session = false } = {}): void {
    if (session) this.close();
    else this.#stop();
    this.#channels = undefined;
    this.#offered = false;
    for (const line of this.#lines) line.transceiver = undefined;
    this.#transport = new Transport(this.#owner.configuration, this);
    this.#owner.peerConnectionChanged();
    this.#transport.changed();
  }

  serverSays(state: string): void {
    this.#transport.serverSays(state);
  }

  networkChanged(): void {
    this.#transport.networkChanged();
  }

  /** What has come from the server on any pair: bytes, and answers to checks where the browser counts them. It grows while there is a path. */
  async received(): Promise<number> {
    const report = await this.peerConnection.getStats().catch(() => undefined);
    let sum = 0;
    report?.forEach((s: { readonly type: string; readonly bytesReceived?: number; readonly responsesReceived?: number }) => {
      if (s.type === "candidate-pair") sum += (s.bytesReceived ?? 0) + (s.responsesReceived ?? 0);
    });
    return sum;
  }

  /** When the newest packet of sound or pictures came, in milliseconds as of performance.now(); 0: none has, or it cannot be known. */
  newestPacket(): number {
    if (!tellsReceivedLevel()) return 0;
    const sources = this.peerConnection.getReceivers().flatMap((r) => r.getSynchronizationSources());
    return Math.max(0, ...sources.map((s) => s.timestamp - performance.timeOrigin)); // WebRTC, section 5.3: of 1970
  }

  growSlots(wanted: SlotCount): void {
    const target = grow(this.#count, wanted);
    if (target.pairs === this.#count.pairs && target.videos === this.#count.videos) return;
    this.#add({ pairs: target.pairs - this.#count.pairs, videos: target.videos - this.#count.videos });
    this.#transport.changed();
  }

  /** Offers the publication's track, on an m-line that is free or on a new one. The owner hears what becomes of it. */
  publish(publication: LocalPublication): void {
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
  wanted(encodings: Encodings): void {
    const { publication: id } = encodings;
    let demand = this.#demands.get(id);
    if (!demand) {
      demand = new Demand(() => void this.#tune(this.#lines.find((l) => l.publication?.id === id)));
      this.#demands.set(id, demand);
    }
    demand.told(encodings);
  }

  /** Frees the publication's m-line. Nothing of its track is sent any more. */
  async unpublish(publication: LocalPublication): Promise<void> {
    const line = this.#lineOf(publication);
    if (!line) return;
    line.publication = undefined;
    this.#forgetDemand(publication.id);
    await line.transceiver?.sender.replaceTrack(null);
  }

  async replaceTrack(publication: LocalPublication, track: MediaStreamTrack): Promise<void> {
    const line = this.#lineOf(publication);
    await line?.transceiver?.sender.replaceTrack(track);
    await this.#tune(line, track);
  }

  sender(publication: LocalPublication): RTCRtpSender | undefined {
    return this.#lineOf(publication)?.transceiver?.sender;
  }

  /** What the packets travel over now. */
  async path(): Promise<MediaPath | undefined> {
    const report = await this.peerConnection.getStats().catch(() => undefined);
    return report && mediaPathOf(report);
  }

  /** The receiver of a slot's m-line. */
  receiver(mid: string): RTCRtpReceiver | undefined {
    return this.#lines.find((l) => l.use === "slot" && l.transceiver?.mid === mid)?.transceiver?.receiver;
  }

  /** The room's common codecs have changed: what not everyone can decode is offered in another one. */
  codecsChanged(): void {
    for (const line of this.#lines) {
      const { publication } = line;
      if (!publication || publication.codec === "") continue;
      const codec = this.#codec(publication);
      if (codec === publication.codec) continue;
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

  async send(message: Uint8Array<ArrayBuffer>, reliable: boolean): Promise<void> {
    if (this.#channels) await this.#channels.send(message, reliable);
    else if (reliable) throw new ConnectionError("The media connection is being made anew.");
  }

  // What the transport asks.

  begin(): void {
    for (const line of this.#lines.slice(0, this.#firstLines)) this.#shapeSlot(line);
    this.#channels = new Channels(this.peerConnection, (m, reliable) => this.#owner.received(m, reliable));
  }

  async prepare(): Promise<void> {
    for (const line of this.#lines) {
      if (line.use === "slot") this.#shapeSlot(line);
      else await this.#shapeSender(line);
    }
  }

  async exchange(sdp: string): Promise<string> {
    // Events about the new slots may overtake the answer.
    if (!this.#offered) this.#owner.connectionReplaced();
    this.#offered = true;
    const answer = await this.#owner.offer({ sdp, tracks: this.#offerTracks(), slots: this.#offerSlots() });
    for (const { mid, publication: id } of answer.publications ?? []) {
      const publication = this.#lines.find((l) => l.transceiver?.mid === mid)?.publication;
      if (!publication || !id) continue;
      if (publication.id !== id) this.#forgetDemand(publication.id);
      this.#owner.named(publication, id);
    }
    const microphones = this.#lines.filter((l) => l.publication?.source === "microphone").map((l) => l.transceiver?.mid ?? "");
    return allowDtx(answer.sdp, new Set(microphones));
  }

  async negotiated(): Promise<void> {
    this.#owner.published();
    for (const line of this.#lines) await this.#tune(line);
  }

  refused(error: ParleyError): void {
    this.#reason = error;
    if (isPassing(error)) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#transport.changed(), retryOfferMs);
      return;
    }
    for (const line of this.#lines) {
      const { publication } = line;
      if (!publication || publication.id !== "") continue;
      line.publication = undefined;
      this.#owner.notPublished(publication, error);
    }
  }

  pathChanged(path: Path): void {
    if (path === "connected") {
      this.#failures = 0;
      this.#reason = undefined;
    }
    this.#owner.pathChanged(path, path === "connected" ? undefined : this.#reason);
  }

  lost(): void {
    this.#reason ??= new MediaError("timeout", "The media connection to the server was lost or could not be made.", {
      next: "Check that a firewall lets UDP or TCP through to the server's port.",
    });
    this.#channels?.close();
    const pause = Math.min(replaceMs.first * 2 ** this.#failures++, replaceMs.most);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.replace(), pause);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#channels?.close();
    this.#transport.close();
  }

  #forgetDemand(publication: string): void {
    this.#demands.get(publication)?.close();
    this.#demands.delete(publication);
  }

  #add({ pairs, videos }: SlotCount): void {
    const line = (kind: Kind): Line => {
      const added = newLine("slot", kind, 1);
      this.#lines.push(added);
      return added;
    };
    for (let i = 0; i < pairs; i++) this.#slots.push({ audio: line("audio"), video: line("video") });
    for (let i = 0; i < videos; i++) this.#slots.push({ audio: undefined, video: line("video") });
    this.#count = { pairs: this.#count.pairs + pairs, videos: this.#count.videos + videos };
  }

  #lineOf(publication: LocalPublication): Line | undefined {
    return this.#lines.find((l) => l.publication === publication);
  }

  #shapeSlot(line: Line): void {
    if (line.transceiver) return;
    const transceiver = this.peerConnection.addTransceiver(line.kind, { direction: "recvonly" });
    transceiver.setCodecPreferences(slotCodecs(line.kind, RTCRtpReceiver.getCapabilities(line.kind)?.codecs ?? []));
    chooseHeaderExtensions(transceiver, "slot");
    line.transceiver = transceiver;
  }

  async #shapeSender(line: Line): Promise<void> {
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
    if (sender.track !== (publication?.track ?? null)) await sender.replaceTrack(publication?.track ?? null);
    if (!publication) return;
    sender.setStreams?.(publication.source.startsWith("screen") ? this.#screen : this.#together);
    const codec = this.#codec(publication);
    if (codec === publication.codec && line.transceiver.mid !== null) return;
    publication.encodes(codec);
    await this.#layer(line, publication);
    const all = RTCRtpSender.getCapabilities(line.kind)?.codecs ?? [];
    line.transceiver.setCodecPreferences(sendCodecs(codec, all, publication.source === "microphone"));
  }

  /** What the publication is to be encoded in: what it is now, as long as everyone decodes it. */
  #codec(publication: LocalPublication): string {
    const common = this.#owner.codecs;
    if (publication.codec !== "" && common[publication.kind].includes(publication.codec)) return publication.codec;
    const all = RTCRtpSender.getCapabilities(publication.kind)?.codecs ?? [];
    return chooseCodec(publication.kind, common, all, publication.options.codec);
  }

  /** Gives a line the layers of what it carries now, as far as the browser makes them. */
  async #layer(line: Line, publication: LocalPublication): Promise<void> {
    if (line.kind !== "video" || !line.transceiver) return;
    line.layers = layersFor(picture(publication, publication.codec, publication.track), line.streams);
    await this.#tune(line);
    if (line.layers.kind === "svc" && scalabilityOf(line.transceiver.sender) !== line.layers.mode) {
      line.layers = { kind: "one", maxBitrate: line.layers.maxBitrate };
    }
  }

  /** How many streams a publication has. */
  #streams(publication: LocalPublication): number {
    if (publication.kind === "audio") return 1;
    try {
      return streamsOf(chooseLayers(picture(publication, this.#codec(publication), publication.track)));
    } catch {
      return 1; // no codec: the offer will say so
    }
  }

  /** Brings a sender's encoders in line with the picture that it sends, and with what is wanted of that. */
  async #tune(line: Line | undefined, track = line?.publication?.track): Promise<void> {
    if (line?.kind !== "video" || !track) return;
    line.tuned = line.tuned.then(async () => {
      const { publication, layers, transceiver } = line;
      if (!publication || !layers || !transceiver) return;
      const now = refit(layers, picture(publication, publication.codec, track));
      await tuneSender(transceiver.sender, tune(now, this.#demands.get(publication.id)?.wanted));
    });
    await line.tuned;
  }

  #offerTracks(): OfferTrack[] {
    const tracks: OfferTrack[] = [];
    for (const { publication, transceiver, layers } of this.#lines) {
      const mid = transceiver?.mid;
      if (!publication || !mid || transceiver.direction !== "sendonly") continue;
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

  #offerSlots(): OfferSlot[] {
    const slots: OfferSlot[] = [];
    for (const { audio, video } of this.#slots) {
      const [a, v] = [audio?.transceiver?.mid, video.transceiver?.mid];
      if (v) slots.push({ ...(a && { audio: a }), video: v });
    }
    return slots;
  }
}

/** What decides on the layers of a publication that sends this track in this codec. */
function picture({ source, options }: LocalPublication, codec: string, track: MediaStreamTrack): Picture {
  const { width, height } = track.getSettings();
  return { ...options, source, codec, width, height };
}

function newLine(use: Line["use"], kind: Kind, streams: number): Line {
  return { use, kind, streams, transceiver: undefined, publication: undefined, layers: undefined, tuned: Promise.resolve() };
}
