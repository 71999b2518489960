// A call with people who are not there.

import type { MediaPath } from "@parley-rtc/sdk";
import { type ReadonlySignal, signal } from "@preact/signals";
import type { Advice } from "../src/pure/advice.js";
import type { Loss } from "../src/pure/loss.js";
import { type May, uses } from "../src/pure/may.js";
import type { Board, Call, ChatLine, Connection, Notes, Person, Picture, Playable, Sharing } from "../src/state/call.js";
import type { Capture } from "../src/state/capture.js";
import type { Statistics } from "../src/state/statistics.js";
import { SharedBoard, SharedNotes } from "../src/state/together.js";
import { boardSource, notesSource } from "./fake-records.js";
import { drawDocument, drawPerson } from "./pictures.js";

const names = ["Ann Lee", "Mia Rossi", "Jonas", "Amina Diallo", "Kenji Watanabe", "Zoë", "Bartholomew Featherstonehaugh-Cholmondeley", "Priya", "Luis", "Noor", "Eva", "Tomasz"];

/** Others who are seen at once; further ones wait for their turn. */
const mostSeen = 8;

export class FakeCall implements Call {
  readonly people;
  readonly featured;
  readonly chat;
  readonly hasOlderChat = signal(true);
  readonly connection: ReadonlySignal<Connection>;
  readonly trouble = signal<Advice | undefined>(undefined);
  readonly loss = signal<Loss | undefined>(undefined);
  readonly restart = signal(undefined);
  readonly sharing = signal<Sharing>({ is: "idle" });
  readonly soundBlocked = signal(false);
  readonly hasHands = signal(true);
  readonly board: ReadonlySignal<Board>;
  readonly notes: ReadonlySignal<Notes>;
  readonly may;
  readonly byInvitation = false;
  readonly mayKick = true;
  readonly room: string;
  readonly microphone: Capture;
  readonly camera: Capture;
  readonly #path: MediaPath;

  constructor(room: string, count: number, share: boolean, connection: Connection, microphone: Capture, camera: Capture, path: MediaPath, { isEmpty, isPending, without }: FakeTogether) {
    this.room = room;
    this.may = signal(Object.fromEntries(uses.map((use) => [use, !without.includes(use)])) as May);
    this.board = signal(new SharedBoard(boardSource(isEmpty, isPending), "p0"));
    this.notes = signal(new SharedNotes(notesSource(isEmpty, isPending)));
    this.#path = path;
    this.microphone = microphone;
    this.camera = camera;
    this.connection = signal(connection);
    const leader = count > 2 ? (share ? 3 : 1) : -1;
    this.people = signal<readonly Person[]>(Array.from({ length: count }, (_, i) => person(i, share && i === 1, leader)));
    this.featured = signal(count > 2 ? `p${leader}` : "");
    this.chat = signal<readonly ChatLine[]>(count > 1 ? lines() : []);
  }

  level(): number {
    return 0.05 + Math.random() * 0.3;
  }

  async toggleSharing(): Promise<void> {
    this.sharing.value = this.sharing.value.is === "live" ? { is: "idle" } : { is: "live", stream: new MediaStream() };
  }

  async sendChat(text: string): Promise<void> {
    this.chat.value = [...this.chat.value, { id: String(Math.random()), from: "p0", name: "Ann", isOwn: true, text, at: new Date(), isPrivate: false }];
  }

  async readOlderChat(): Promise<void> {
    this.chat.value = [...lines().map((l) => ({ ...l, id: `${l.id}${this.chat.value.length}`, at: new Date(l.at.getTime() - 86_400_000) })), ...this.chat.value];
    this.hasOlderChat.value = false;
  }

  async kick(identity: string): Promise<void> {
    this.people.value = this.people.value.filter((p) => p.identity !== identity);
  }

  async raiseHand(identity: string, raised: boolean): Promise<void> {
    const up = this.people.value.filter((p) => p.hand > 0 && p.identity !== identity).sort((a, b) => a.hand - b.hand).map((p) => p.identity);
    if (raised) up.push(identity);
    this.people.value = this.people.value.map((p) => ({ ...p, hand: up.indexOf(p.identity) + 1 }));
  }

  async playSound(): Promise<void> {
    this.soundBlocked.value = false;
  }

  async statistics(): Promise<Statistics> {
    return {
      path: this.#path,
      rttMs: 23.4,
      sending: { bitsPerSecond: 1_840_000, loss: 0.002 },
      receiving: { bitsPerSecond: 4_230_000, loss: 0 },
      sent: "1280×720, 30 fps",
      received: ["1280×720, 30 fps", "640×480, 24 fps"],
      codecs: ["opus", "VP8"],
    };
  }

  leave(): void {
    location.search = "?scene=left";
  }
}

/** What people make together: nothing yet; not all of it sent; and what one may not do. */
export interface FakeTogether {
  readonly isEmpty: boolean;
  readonly isPending: boolean;
  readonly without: readonly string[];
}

function person(i: number, share: boolean, leader: number): Person {
  const hasPicture = i % 4 !== 2;
  return {
    identity: `p${i}`,
    name: names[i % names.length] ?? "",
    isLocal: i === 0,
    microphone: i % 3 === 2 ? "muted" : i === 7 ? "none" : "on",
    speaking: i === 1,
    leads: i === leader,
    hand: i === 3 ? 1 : i === 4 ? 2 : 0,
    camera: i > mostSeen && hasPicture ? { is: "shown", media: { attach: () => () => undefined }, leftOut: true } : hasPicture ? shown((c, at) => drawPerson(c, i, at)) : { is: "none" },
    shares: share ? [{ id: "screen", picture: shown(drawDocument) }] : [],
    sounds: [],
  };
}

function shown(draw: (context: CanvasRenderingContext2D, at: number) => void): Picture {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1280, 720];
  const context = canvas.getContext("2d");
  let at = 0;
  const paint = (): void => {
    if (context) draw(context, at++);
  };
  paint();
  setInterval(paint, 200);
  const stream = canvas.captureStream(5);
  const media: Playable = {
    attach(element) {
      element.srcObject = stream;
      void element.play().catch(() => undefined);
      return () => {
        element.srcObject = null;
      };
    },
  };
  return { is: "shown", media };
}

function lines(): ChatLine[] {
  const start = Date.now() - 12 * 60_000;
  const line = (minute: number, who: number, text: string): ChatLine => ({
    id: `${minute}${text}`,
    from: `p${who}`,
    name: names[who] ?? "",
    isOwn: who === 0,
    text,
    at: new Date(start + minute * 60_000),
    isPrivate: false,
  });
  return [
    line(0, 1, "Good morning!"),
    line(0.5, 1, "The notes of last week are at https://example.org/notes/2026-11-14 (thanks, Jonas)."),
    line(2, 0, "Thank you. I will share my screen in a minute."),
    line(7, 3, "Can somebody paste the address of the test server?"),
    line(8, 2, "https://test.example.org:8443/r/calm-otter-bridge\nIt still has the old certificate."),
  ];
}
