// Subscriptions: tracks of others as they arrive here. A subscription and its stream stay the same while slots, connections
// and even sessions change beneath them.

import { emit, TypedEventTarget } from "./events.js";
import { LevelMeter, receivedLevel } from "./level.js";
import type { RemoteParticipant } from "./participant.js";
import type { RemotePublication } from "./publication.js";
import { tellsReceivedLevel } from "./quirks.js";
import type { Kind, Source, SubscriptionActive, SubscriptionOff, SubscriptionPending, SubscriptionUnsupportedCodec } from "./wire.gen.js";

export type SubscriptionStatus =
  | typeof SubscriptionActive
  | typeof SubscriptionPending
  | typeof SubscriptionUnsupportedCodec
  | typeof SubscriptionOff
  | "ended";

export interface SubscriptionEvents {
  /** mediaStreamTrack is another one, or gone for now. */
  trackreplaced: { readonly subscription: Subscription; readonly track: MediaStreamTrack | undefined };
  statuschanged: { readonly subscription: Subscription; readonly status: SubscriptionStatus };
}

/** What a subscription asks of its room. */
export interface SubscriptionLink {
  want(publication: string, wanted: boolean): Promise<void>;
  playbackBlocked(subscription: Subscription): void;
  changed(subscription: Subscription, what: "track" | "status"): void;
}

export interface SubscriptionStats {
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly jitterSeconds: number;
  /** Codec as negotiated, "video/VP8". */
  readonly codec: string;
  /** Video only. */
  readonly framesDecoded?: number;
  readonly framesPerSecond?: number;
  readonly frameWidth?: number;
  readonly frameHeight?: number;
  readonly freezeCount?: number;
  /** All that the browser tells. */
  readonly report: RTCStatsReport;
}

export class Subscription extends TypedEventTarget<SubscriptionEvents> {
  readonly publication: RemotePublication;
  /** Stays the same; holds the track while there is one. */
  readonly stream = new MediaStream();
  readonly #link: SubscriptionLink;
  readonly #elements = new Set<HTMLMediaElement>();
  #status: SubscriptionStatus = "pending";
  #receiver: RTCRtpReceiver | undefined;
  #meter: LevelMeter | undefined;

  /** @internal */
  constructor(publication: RemotePublication, link: SubscriptionLink) {
    super();
    this.publication = publication;
    this.#link = link;
  }

  get participant(): RemoteParticipant {
    return this.publication.participant;
  }

  get kind(): Kind {
    return this.publication.kind;
  }

  get source(): Source {
    return this.publication.source;
  }

  get status(): SubscriptionStatus {
    return this.#status;
  }

  /** The track that arrives now; another one after "trackreplaced". */
  get mediaStreamTrack(): MediaStreamTrack | undefined {
    return this.#receiver?.track;
  }

  /** Plays the subscription in a media element, now and whenever its track changes. Returns what ends that. */
  attach(element: HTMLMediaElement): () => void {
    this.#elements.add(element);
    element.autoplay = true;
    if (element instanceof HTMLVideoElement) element.playsInline = true;
    this.#show(element);
    return () => this.detach(element);
  }

  detach(element: HTMLMediaElement): void {
    if (this.#elements.delete(element) && element.srcObject === this.stream) element.srcObject = null;
  }

  /** Whether to receive it at all. */
  async want(wanted: boolean): Promise<void> {
    await this.#link.want(this.publication.id, wanted);
  }

  /** Loudness now, 0 to 1. */
  get audioLevel(): number {
    const receiver = this.#receiver;
    if (!receiver || this.kind !== "audio" || receiver.track.readyState !== "live") return 0;
    if (tellsReceivedLevel()) {
      const level = receivedLevel(receiver, Date.now());
      if (level !== undefined) return level;
    }
    this.#meter ??= new LevelMeter(receiver.track);
    return this.#meter.level();
  }

  /** Counters of the track as it arrives now; undefined while nothing does. */
  async stats(): Promise<SubscriptionStats | undefined> {
    const report = await this.#receiver?.getStats();
    if (!report) return undefined;
    const inbound = [...report.values()].find(isInbound);
    if (!inbound) return undefined;
    return { ...numbers(inbound), codec: codecOf(report, inbound), report };
  }

  /** Plays again what the browser refused to play. */
  async play(): Promise<void> {
    await Promise.all([...this.#elements].map((e) => e.play()));
  }

  /** @internal The server fills a slot with it, or the slot is blanked (undefined). */
  receive(receiver: RTCRtpReceiver | undefined): void {
    if (receiver === this.#receiver) return;
    const together = this.source === "microphone" || this.source === "camera" ? [this.participant.stream] : [];
    for (const stream of [this.stream, ...together]) {
      if (this.#receiver) stream.removeTrack(this.#receiver.track);
      if (receiver) stream.addTrack(receiver.track);
    }
    this.#meter?.close();
    this.#meter = undefined;
    this.#receiver = receiver;
    for (const element of this.#elements) this.#show(element);
    emit(this, "trackreplaced", { subscription: this, track: receiver?.track });
    this.#link.changed(this, "track");
  }

  /** @internal */
  become(status: SubscriptionStatus): void {
    if (status === this.#status || this.#status === "ended") return;
    this.#status = status;
    emit(this, "statuschanged", { subscription: this, status });
    this.#link.changed(this, "status");
  }

  /** @internal */
  end(): void {
    this.receive(undefined);
    this.become("ended");
  }

  /** An element without a track shows nothing, rather than the last picture. */
  #show(element: HTMLMediaElement): void {
    element.srcObject = this.#receiver ? this.stream : null;
    if (!this.#receiver) return;
    element.play().catch((reason: unknown) => {
      if (reason instanceof DOMException && reason.name === "NotAllowedError") this.#link.playbackBlocked(this);
    });
  }
}

function isInbound(stats: RTCStats): stats is RTCInboundRtpStreamStats {
  return stats.type === "inbound-rtp";
}

function numbers(s: RTCInboundRtpStreamStats): Omit<SubscriptionStats, "codec" | "report"> {
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

function codecOf(report: RTCStatsReport, inbound: RTCInboundRtpStreamStats): string {
  const codec: unknown = inbound.codecId === undefined ? undefined : report.get(inbound.codecId);
  if (typeof codec !== "object" || codec === null || !("mimeType" in codec)) return "";
  return typeof codec.mimeType === "string" ? codec.mimeType : "";
}
