import assert from "node:assert/strict";
import { test } from "node:test";
import { TypedEventTarget } from "../src/events.js";
import type { Participant } from "../src/participant.js";
import type { RoomEvents } from "../src/room.js";
import { order, Speakers } from "../src/speakers.js";

/** Somebody who is heard here while level is set, and whom the server may tell to speak. */
class Someone {
  readonly identity: string;
  level = false;
  server = false;

  constructor(identity: string) {
    this.identity = identity;
  }

  get speaking(): boolean {
    return this.level || this.server;
  }

  told(speaking: boolean): boolean {
    const before = this.speaking;
    this.server = speaking;
    return this.speaking !== before;
  }

  listen(): boolean {
    return false;
  }
}

const names = (people: readonly { readonly identity: string }[]): string => people.map((p) => p.identity).join(" ");

test("the dominant speaker comes first, then the others as the server orders them, then those who only are heard here", () => {
  const people = ["ann", "bob", "cid", "dan", "eve"].map((n) => new Someone(n));
  for (const p of people) p.level = p.identity !== "eve";
  assert.equal(names(order(people, { dominant: "cid", speaking: ["dan", "cid", "bob"] })), "cid dan bob ann");
  assert.equal(names(order(people, { dominant: "eve", speaking: [] })), "ann bob cid dan");
});

test("speakerschanged tells a change of the list or of the dominant speaker, once, after everybody's state has changed", () => {
  const room = new TypedEventTarget<RoomEvents>();
  const [ann, bob] = [new Someone("ann"), new Someone("bob")];
  let people = [ann, bob];
  const speakers = new Speakers(room, () => people as unknown as Participant[]);
  const log: string[] = [];
  room.addEventListener("speaking", ({ participant, speaking }) => log.push(`${participant.identity} ${speaking} of ${names(speakers.speaking)}`));
  room.addEventListener("speakerschanged", (e) => log.push(`${e.dominant?.identity ?? "nobody"}: ${names(e.speakers)}`));
  const seen = (): string[] => log.splice(0);

  speakers.told({ dominant: "bob", speaking: ["ann", "bob"] });
  assert.deepEqual(seen(), ["ann true of bob ann", "bob true of bob ann", "bob: bob ann"]);
  speakers.told({ dominant: "bob", speaking: ["ann", "bob"] });
  speakers.listen(0);
  assert.deepEqual(seen(), []);
  speakers.told({ dominant: "ann", speaking: ["ann", "bob"] });
  assert.deepEqual(seen(), ["ann: ann bob"]);
  bob.level = true; // the server hears him no more, and he is still heard here
  speakers.told({ dominant: "ann", speaking: [] });
  assert.deepEqual(seen(), ["ann false of bob", "ann: bob"]);
  people = [bob];
  speakers.settle();
  assert.deepEqual(seen(), ["nobody: bob"]);
});
