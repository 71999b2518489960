// A call as the screens see it. room-call.ts makes one from the SDK's Room; the fixture page makes one without a server.

import type { ReadonlySignal } from "@preact/signals";
import type { Advice } from "../pure/advice.js";
import type { Line } from "../pure/lines.js";
import type { Loss } from "../pure/loss.js";
import type { May } from "../pure/may.js";
import type { Piece, Stroke } from "../pure/strokes.js";
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
  /** Which of the raised hands is this person's, from 1; 0: it is not raised. */
  readonly hand: number;
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

/** What several draw on. */
export interface Board {
  /** The oldest first. */
  readonly strokes: ReadonlySignal<readonly Stroke[]>;
  /** Something has not reached the server. */
  readonly isPending: ReadonlySignal<boolean>;
  /** Some of the strokes are one's own. */
  readonly canUndo: boolean;
  /** Adds a stroke, or a piece of one; false: the board is full. */
  draw(key: string, piece: Omit<Piece, "by">): boolean;
  erase(keys: readonly string[]): void;
  /** Takes away the newest of one's own strokes. */
  undo(): void;
  /** There is something, a stroke or not. */
  readonly canWipe: boolean;
  wipe(): void;
}

/** A text that several write. */
export interface Notes {
  readonly lines: ReadonlySignal<readonly Line[]>;
  readonly isPending: ReadonlySignal<boolean>;
  /** Makes another text of the lines that were shown; what others have changed since stays. Gives the lines as they are then. */
  edit(shown: readonly Line[], text: string): readonly Line[];
  /** Takes back one's own last change, or makes it again; what others have written stays. Both give the lines as they are then. */
  undo(): readonly Line[];
  redo(): readonly Line[];
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
  /** There may be lines from before. */
  readonly hasOlderChat: ReadonlySignal<boolean>;
  readonly connection: ReadonlySignal<Connection>;
  /** Why it is not connected, where that is known. */
  readonly trouble: ReadonlySignal<Advice | undefined>;
  /** While it is reconnecting. */
  readonly loss: ReadonlySignal<Loss | undefined>;
  /** The server has said that it restarts within so many seconds; undefined: it has not. */
  readonly restart: ReadonlySignal<number | undefined>;
  readonly sharing: ReadonlySignal<Sharing>;
  /** The browser plays no sound before a click. */
  readonly soundBlocked: ReadonlySignal<boolean>;
  /** The link alone lets nobody in. */
  readonly byInvitation: boolean;
  readonly may: ReadonlySignal<May>;
  readonly mayKick: boolean;
  /** The server keeps raised hands. */
  readonly hasHands: ReadonlySignal<boolean>;
  /** Undefined: the server keeps none. */
  readonly board: ReadonlySignal<Board | undefined>;
  readonly notes: ReadonlySignal<Notes | undefined>;
  /** Loudness now, 0 to 1. */
  level(identity: string): number;
  toggleSharing(): Promise<void>;
  sendChat(text: string): Promise<void>;
  /** Puts older lines before those that are there. */
  readOlderChat(): Promise<void>;
  kick(identity: string): Promise<void>;
  raiseHand(identity: string, raised: boolean): Promise<void>;
  playSound(): Promise<void>;
  statistics(): Promise<Statistics>;
  leave(): void;
}
