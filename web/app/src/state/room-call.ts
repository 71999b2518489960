// A call through the SDK's Room.

import { type ChatMessage, type Code, type ConnectionState, type LocalParticipant, ParleyError, type Participant, type RemoteParticipant, type RemotePublication, type Room, type SharedList, type Subscription } from "@parley-rtc/sdk";
import { effect, signal } from "@preact/signals";
import { type Advice, deviceAdvice, troubleAdvice } from "../pure/advice.js";
import { shareKey } from "../pure/arrange.js";
import { madeOnce } from "../pure/chat.js";
import { handsLeft, placeOf, raisedHands } from "../pure/hands.js";
import type { Loss } from "../pure/loss.js";
import { featuredOf } from "../pure/many.js";
import { type May, rulings, type Use } from "../pure/may.js";
import type { Step } from "../pure/toasts.js";
import type { Board, Call, ChatLine, Connection, Notes, Person, Picture, Playable, Sharing } from "./call.js";
import { type Capture, captureScreen, canShareScreen } from "./capture.js";
import { trackPlayable } from "./playable.js";
import { Publisher } from "./publisher.js";
import { Sampler, type Statistics } from "./statistics.js";
import { sayRefusal, toggleInCall } from "./switches.js";
import { say } from "./toasts.js";
import { recordNames, SharedBoard, SharedNotes, united } from "./together.js";
import { pinned } from "./view.js";

/** Of subscriptions: what is pinned comes before all else, see the protocol. */
const [usualPriority, pinnedPriority] = [100, 255];

/** Within this, the hand of somebody who has left is removed. */
const putAwayMs = 2_000;

/** Whoever hears that the call is over. */
export type Ended = (reason: ParleyError | undefined, areOthersThere: boolean) => void;

export class RoomCall implements Call {
  readonly room: string;
  readonly people = signal<readonly Person[]>([]);
  readonly featured = signal("");
  readonly chat = signal<readonly ChatLine[]>([]);
  readonly hasOlderChat = signal(false);
  readonly connection = signal<Connection>("connecting");
  readonly trouble = signal<Advice | undefined>(undefined);
  readonly loss = signal<Loss | undefined>(undefined);
  readonly restart = signal<number | undefined>(undefined);
  readonly sharing = signal<Sharing>({ is: "idle" });
  readonly soundBlocked = signal(false);
  readonly hasHands = signal(false);
  readonly board = signal<Board | undefined>(undefined);
  readonly notes = signal<Notes | undefined>(undefined);
  readonly may;
  readonly microphone: Capture;
  readonly camera: Capture;
  readonly byInvitation: boolean;
  readonly #room: Room;
  readonly #ended: Ended;
  readonly #lineOf = madeOnce((message: ChatMessage) => lineOf(message, this.#room.localParticipant.identity));
  readonly #sampler = new Sampler();
  readonly #publishers: readonly Publisher[];
  readonly #dispose: () => void;
  #refreshing = false;
  #preferred: Subscription | undefined;
  #hands: SharedList | undefined;

  constructor(room: Room, microphone: Capture, camera: Capture, byInvitation: boolean, ended: Ended) {
    this.#room = room;
    this.room = room.name;
    this.microphone = microphone;
    this.camera = camera;
    this.byInvitation = byInvitation;
    this.#ended = ended;
    this.may = signal(mayOf(room.localParticipant));
    this.#listen();
    this.#endForbidden();
    this.#publishers = [microphone, camera].map((capture) => new Publisher(room, capture, () => this.may.value[capture.device]));
    this.#dispose = effect(() => {
      for (const capture of [microphone, camera]) void [capture.on.value, capture.state.value];
      void pinned.value;
      this.#refreshSoon();
    });
    this.#refresh();
    this.#refreshChat();
    this.#connectionIs(room.connectionState, undefined);
    void this.#openHands();
    void this.#openTogether();
  }

  get mayKick(): boolean {
    return this.#room.localParticipant.grants.admin;
  }

  level(identity: string): number {
    const self = this.#room.localParticipant;
    return (identity === self.identity ? self : this.#room.participants.get(identity))?.audioLevel ?? 0;
  }

  async toggleSharing(): Promise<void> {
    const sharing = this.sharing.value;
    if (sharing.is === "live") return this.#stopSharing(sharing.stream);
    if (sharing.is === "starting") return;
    if (!this.may.value.screen) return sayRefusal("screen");
    this.sharing.value = { is: "starting" };
    const captured = await captureScreen(this.may.value.sound);
    if (!(captured instanceof MediaStream)) {
      this.sharing.value = { is: "idle" };
      const advice = deviceAdvice(captured);
      say(advice.title, advice.next);
      return;
    }
    this.sharing.value = { is: "live", stream: captured };
    this.#endForbidden(); // one may have been ruled out while one chose
    if (this.#shared() !== captured) return;
    captured.getVideoTracks()[0]?.addEventListener("ended", () => void this.#stopSharing(captured));
    try {
      await this.#room.publish(captured);
    } catch {
      if (this.#shared() !== captured) return; // it ended meanwhile, for a reason that was told
      await this.#stopSharing(captured);
      say("The screen could not be shared.", "Share again.");
    }
  }

  async sendChat(text: string): Promise<void> {
    await this.#room.sendMessage(text);
  }

  async readOlderChat(): Promise<void> {
    try {
      await this.#room.olderMessages();
    } catch (reason) {
      if (!(reason instanceof ParleyError && reason.code === "unsupported")) say("Earlier messages could not be read.", "Try again.");
    }
    this.#refreshChat();
  }

  async kick(identity: string): Promise<void> {
    await this.#room.kick(identity);
  }

  async raiseHand(identity: string, raised: boolean): Promise<void> {
    if (raised === (this.#hands?.entries.includes(identity) ?? false)) return;
    await (raised ? this.#hands?.add(identity) : this.#hands?.remove(identity));
  }

  async playSound(): Promise<void> {
    await this.#room.play();
    this.soundBlocked.value = false;
  }

  async statistics(): Promise<Statistics> {
    return this.#sampler.sample(await this.#room.peerConnection.getStats(), performance.now());
  }

  leave(): void {
    this.#room.leave();
  }

  async #stopSharing(stream: MediaStream): Promise<void> {
    if (this.#shared() === stream) this.sharing.value = { is: "idle" };
    const tracks = stream.getTracks();
    for (const track of tracks) track.stop();
    const shared = [...this.#room.localParticipant.publications.values()].filter((p) => tracks.includes(p.track));
    await Promise.all(shared.map((p) => this.#room.unpublish(p).catch(() => undefined)));
  }

  /** The screen that is shared. */
  #shared(): MediaStream | undefined {
    const sharing = this.sharing.value;
    return sharing.is === "live" ? sharing.stream : undefined;
  }

  /** Whoever runs the meeting has ruled what one may do from now on. */
  #ruled(): void {
    const [before, now] = [this.may.value, mayOf(this.#room.localParticipant)];
    const told = rulings(before, now, this.#going());
    this.may.value = now;
    this.#endForbidden();
    for (const { text, next, offers } of told) say(text, next, offers && this.#stepTo(offers));
  }

  #going(): ReadonlySet<Use> {
    const going = new Set<Use>();
    for (const capture of [this.microphone, this.camera]) if (capture.on.value && capture.track) going.add(capture.device);
    const shared = this.#shared();
    if (shared) going.add("screen");
    if (shared?.getAudioTracks().some(isLive)) going.add("sound");
    return going;
  }

  /** Of what one may not publish nothing is captured. It does not begin again by itself. */
  #endForbidden(): void {
    const may = this.may.value;
    for (const capture of [this.microphone, this.camera]) {
      if (may[capture.device]) continue;
      capture.on.value = false;
      capture.close();
    }
    const shared = this.#shared();
    if (shared && !may.screen) void this.#stopSharing(shared);
    else if (!may.sound) for (const track of shared?.getAudioTracks() ?? []) track.stop();
  }

  #stepTo(what: "microphone" | "camera" | "screen"): Step | undefined {
    switch (what) {
      case "microphone":
        return { label: "Unmute", does: () => void toggleInCall(this, this.microphone) };
      case "camera":
        return { label: "Start camera", does: () => void toggleInCall(this, this.camera) };
      case "screen":
        return canShareScreen() ? { label: "Share screen", does: () => void this.toggleSharing() } : undefined;
    }
  }

  #listen(): void {
    const room = this.#room;
    const changed = (): void => this.#refreshSoon();
    const changes = ["participantupdated", "trackpublished", "trackunpublished", "mutechanged", "track", "trackended", "trackreplaced", "subscriptionstatus", "speaking", "speakerschanged"] as const;
    for (const type of changes) room.addEventListener(type, changed);
    room.addEventListener("participantjoined", ({ participant }) => {
      say(`${participant.name} joined`);
      changed();
    });
    room.addEventListener("participantleft", ({ participant, reason }) => {
      const farewell = farewellOf(participant.name, reason);
      if (farewell) say(farewell);
      if (reason !== "replaced") this.#putAwayHands();
      changed();
    });
    room.addEventListener("grantschanged", () => this.#ruled());
    room.addEventListener("message", () => this.#refreshChat());
    room.addEventListener("playbackblocked", () => (this.soundBlocked.value = true));
    room.addEventListener("playbackallowed", () => (this.soundBlocked.value = false));
    room.addEventListener("draining", ({ seconds }) => (this.restart.value = seconds));
    room.addEventListener("connectionstate", ({ state, reason }) => this.#connectionIs(state, reason));
  }

  /** Where the server keeps no state, or lets nobody read it here, there are none. */
  async #openHands(): Promise<void> {
    const hands = await this.#room.state.list(recordNames.hands).catch(() => undefined);
    if (!hands) return;
    this.#hands = hands;
    hands.addEventListener("entryadded", ({ entry }) => {
      const participant = this.#room.participants.get(entry);
      if (participant) say(`${participant.name} raised a hand`);
    });
    hands.addEventListener("change", () => this.#refreshSoon());
    hands.addEventListener("ended", () => (this.hasHands.value = false));
    this.hasHands.value = true;
    await this.raiseHand(this.#room.localParticipant.identity, false).catch(() => undefined); // it is one of an earlier visit
    this.#putAwayHands();
    this.#refreshSoon();
  }

  async #openTogether(): Promise<void> {
    const { state, localParticipant } = this.#room;
    const open = (name: string) => state.record(name, { merge: united }).catch(() => undefined);
    const [board, notes] = await Promise.all([open(recordNames.board), open(recordNames.notes)]);
    if (board) this.board.value = new SharedBoard(board, localParticipant.identity);
    if (notes) this.notes.value = new SharedNotes(notes);
    board?.addEventListener("ended", () => (this.board.value = undefined));
    notes?.addEventListener("ended", () => (this.notes.value = undefined));
  }

  /** Who leaves takes the hand along: after a while, of a length that is chance, whoever comes first removes it. Until then it is hidden. */
  #putAwayHands(): void {
    if (!this.#hands || !this.may.value.write) return;
    setTimeout(() => {
      const { localParticipant, participants } = this.#room;
      const present = new Set([localParticipant.identity, ...participants.keys()]);
      for (const identity of handsLeft(this.#hands?.entries ?? [], present)) this.#hands?.remove(identity).catch(() => undefined); // it stays hidden
    }, Math.random() * putAwayMs);
  }

  #connectionIs(state: ConnectionState, reason: ParleyError | undefined): void {
    if (state !== "disconnected") {
      if (state === "reconnecting") this.#lost(reason?.code === "draining");
      else this.loss.value = undefined;
      this.connection.value = state;
      if (state === "connected") this.trouble.value = undefined;
      else if (reason) this.trouble.value = troubleAdvice(reason.code, reason.next);
      return;
    }
    this.#dispose();
    for (const publisher of this.#publishers) publisher.close();
    for (const track of this.#shared()?.getTracks() ?? []) track.stop();
    this.#ended(reason, this.people.value.length > 1);
  }

  /** The connection is lost, or its loss has a reason. */
  #lost(wasSaid: boolean): void {
    const before = this.loss.value;
    this.loss.value = { since: before?.since ?? Date.now(), wasSaid: wasSaid || this.restart.value !== undefined || before?.wasSaid === true };
    this.restart.value = undefined;
  }

  /** Several events of one moment make one refresh. */
  #refreshSoon(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    queueMicrotask(() => {
      this.#refreshing = false;
      this.#refresh();
    });
  }

  #refresh(): void {
    const others = [...this.#room.participants.values()].sort((a, b) => a.joinedAt.getTime() - b.joinedAt.getTime());
    const leader = others.length > 1 ? this.#room.dominantSpeaker : undefined;
    const present = new Set([this.#room.localParticipant, ...others].map((p) => p.identity));
    const hands = raisedHands(this.#hands?.entries ?? [], present);
    this.people.value = [this.#self(leader, hands), ...others.map((p) => personOf(p, leader, hands))];
    this.featured.value = featuredOf(this.people.value, this.featured.value);
    this.#prefer(others.flatMap((p) => [...p.publications.values()]).find(isPinned)?.subscription);
  }

  /** Lets a picture come first, instead of the one before. */
  #prefer(subscription: Subscription | undefined): void {
    if (subscription === this.#preferred) return;
    this.#preferred?.prefer({ priority: usualPriority });
    subscription?.prefer({ priority: pinnedPriority });
    this.#preferred = subscription;
  }

  #self(leader: Participant | undefined, hands: readonly string[]): Person {
    const self = this.#room.localParticipant;
    const [mic, camera] = [this.microphone, this.camera];
    const isHeard = mic.on.peek() && mic.track !== undefined;
    const track = camera.on.peek() ? camera.track : undefined;
    return {
      identity: self.identity,
      name: self.name,
      isLocal: true,
      microphone: isHeard ? "on" : "muted",
      speaking: isHeard && self.speaking,
      leads: self === leader,
      hand: placeOf(hands, self.identity),
      camera: track ? { is: "shown", media: trackPlayable(track) } : { is: "none" },
      shares: [],
      sounds: [],
    };
  }

  #refreshChat(): void {
    this.chat.value = this.#room.messages.map(this.#lineOf);
    this.hasOlderChat.value = this.#room.hasOlderMessages;
  }
}

function mayOf(self: LocalParticipant): May {
  const { publishData, subscribe } = self.grants;
  return {
    microphone: self.mayPublish("microphone"),
    camera: self.mayPublish("camera"),
    screen: self.mayPublish("screen"),
    sound: self.mayPublish("screen-audio"),
    write: publishData,
    watch: subscribe,
  };
}

const isLive = (track: MediaStreamTrack): boolean => track.readyState === "live";

function farewellOf(name: string, reason: Code): string | undefined {
  switch (reason) {
    case "replaced":
      return undefined; // the same person comes in again at once
    case "kicked":
      return `${name} was removed`;
    case "timeout":
    case "session-expired":
      return `${name} lost the connection`;
    default:
      return `${name} left`;
  }
}

function personOf(participant: RemoteParticipant, leader: Participant | undefined, hands: readonly string[]): Person {
  const publications = [...participant.publications.values()];
  const microphone = publications.find((p) => p.source === "microphone");
  const camera = publications.find(isCamera);
  return {
    identity: participant.identity,
    name: participant.name,
    isLocal: false,
    microphone: microphone ? (microphone.muted ? "muted" : "on") : "none",
    speaking: participant.speaking,
    leads: participant === leader,
    hand: placeOf(hands, participant.identity),
    camera: camera ? pictureOf(camera) : { is: "none" },
    shares: publications.filter((p) => p.source === "screen" && !p.muted).map((p) => ({ id: p.id, picture: pictureOf(p) })),
    sounds: publications.filter((p) => p.kind === "audio").map((p) => ({ id: p.id, media: p.subscription })),
  };
}

const isCamera = ({ source, kind }: RemotePublication): boolean => source === "camera" || (kind === "video" && source === "other");

function isPinned(publication: RemotePublication): boolean {
  const { identity } = publication.participant;
  return pinned.peek() === (isCamera(publication) ? identity : shareKey(identity, publication.id));
}

function pictureOf(publication: RemotePublication): Picture {
  const { subscription } = publication;
  if (publication.muted || subscription.status === "off" || subscription.status === "ended") return { is: "none" };
  if (subscription.status === "unsupported-codec") return { is: "undecodable", codec: publication.codec };
  if (subscription.isLeftOut) return { is: "shown", media: subscription, leftOut: true };
  if (!subscription.mediaStreamTrack) return { is: "waiting" };
  return { is: "shown", media: subscription satisfies Playable, held: subscription.pausedReason === "bandwidth" };
}

function lineOf({ id, from, name, text, at, to }: ChatMessage, own: string): ChatLine {
  return { id: `${id} ${at}`, from, name: name || from, isOwn: from === own, text, at: new Date(at), isPrivate: to !== undefined };
}

