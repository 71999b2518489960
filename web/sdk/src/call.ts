// A call: what a room does behind its API. It turns what the session, the media and the application say into one another.

import { BlockedElements } from "./blocked.js";
import { type DataMessage, encode, type Payload } from "./channels.js";
import { forbidden, forbiddenSource, type Grant, NotFoundError, type ParleyError } from "./errors.js";
import { emit } from "./events.js";
import { ChatHistory } from "./history.js";
import { Media, type MediaOwner } from "./media.js";
import type { MediaPath } from "./media-path.js";
import { StallDetector, UpgradeClock, watchNetwork } from "./network.js";
import { noMedia } from "./no-media.js";
import { type Granted, LocalParticipant, RemoteParticipant } from "./participant.js";
import { LocalPublication, type LocalPublicationLink, type PublishOptions, RemotePublication, sourceOf } from "./publication.js";
import { type Publishing, publishing } from "./publishing.js";
import type { ConnectionState, Room, SendOptions } from "./room.js";
import type { Session, SessionObserver, SessionState } from "./session.js";
import type { RoomCache } from "./shared/cache.js";
import type { StateLink } from "./shared/link.js";
import { SharedState } from "./shared/state.js";
import { type SlotChange, SlotTable } from "./slots.js";
import { Speakers } from "./speakers.js";
import { type Change, maxMessages, RoomState } from "./state.js";
import type { Subscription, SubscriptionLink } from "./subscription.js";
import type { Path } from "./transport-machine.js";
import {
  type ChatMessage,
  type Code,
  type Codecs,
  type EventMessage,
  type Joined,
  type Log,
  type Scope,
  SubscriptionActive,
  type Subscription as SubscriptionState,
} from "./wire.gen.js";

/** How often is listened for who speaks. */
const listenMs = 100;
/** Pictures of a slot's old track may still be on their way through the decoder for so long. */
const drainMs = 200;
const mediaPathMs = 10_000;
/** For how long a server that answers may send nothing of what it should, on top of what makes a stall, before its path counts as blocked. */
const blockedMs = 1_400;
/** How seldom it is taken for blocked: whose only sender stops now and then, and where nothing else comes either, would restart ICE each time. */
const blockedPauseMs = 30_000;
/** How long media may not get through before that is told. */
const mediaPatienceMs = 10_000;
/** What browsers take for a user's doing something (HTML, section 6.4.1): of a mouse when it goes down, of a finger when it goes up. */
const gestures = ["pointerdown", "pointerup", "keydown"] as const;

export class Call implements SessionObserver, MediaOwner, LocalPublicationLink, SubscriptionLink {
  readonly localParticipant: LocalParticipant;
  readonly participants = new Map<string, RemoteParticipant>();
  readonly speakers: Speakers;
  readonly shared: { readonly room: SharedState; readonly server: SharedState };
  readonly #cache: Promise<RoomCache | undefined>;
  readonly #room: Room;
  readonly #session: Session;
  readonly #state = new RoomState();
  #history: ChatHistory;
  readonly #slots = new SlotTable();
  readonly #blankedAt = new Map<string, number>(); // by mid
  readonly #publishing = new Map<LocalPublication, Publishing>();
  readonly #seen = new WeakSet<Subscription>(); // had a track
  readonly #intervals: ReturnType<typeof setInterval>[] = [];
  readonly #ending = new AbortController();
  readonly #stalls = new StallDetector();
  readonly #upgrades = new UpgradeClock();
  #blockedAt = -blockedPauseMs;
  readonly #blocked = new BlockedElements(() => emit(this.#room, "playbackallowed", {}));
  readonly #media: Media;
  #joined: Joined;
  #path: Path = "new";
  #connectionState: ConnectionState = "connecting";
  #wasConnected = false;
  #mediaPath: MediaPath | undefined;
  #noMediaTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(room: Room, session: Session, joined: Joined, cache: Promise<RoomCache | undefined>) {
    this.#room = room;
    this.#session = session;
    this.#history = this.#newHistory();
    this.#joined = joined;
    const self = (joined.room.participants ?? []).find((p) => p.identity === joined.identity);
    this.localParticipant = new LocalParticipant(
      self ?? { identity: joined.identity, joinedAt: new Date().toISOString() },
      joined,
    );
    this.speakers = new Speakers(room, () => [this.localParticipant, ...this.participants.values()]);
    const link = stateLink(session, joined.identity);
    const shared = (scope: Scope): SharedState => new SharedState(link, scope, cache.then((c) => c?.of(scope)));
    this.shared = { room: shared("room"), server: shared("server") };
    this.#cache = cache;
    this.#media = new Media(this);
    for (const change of this.#state.replace(joined.room)) this.#apply(change);
    this.#media.start();
    this.#watch();
    this.#watchMedia();
  }

  get connectionState(): ConnectionState {
    return this.#connectionState;
  }

  get messages(): readonly ChatMessage[] {
    return this.#state.messages;
  }

  get hasOlderMessages(): boolean {
    return this.#state.isCut && !this.#history.isOver && this.messages.length < maxMessages;
  }

  async olderMessages(): Promise<boolean> {
    const history = this.#history;
    const older = await history.older((m) => this.#state.knows(m));
    if (history === this.#history) this.#state.addOlder(older.filter((m) => !this.#state.knows(m))); // else they are not those before what is known
    return this.hasOlderMessages;
  }

  readLog(after: number, limit: number | undefined): Promise<Log> {
    return this.#session.request("log-read", { after, ...(limit !== undefined && { limit }) });
  }

  #newHistory(): ChatHistory {
    return new ChatHistory((body) => this.#session.request("log-read", body));
  }

  get mediaPath(): MediaPath | undefined {
    return this.#mediaPath;
  }

  get peerConnection(): RTCPeerConnection {
    return this.#media.peerConnection;
  }

  async publish(track: MediaStreamTrack, options: PublishOptions, stream?: MediaStream): Promise<LocalPublication> {
    const known = [...this.#publishing.keys(), ...this.localParticipant.publications.values()].find((p) => p.track === track);
    if (known) return this.#publishing.get(known)?.promise ?? known;
    const source = options.source ?? sourceOf(track, stream);
    const publication = new LocalPublication(this.localParticipant, track, { ...options, name: options.name ?? "", source }, this);
    if (this.#session.state.at === "ended") throw this.#session.state.error;
    if (track.kind === "video" && track.contentHint === "" && source === "screen") track.contentHint = "detail";
    const confirmation = publishing(false);
    this.#publishing.set(publication, confirmation);
    this.#media.publish(publication);
    void this.#blocked.tryAgain(); // a page that captures may play
    this.#unpublishAtEnd(publication, track);
    return confirmation.promise;
  }

  async unpublish(publication: LocalPublication): Promise<void> {
    await this.#publishing.get(publication)?.promise.catch(() => undefined);
    const { id } = publication;
    await this.#media.unpublish(publication);
    if (!this.localParticipant.mutablePublications.delete(id)) return;
    publication.ended();
    emit(this.#room, "trackunpublished", { participant: this.localParticipant, publication });
    await this.#session.request("unpublish", { publication: id });
  }

  async send(data: Payload, { to = "", reliable = true }: SendOptions): Promise<void> {
    this.#need("publishData");
    const message = encode(data, to);
    if (this.#session.state.at === "ended") throw this.#session.state.error;
    await this.#media.send(message, reliable);
  }

  async sendMessage(text: string, to: string | undefined): Promise<void> {
    await this.#session.request("chat", { text, ...(to !== undefined && { to }) });
  }

  async kick(identity: string, reason: string | undefined): Promise<void> {
    this.#need("admin");
    await this.#session.request("kick", { identity, ...(reason !== undefined && { reason }) });
  }

  async update(change: { readonly name?: string; readonly metadata?: string }): Promise<void> {
    await this.#session.request("update", { ...change });
  }

  async play(): Promise<void> {
    await Promise.all(this.#subscriptions().map((s) => s.play()));
    await this.#blocked.tryAgain();
  }

  leave(): void {
    this.#session.leave();
  }

  // What the session tells.

  event(message: EventMessage): void {
    for (const change of this.#state.apply(message)) this.#apply(change);
    for (const state of Object.values(this.shared)) state.received(message);
    switch (message.type) {
      case "slot": {
        const change = this.#slots.apply(message.body);
        if (change) this.#fill(change);
        return;
      }
      case "subscription":
        return this.#subscriptionIs(message.body);
      case "grow-slots":
        return this.#media.growSlots(message.body);
      case "encodings":
        return this.#media.wanted(message.body);
      case "transport":
        return this.#media.serverSays(message.body.state);
      case "grants-changed":
        return this.#granted(message.body);
      case "draining":
        emit(this.#room, "draining", { seconds: message.body.seconds });
        return;
      case "resync":
        this.#granted(message.body);
        for (const change of this.#slots.replace(message.body.slots ?? [])) this.#fill(change);
        for (const s of message.body.subscriptions ?? []) this.#subscriptionIs(s);
        for (const e of message.body.encodings ?? []) this.#media.wanted(e);
        return;
      default:
        return; // part of the room's state
    }
  }

  /** The participant has joined anew: nothing of the old session is left on the server. */
  rejoined(joined: Joined): void {
    this.#joined = joined;
    const isChanged = this.localParticipant.granted(joined);
    this.#blankAll();
    for (const s of this.#subscriptions()) s.become("pending");
    const own = [...this.localParticipant.publications.values()];
    this.localParticipant.mutablePublications.clear();
    for (const publication of own) {
      publication.named("");
      this.#publishing.set(publication, publishing(true));
    }
    for (const publication of [...this.#publishing.keys()]) if (!this.localParticipant.mayPublish(publication.source)) this.#giveUp(publication);
    for (const change of this.#state.replace(joined.room)) this.#apply(change);
    for (const s of this.#subscriptions()) s.useAnew();
    for (const s of Object.values(this.shared)) s.restore();
    this.#media.replace({ session: true });
    if (isChanged) emit(this.#room, "grantschanged", { grants: joined.grants });
  }

  stateChanged(state: SessionState): void {
    for (const s of Object.values(this.shared)) s.sessionIs(state);
    if (state.at === "ended") this.#over(state.error);
    else this.#settleState(state.at === "resuming" ? state.reason : undefined);
  }

  // What media tell and ask.

  get configuration(): RTCConfiguration {
    return { iceServers: this.#joined.iceServers ?? [] };
  }

  get codecs(): Codecs {
    return this.#state.codecs;
  }

  offer(...[body]: Parameters<MediaOwner["offer"]>): ReturnType<MediaOwner["offer"]> {
    return this.#session.request("offer", body);
  }

  connectionReplaced(): void {
    this.#blankAll();
  }

  named(publication: LocalPublication, id: string): void {
    const publications = this.localParticipant.mutablePublications;
    if (publication.id === id) return;
    publications.delete(publication.id);
    publication.named(id);
    publications.set(id, publication);
  }

  published(): void {
    void this.#blocked.tryAgain(); // what was refused while the capture began
    for (const [publication, { resolve, again }] of this.#publishing) {
      if (publication.id === "") continue;
      this.#publishing.delete(publication);
      resolve(publication);
      if (!again) emit(this.#room, "trackpublished", { participant: this.localParticipant, publication });
    }
  }

  notPublished(publication: LocalPublication, error: ParleyError): void {
    const confirmation = this.#publishing.get(publication);
    this.#publishing.delete(publication);
    publication.ended();
    confirmation?.reject(error);
    if (confirmation?.again) emit(this.#room, "trackunpublished", { participant: this.localParticipant, publication });
  }

  received({ identity, payload }: DataMessage, reliable: boolean): void {
    emit(this.#room, "data", { from: identity, participant: this.participants.get(identity), data: payload, reliable });
  }

  pathChanged(path: Path, reason: ParleyError | undefined): void {
    this.#path = path;
    this.#settleState(reason);
    void this.#findMediaPath();
  }

  peerConnectionChanged(): void {
    this.#path = "new";
    emit(this.#room, "peerconnection", { peerConnection: this.peerConnection });
    this.#settleState();
  }

  // What publications and subscriptions ask.

  async mute(publication: LocalPublication, muted: boolean): Promise<void> {
    await this.#publishing.get(publication)?.promise;
    await this.#session.request("mute", { publication: publication.id, muted });
    this.#muted(publication, muted);
  }

  async replaceTrack(publication: LocalPublication, track: MediaStreamTrack): Promise<void> {
    await this.#media.replaceTrack(publication, track);
    this.#unpublishAtEnd(publication, track);
  }

  async stats(publication: LocalPublication): Promise<RTCStatsReport> {
    const sender = this.#media.sender(publication);
    if (!sender) throw new NotFoundError("not-found", "The track is not published.");
    return sender.getStats();
  }

  async want(publication: string, wanted: boolean): Promise<void> {
    this.#need("subscribe");
    await this.#session.request("subscribe", { publications: [publication], subscribed: wanted });
  }

  async use(publication: string, change: Parameters<SubscriptionLink["use"]>[1]): Promise<void> {
    await this.#session.request("subscribe", { publications: [publication], subscribed: true, ...change });
  }

  playbackBlocked(subscription: Subscription, element: HTMLMediaElement): void {
    this.#blocked.add(element);
    emit(this.#room, "playbackblocked", { subscription });
  }

  changed(subscription: Subscription, what: "track" | "status"): void {
    if (what === "status") {
      if (subscription.status !== "ended") emit(this.#room, "subscriptionstatus", { subscription });
      else if (this.#seen.has(subscription)) emit(this.#room, "trackended", { subscription });
      return;
    }
    if (subscription.mediaStreamTrack && !this.#seen.has(subscription)) {
      this.#seen.add(subscription);
      emit(this.#room, "track", { subscription });
      return;
    }
    emit(this.#room, "trackreplaced", { subscription });
  }

  // The rest is the room's own.

  /** A track that ends by itself (the browser's own "stop sharing", a camera pulled out) is withdrawn. */
  #unpublishAtEnd(publication: LocalPublication, track: MediaStreamTrack): void {
    const { signal } = this.#ending;
    track.addEventListener(
      "ended",
      () => {
        if (publication.track === track) void this.unpublish(publication).catch(() => undefined);
      },
      { once: true, signal },
    );
  }

  #need(grant: Grant): void {
    if (!this.localParticipant.grants[grant]) throw forbidden(grant);
  }

  #apply(change: Change): void {
    switch (change.is) {
      case "participant-joined":
        if (change.participant.identity !== this.localParticipant.identity) this.#participantJoined(change.participant);
        return;
      case "participant-left":
        return this.#participantLeft(change.identity, change.reason);
      case "participant-updated":
        return this.#participantUpdated(change.identity, change.name, change.metadata);
      case "published":
        return this.#trackPublished(change.identity, change.publication);
      case "republished":
        return this.#trackRepublished(change.identity, change.before, change.publication);
      case "unpublished":
        return this.#trackUnpublished(change.identity, change.publication);
      case "muted":
        return this.#trackMuted(change.identity, change.publication, change.muted);
      case "gap":
        this.#history = this.#newHistory();
        return;
      case "message":
        emit(this.#room, "message", { message: change.message });
        return;
      case "codecs":
        return this.#media.codecsChanged();
      case "speakers":
        this.speakers.told(change.speakers);
    }
  }

  /** The participant may do something else: what it may not publish any more the server has withdrawn. */
  #granted(granted: Granted): void {
    const isChanged = this.localParticipant.granted(granted);
    for (const publication of this.localParticipant.publications.values()) {
      if (!this.localParticipant.mayPublish(publication.source)) void this.unpublish(publication).catch(() => undefined);
    }
    if (isChanged) emit(this.#room, "grantschanged", { grants: granted.grants });
  }

  /** It may not be published any more, and the server does not know it: an offer that has it would be refused with all others. */
  #giveUp(publication: LocalPublication): void {
    void this.#media.unpublish(publication);
    this.notPublished(publication, forbiddenSource(publication.source));
  }

  #participantJoined(facts: ConstructorParameters<typeof RemoteParticipant>[0]): void {
    const participant = new RemoteParticipant(facts);
    this.participants.set(participant.identity, participant);
    emit(this.#room, "participantjoined", { participant });
  }

  #participantLeft(identity: string, reason: Code): void {
    const participant = this.participants.get(identity);
    if (!participant) return;
    this.participants.delete(identity);
    emit(this.#room, "participantleft", { participant, reason });
    this.speakers.settle();
  }

  #participantUpdated(identity: string, name: string, metadata: string): void {
    const participant = identity === this.localParticipant.identity ? this.localParticipant : this.participants.get(identity);
    participant?.learn(name, metadata);
    if (participant) emit(this.#room, "participantupdated", { participant });
  }

  #trackPublished(identity: string, facts: ConstructorParameters<typeof RemotePublication>[1]): void {
    const participant = this.participants.get(identity);
    if (!participant) return; // one's own are known from the answer
    const publication = new RemotePublication(participant, facts, this);
    participant.mutablePublications.set(publication.id, publication);
    emit(this.#room, "trackpublished", { participant, publication });
    this.#fillNow(publication.subscription);
  }

  #trackRepublished(identity: string, before: string, facts: ConstructorParameters<typeof RemotePublication>[1]): void {
    const publications = this.participants.get(identity)?.mutablePublications;
    const publication = publications?.get(before);
    if (!publications || !publication) return this.#trackPublished(identity, facts);
    const mutedBefore = publication.muted;
    publications.delete(before);
    publication.learn({ ...facts, muted: facts.muted ?? false });
    publications.set(facts.id, publication);
    publication.subscription.useAnew();
    const { participant, muted } = publication;
    if (muted !== mutedBefore) emit(this.#room, "mutechanged", { participant, publication, muted });
    this.#fillNow(publication.subscription);
  }

  #trackUnpublished(identity: string, id: string): void {
    if (identity === this.localParticipant.identity) {
      const own = this.localParticipant.publications.get(id);
      if (own && !this.#media.isOffering) void this.unpublish(own).catch(() => undefined);
      return;
    }
    const participant = this.participants.get(identity);
    const publication = participant?.publications.get(id);
    if (!participant || !publication) return;
    participant.mutablePublications.delete(id);
    publication.subscription.end();
    emit(this.#room, "trackunpublished", { participant, publication });
  }

  #trackMuted(identity: string, id: string, muted: boolean): void {
    const own = identity === this.localParticipant.identity ? this.localParticipant.publications.get(id) : undefined;
    if (own) return this.#muted(own, muted);
    const participant = this.participants.get(identity);
    const publication = participant?.publications.get(id);
    if (!participant || !publication) return;
    publication.learn({ muted });
    emit(this.#room, "mutechanged", { participant, publication, muted });
  }

  #muted(publication: LocalPublication, muted: boolean): void {
    if (publication.muted === muted) return;
    publication.nowMuted(muted);
    emit(this.#room, "mutechanged", { participant: this.localParticipant, publication, muted });
  }

  #subscriptions(): Subscription[] {
    return [...this.participants.values()].flatMap((p) => [...p.publications.values()].map((q) => q.subscription));
  }

  #subscription(publication: string): Subscription | undefined {
    for (const participant of this.participants.values()) {
      const found = participant.publications.get(publication);
      if (found) return found.subscription;
    }
    return undefined;
  }

  #subscriptionIs({ publication, status, reason }: SubscriptionState): void {
    const subscription = this.#subscription(publication);
    switch (status) {
      case "paused":
      case "pending":
        return subscription?.become(status, reason);
      case "active":
      case "off":
      case "unsupported-codec":
        subscription?.become(status);
    }
  }

  /** A slot changes: first its old track is blanked, then the server may send the new one, then that is shown. */
  #fill({ mid, generation, before, after }: SlotChange): void {
    if (before !== undefined && before !== after) {
      this.#subscription(before)?.receive(undefined);
      this.#blankedAt.set(mid, performance.now());
    }
    if (after === undefined) return;
    const drained = (this.#blankedAt.get(mid) ?? -drainMs) + drainMs - performance.now();
    const ready = this.#session.request("slot-ready", { mid, generation }).catch(() => undefined);
    void Promise.all([ready, pause(drained)]).then(() => {
      const subscription = this.#subscription(after);
      if (subscription && this.#slots.isCurrent(mid, generation)) subscription.receive(this.#media.receiver(mid));
    });
  }

  /** The slot event came before the publication was known. */
  #fillNow(subscription: Subscription): void {
    const holder = this.#slots.holder(subscription.publication.id);
    if (holder && !subscription.mediaStreamTrack) subscription.receive(this.#media.receiver(holder.mid));
  }

  #blankAll(): void {
    this.#slots.clear();
    this.#blankedAt.clear();
    for (const s of this.#subscriptions()) s.receive(undefined);
  }

  #settleState(reason?: ParleyError): void {
    this.#watchMedia();
    const healthy = this.#session.state.at === "open" && this.#path === "connected";
    this.#wasConnected ||= healthy;
    let state: ConnectionState = this.#wasConnected ? "reconnecting" : "connecting";
    if (this.#session.state.at === "ended") state = "disconnected";
    else if (healthy) state = "connected";
    if (state === this.#connectionState && reason === undefined) return;
    this.#connectionState = state;
    emit(this.#room, "connectionstate", { state, reason });
  }

  /** Tells when the server talks and media have not come for a while. The transport goes on trying. */
  #watchMedia(): void {
    if (this.#session.state.at === "open" && this.#path !== "connected") {
      this.#noMediaTimer ??= setTimeout(() => {
        this.#settleState(noMedia(this.peerConnection.remoteDescription?.sdp ?? ""));
      }, mediaPatienceMs);
      return;
    }
    clearTimeout(this.#noMediaTimer);
    this.#noMediaTimer = undefined;
  }

  #watch(): void {
    const { signal } = this.#ending;
    const wake = (): void => this.#session.wake();
    globalThis.addEventListener?.("visibilitychange", wake, { signal });
    const gesture = (): void => void this.#blocked.tryAgain();
    for (const type of gestures) globalThis.addEventListener?.(type, gesture, { signal, capture: true });
    watchNetwork(() => {
      void this.#session.check();
      this.#media.networkChanged();
    }, signal);
    // Also where the browser keeps the page for "back": nobody is there, and its sockets are closed.
    globalThis.addEventListener?.("pagehide", () => this.leave(), { signal });
    this.#intervals.push(
      setInterval(() => {
        this.speakers.listen(performance.now());
        if (this.#stalls.update(this.#media.newestPacket(), performance.now())) void this.#stalled();
      }, listenMs),
    );
    this.#intervals.push(setInterval(() => void this.#findMediaPath(), mediaPathMs));
  }

  /**
   * Media come no more. If the server does not answer either, this is no longer the network that it was. If it does answer, and nothing
   * comes of what should, then their path is blocked: ICE finds another one, and sooner than a browser would give up the old one.
   */
  async #stalled(): Promise<void> {
    const [newest, before] = [this.#media.newestPacket(), await this.#media.received()];
    if (await this.#session.check()) {
      await pause(blockedMs * (1 + Math.random() / 2)); // or everybody who watches one that falls silent would ask at once
      if (this.#ending.signal.aborted || this.#media.newestPacket() !== newest || !this.#expectsMedia()) return;
      if ((await this.#media.received()) !== before || performance.now() - this.#blockedAt < blockedPauseMs) return;
      this.#blockedAt = performance.now();
    }
    this.#media.networkChanged();
  }

  /** Whether somebody sends what is wanted here. */
  #expectsMedia(): boolean {
    return [...this.participants.values()].some((p) =>
      [...p.publications.values()].some((q) => !q.muted && q.subscription.status === SubscriptionActive),
    );
  }

  async #findMediaPath(): Promise<void> {
    const path = this.#path === "connected" ? await this.#media.path() : undefined;
    if (this.#ending.signal.aborted) return;
    if (this.#connectionState === "connected" && this.#upgrades.isDue(path, performance.now())) this.#media.networkChanged();
    if (path === this.#mediaPath) return;
    this.#mediaPath = path;
    emit(this.#room, "mediapath", { path });
  }

  #over(error: ParleyError): void {
    this.#ending.abort();
    void this.#cache.then((c) => c?.close());
    for (const interval of this.#intervals) clearInterval(interval);
    this.#media.close();
    for (const s of this.#subscriptions()) s.end();
    for (const [publication, { reject }] of this.#publishing) {
      publication.ended();
      reject(error);
    }
    this.#publishing.clear();
    for (const publication of this.localParticipant.publications.values()) publication.ended();
    this.#path = "broken";
    this.#settleState(error);
  }
}

function stateLink(session: Session, identity: string): StateLink {
  let calls = 0;
  return {
    identity,
    get isOpen() {
      return session.state.at === "open";
    },
    get isEnded() {
      return session.state.at === "ended";
    },
    nextCall: () => ++calls,
    request: (type, body) => session.request(type, body),
  };
}

function pause(ms: number): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}
