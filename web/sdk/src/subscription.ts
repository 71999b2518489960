// Subscriptions: tracks of others as they arrive here. A subscription and its stream stay the same while slots, connections
// and even sessions change beneath them.

import { isRefused } from "./blocked.js";
import { emit, TypedEventTarget } from "./events.js";
import { LevelMeter, receivedLevel } from "./level.js";
import type { RemoteParticipant } from "./participant.js";
import { Places } from "./places.js";
import type { RemotePublication } from "./publication.js";
import { tellsReceivedLevel } from "./quirks.js";
import { type Tell, Teller } from "./use.js";
import { type Kind, PendingLastN, type Source, type SubscriptionActive, type SubscriptionOff, type SubscriptionPaused, type SubscriptionPending, type SubscriptionUnsupportedCodec } from "./wire.gen.js";

export type SubscriptionStatus =
  | typeof SubscriptionActive
  | typeof SubscriptionPaused
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
  use(publication: string, change: Parameters<Tell>[0]): Promise<void>;
  playbackBlocked(subscription: Subscription, element: HTMLMediaElement): void;
  changed(subscription: Subscription, what: "track" | "status"): void;
}

/** How a picture is used. */
export interface Preference {
  /** Of the picture, in pixels of the screen; 0: as large as it gets. */
  readonly width?: number;
  readonly height?: number;
  /** What matters more where the network cannot carry everything: 0 to 255, 100 by default. */
  readonly priority?: number;
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
  readonly #teller = new Teller((change) => this.#tell(change));
  #places: Places | undefined; // of video elements
  #isSized = false; // the application says how large it is
  #status: SubscriptionStatus = "pending";
  #reason = "";
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

  /** Why it is paused: "off", because pause() was called or nobody can see it; "bandwidth"; others may come. */
  get pausedReason(): string | undefined {
    return this.#status === "paused" ? this.#reason : undefined;
  }

  /** Whether it is "pending" because others come first: see lastN of join(). Its turn comes when the participant leads, or by priority. */
  get isLeftOut(): boolean {
    return this.#status === "pending" && this.#reason === PendingLastN;
  }

  /** The track that arrives now; another one after "trackreplaced". */
  get mediaStreamTrack(): MediaStreamTrack | undefined {
    return this.#receiver?.track;
  }

  /**
   * Plays the subscription in a media element, now and whenever its track changes. Returns what ends that. The server sends a size
   * of the picture that suits the element, and after a while nothing if it cannot be seen.
   */
  attach(element: HTMLMediaElement): () => void {
    this.#elements.add(element);
    element.autoplay = true;
    if (element instanceof HTMLVideoElement) {
      element.playsInline = true;
      this.#place(element);
    }
    this.#show(element);
    return () => this.detach(element);
  }

  detach(element: HTMLMediaElement): void {
    if (this.#elements.delete(element) && element.srcObject === this.stream) element.srcObject = null;
    if (element instanceof HTMLVideoElement) this.#places?.remove(element);
  }

  /** Says how the picture is used, where that does not follow from the elements that it is attached to. */
  prefer({ width, height, priority }: Preference): void {
    this.#isSized ||= width !== undefined || height !== undefined;
    this.#teller.prefer({
      ...(width !== undefined && { width }),
      ...(height !== undefined && { height }),
      ...(priority !== undefined && { priority }),
    });
  }

  /** Receives nothing until resume(). The slot is kept, so that it goes on soon. */
  pause(): void {
    this.#teller.pause(true);
  }

  resume(): void {
    this.#teller.pause(false);
  }

  /** Whether to receive it at all. */
  async want(wanted: boolean): Promise<void> {
    await this.#link.want(this.publication.id, wanted);
    if (wanted) this.#teller.begin(); // it may have been off, when nothing was told
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
  become(status: SubscriptionStatus, reason = ""): void {
    if ((status === this.#status && reason === this.#reason) || this.#status === "ended") return;
    this.#status = status;
    this.#reason = reason;
    emit(this, "statuschanged", { subscription: this, status });
    this.#link.changed(this, "status");
  }

  /** @internal The server knows nothing of how it is used: the publication has another id, or the session is a new one. */
  useAnew(): void {
    this.#teller.begin();
  }

  /** @internal */
  end(): void {
    this.#teller.close();
    this.#places?.close();
    this.receive(undefined);
    this.become("ended");
  }

  #place(element: HTMLVideoElement): void {
    this.#places ??= new Places(() => this.#placed());
    this.#places.add(element);
  }

  #placed(): void {
    const size = this.#places?.size;
    this.#teller.see(size !== undefined);
    if (size && !this.#isSized) this.#teller.prefer(size);
  }

  /** What is not wanted at all stays so. */
  async #tell(change: Parameters<Tell>[0]): Promise<void> {
    if (this.#status !== "off" && this.#status !== "ended") await this.#link.use(this.publication.id, change);
  }

  /** An element without a track shows nothing, rather than the last picture. */
  #show(element: HTMLMediaElement): void {
    element.srcObject = this.#receiver ? this.stream : null;
    if (!this.#receiver) return;
    element.play().catch((reason: unknown) => {
      if (isRefused(reason)) this.#link.playbackBlocked(this, element);
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
