// A call as the screens see it. room-call.ts makes one from the SDK's Room; the fixture page makes one without a server.

import type { ReadonlySignal } from "@preact/signals";
import type { Advice } from "../pure/advice.js";
import type { Capture } from "./capture.js";
import type { Statistics } from "./statistics.js";

/** Something that plays in a media element until the returned function is called. */
export interface Playable {
  attach(element: HTMLMediaElement): () => void;
}

export type Picture =
  | { readonly is: "none" }
  | { readonly is: "waiting" } // it was asked for, and has not come yet
  | { readonly is: "undecodable"; readonly codec: string }
  // `held`: its last picture stands, because the network has no room for more. `leftOut`: nothing of it comes, because others are
  // seen; it keeps its place, by which the server knows that it is looked at.
  | { readonly is: "shown"; readonly media: Playable; readonly held?: boolean; readonly leftOut?: boolean };

export interface Share {
  readonly id: string;
  readonly picture: Picture;
}

export interface Sound {
  readonly id: string;
  readonly media: Playable;
}

export interface Person {
  readonly identity: string;
  readonly name: string;
  readonly isLocal: boolean;
  readonly microphone: "on" | "muted" | "none";
  readonly speaking: boolean;
  /** Leads a conversation of three or more. */
  readonly leads: boolean;
  readonly camera: Picture;
  readonly shares: readonly Share[];
  readonly sounds: readonly Sound[];
}

export interface ChatLine {
  readonly id: string;
  readonly from: string;
  readonly name: string;
  readonly isOwn: boolean;
  readonly text: string;
  readonly at: Date;
  readonly isPrivate: boolean;
}

export type Connection = "connecting" | "connected" | "reconnecting";

export type Sharing = { readonly is: "idle" } | { readonly is: "starting" } | { readonly is: "live"; readonly stream: MediaStream };

export interface Call {
  readonly room: string;
  readonly microphone: Capture;
  readonly camera: Capture;
  /** Oneself first, then the others by time of joining. */
  readonly people: ReadonlySignal<readonly Person[]>;
  /** Identity of who is large in the speaker view; empty: nobody. */
  readonly featured: ReadonlySignal<string>;
  readonly chat: ReadonlySignal<readonly ChatLine[]>;
  readonly connection: ReadonlySignal<Connection>;
  /** Why it is not connected, where that is known. */
  readonly trouble: ReadonlySignal<Advice | undefined>;
  /** The server has said that it restarts within so many seconds; undefined: it has not. */
  readonly restart: ReadonlySignal<number | undefined>;
  readonly sharing: ReadonlySignal<Sharing>;
  /** The browser plays no sound before a click. */
  readonly soundBlocked: ReadonlySignal<boolean>;
  /** The link alone lets nobody in. */
  readonly byInvitation: boolean;
  readonly mayPublish: boolean;
  readonly mayKick: boolean;
  /** Loudness now, 0 to 1. */
  level(identity: string): number;
  toggleSharing(): Promise<void>;
  sendChat(text: string): Promise<void>;
  kick(identity: string): Promise<void>;
  playSound(): Promise<void>;
  statistics(): Promise<Statistics>;
  leave(): void;
}
