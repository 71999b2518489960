// Participants: identities in the room.

import { SpeakingDetector } from "./level.js";
import type { LocalPublication, RemotePublication } from "./publication.js";
import { grantNames } from "./errors.js";
import type { Grants, GrantsChanged, Participant as WireParticipant, Source } from "./wire.gen.js";

abstract class Member {
  readonly identity: string;
  readonly joinedAt: Date;
  readonly #detector = new SpeakingDetector();
  #isTold = false;
  #speaking = false;
  #name: string;
  #metadata: string;

  protected constructor(facts: Pick<WireParticipant, "identity" | "name" | "metadata" | "joinedAt">) {
    this.identity = facts.identity;
    this.joinedAt = new Date(facts.joinedAt);
    this.#name = facts.name ?? "";
    this.#metadata = facts.metadata ?? "";
  }

  /** For display; the identity where there is none. */
  get name(): string {
    return this.#name || this.identity;
  }

  get metadata(): string {
    return this.#metadata;
  }

  /** Whether the participant speaks now: the server says so, also of those who are not among the loudest; or it is heard here. */
  get speaking(): boolean {
    return this.#speaking;
  }

  /** The loudest of the participant's sounds now, 0 to 1. */
  abstract get audioLevel(): number;

  /** @internal */
  learn(name: string, metadata: string): void {
    this.#name = name;
    this.#metadata = metadata;
  }

  /** @internal Listens once; true where speaking has changed. */
  listen(nowMs: number): boolean {
    this.#detector.update(this.audioLevel, nowMs);
    return this.#settleSpeaking();
  }

  /** @internal The server says whether the participant speaks; true where speaking has changed. */
  told(speaking: boolean): boolean {
    this.#isTold = speaking;
    return this.#settleSpeaking();
  }

  #settleSpeaking(): boolean {
    const before = this.#speaking;
    this.#speaking = this.#isTold || this.#detector.speaking;
    return this.#speaking !== before;
  }
}

/** Someone else. */
export class RemoteParticipant extends Member {
  readonly isLocal = false;
  /** By id. */
  readonly publications: ReadonlyMap<string, RemotePublication> = new Map();
  /** Microphone and camera in one stream, for a single element; its tracks are swapped, it stays. */
  readonly stream = new MediaStream();

  /** @internal */
  constructor(facts: WireParticipant) {
    super(facts);
  }

  get audioLevel(): number {
    return loudest(this.publications.values(), (p) => (p.muted || p.source !== "microphone" ? 0 : p.subscription.audioLevel));
  }

  /** @internal */
  get mutablePublications(): Map<string, RemotePublication> {
    return this.publications as Map<string, RemotePublication>;
  }
}

/** @internal What a participant may do, as the server says it. */
export type Granted = Pick<GrantsChanged, "grants" | "sources">;

/** Oneself. */
export class LocalParticipant extends Member {
  readonly isLocal = true;
  /** By id. */
  readonly publications: ReadonlyMap<string, LocalPublication> = new Map();
  #grants: Grants;
  #sources: readonly Source[];

  /** @internal */
  constructor(facts: Pick<WireParticipant, "identity" | "name" | "metadata" | "joinedAt">, { grants, sources = [] }: Granted) {
    super(facts);
    this.#grants = grants;
    this.#sources = sources;
  }

  get grants(): Grants {
    return this.#grants;
  }

  get audioLevel(): number {
    return loudest(this.publications.values(), (p) => (p.source === "microphone" ? p.audioLevel : 0));
  }

  /** Whether tracks of this source may be published: grants.publish can be limited to some sources. */
  mayPublish(source: Source): boolean {
    return this.#grants.publish && (this.#sources.length === 0 || this.#sources.includes(source));
  }

  /** @internal True where it may do something else than before. */
  granted({ grants, sources = [] }: Granted): boolean {
    const [had, were] = [this.#grants, this.#sources];
    [this.#grants, this.#sources] = [grants, sources];
    return grantNames.some((name) => grants[name] !== had[name]) || sources.length !== were.length || sources.some((s) => !were.includes(s));
  }

  /** @internal */
  get mutablePublications(): Map<string, LocalPublication> {
    return this.publications as Map<string, LocalPublication>;
  }
}

export type Participant = LocalParticipant | RemoteParticipant;

function loudest<P>(publications: Iterable<P>, level: (p: P) => number): number {
  let most = 0;
  for (const p of publications) most = Math.max(most, level(p));
  return most;
}
