// Publications: tracks that participants offer to the room, one's own and those of others.

import { forbidden, forbiddenSource } from "./errors.js";
import { LevelMeter } from "./level.js";
import type { LocalParticipant, RemoteParticipant } from "./participant.js";
import { Subscription, type SubscriptionLink } from "./subscription.js";
import type { Publication as WirePublication, Kind, Layers, Source } from "./wire.gen.js";

/** A track of someone else. */
export class RemotePublication {
  readonly participant: RemoteParticipant;
  readonly subscription: Subscription;
  #facts: WirePublication;

  /** @internal */
  constructor(participant: RemoteParticipant, facts: WirePublication, link: SubscriptionLink) {
    this.participant = participant;
    this.#facts = facts;
    this.subscription = new Subscription(this, link);
  }

  get id(): string {
    return this.#facts.id;
  }

  get kind(): Kind {
    return this.#facts.kind;
  }

  get source(): Source {
    return this.#facts.source;
  }

  get name(): string {
    return this.#facts.name ?? "";
  }

  get codec(): string {
    return this.#facts.codec;
  }

  get muted(): boolean {
    return this.#facts.muted ?? false;
  }

  get encrypted(): boolean {
    return this.#facts.encrypted ?? false;
  }

  /** Of its largest size, where the publisher has told it. */
  get dimensions(): { readonly width: number; readonly height: number } | undefined {
    const { width, height } = this.#facts;
    return width !== undefined && height !== undefined ? { width, height } : undefined;
  }

  /** How it has several sizes; undefined: it has one. */
  get layers(): Layers | undefined {
    return this.#facts.layers;
  }

  /** @internal */
  learn(facts: Partial<WirePublication>): void {
    this.#facts = { ...this.#facts, ...facts };
  }
}

/** What a local publication asks of its room. */
export interface LocalPublicationLink {
  mute(publication: LocalPublication, muted: boolean): Promise<void>;
  replaceTrack(publication: LocalPublication, track: MediaStreamTrack): Promise<void>;
  stats(publication: LocalPublication): Promise<RTCStatsReport>;
}

export interface PublishOptions {
  /** For display; at most 128 bytes. */
  readonly name?: string;
  /** Default: microphone or camera by kind; screen for captured displays. */
  readonly source?: Source;
  /** Whether to send several sizes, of which everybody gets the one that suits. Default: cameras, where their picture is large enough. */
  readonly simulcast?: boolean;
  /** For VP9 and AV1, which have their sizes in one stream: "L3T3_KEY", as W3C WebRTC-SVC names them. */
  readonly scalabilityMode?: string;
  /** Of the largest size, in bit/s. Default: by the size of the picture. */
  readonly maxBitrate?: number;
  /** "vp8", "vp9", "h264" or "av1", as long as everybody in the room decodes it. Default: what the room prefers. */
  readonly codec?: string;
}

/** @internal What was published how: the options with their defaults. */
export interface Published extends Omit<PublishOptions, "name" | "source"> {
  readonly name: string;
  readonly source: Source;
}

/** A track of one's own. */
export class LocalPublication {
  readonly participant: LocalParticipant;
  readonly kind: Kind;
  readonly source: Source;
  readonly name: string;
  /** @internal */
  readonly options: Published;
  readonly #link: LocalPublicationLink;
  #id = "";
  #codec = "";
  #track: MediaStreamTrack;
  #muted = false;
  #meter: LevelMeter | undefined;

  /** @internal */
  constructor(participant: LocalParticipant, track: MediaStreamTrack, options: Published, link: LocalPublicationLink) {
    if (!participant.grants.publish) throw forbidden("publish");
    if (!participant.mayPublish(options.source)) throw forbiddenSource(options.source);
    this.participant = participant;
    this.kind = track.kind === "audio" ? "audio" : "video";
    this.source = options.source;
    this.name = options.name;
    this.options = options;
    this.#track = track;
    this.#link = link;
  }

  /** Unique in the room. It changes when the track has to be published anew, after a lost session or with another codec. */
  get id(): string {
    return this.#id;
  }

  /** "opus", "vp8", "vp9", "h264" or "av1". */
  get codec(): string {
    return this.#codec;
  }

  get track(): MediaStreamTrack {
    return this.#track;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** Sends silence or black at once, then tells the others. */
  async mute(): Promise<void> {
    if (this.#muted) return;
    this.#track.enabled = false;
    await this.#link.mute(this, true);
  }

  async unmute(): Promise<void> {
    if (!this.#muted) return;
    await this.#link.mute(this, false);
    this.#track.enabled = true;
  }

  /** Sends another track in place of this one, of the same kind: another camera, say. The old one is not stopped. */
  async replaceTrack(track: MediaStreamTrack): Promise<void> {
    if (track === this.#track) return;
    if (track.kind !== this.kind) throw new TypeError(`A ${track.kind} track cannot take the place of ${this.kind}.`);
    track.enabled = !this.#muted;
    await this.#link.replaceTrack(this, track);
    this.#meter?.close();
    this.#meter = undefined;
    this.#track = track;
  }

  /** Loudness now, 0 to 1. */
  get audioLevel(): number {
    if (this.kind !== "audio" || this.#muted || this.#track.readyState !== "live") return 0;
    this.#meter ??= new LevelMeter(this.#track);
    return this.#meter.level();
  }

  /** What the browser knows of sending it. */
  stats(): Promise<RTCStatsReport> {
    return this.#link.stats(this);
  }

  /** @internal */
  named(id: string): void {
    this.#id = id;
  }

  /** @internal */
  encodes(codec: string): void {
    this.#codec = codec;
  }

  /** @internal */
  nowMuted(muted: boolean): void {
    this.#muted = muted;
  }

  /** @internal */
  ended(): void {
    this.#meter?.close();
    this.#meter = undefined;
    this.#id = "";
  }
}

export type Publication = LocalPublication | RemotePublication;

/** What a track shows or sounds like, where the caller does not say. */
export function sourceOf(track: MediaStreamTrack, stream?: MediaStream): Source {
  const isDisplay = (t: MediaStreamTrack): boolean => "displaySurface" in t.getSettings();
  if (track.kind === "video") return isDisplay(track) ? "screen" : "camera";
  return stream?.getVideoTracks().some(isDisplay) ? "screen-audio" : "microphone";
}
