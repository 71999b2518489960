// Rule: undo takes back what one has written oneself, the last first, and nothing of what others have written since; redo makes it again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { edit, type LineChanges, linesOf, textOf } from "../src/pure/lines.js";
import { Deeds, deedOf, endOfChange, maxDeeds } from "../src/pure/undo.js";
import { seeded } from "./seeded.js";

/** Notes that several write one after the other, and see at once. */
class Notes {
  readonly random: () => number;
  document: Readonly<Record<string, string>> = {};

  constructor(seed = 1) {
    this.random = seeded(seed);
  }

  get text(): string {
    return textOf(linesOf(this.document));
  }

  apply(changes: LineChanges): void {
    const all = Object.entries({ ...this.document, ...changes });
    this.document = Object.fromEntries(all.filter((e): e is [string, string] => e[1] !== undefined));
  }
}

class Writer {
  readonly #notes: Notes;
  readonly #own = new Set<string>();
  readonly #deeds: Deeds;
  #now = 0;

  constructor(notes: Notes) {
    this.#notes = notes;
    this.#deeds = new Deeds(notes.random);
  }

  /** Makes another text of the notes, so long after what was written before. */
  write(text: string, ms = 5_000): void {
    const lines = linesOf(this.#notes.document);
    const changes = edit(lines, text, this.#own, this.#notes.random);
    this.#now += ms;
    this.#deeds.did(deedOf(lines, changes), this.#now);
    this.#notes.apply(changes);
  }

  replace(part: string, by: string): void {
    assert.ok(this.#notes.text.includes(part), `“${part}” is not in “${this.#notes.text}”`);
    this.write(this.#notes.text.replace(part, by));
  }

  undo(): string {
    this.#notes.apply(this.#deeds.undo(linesOf(this.#notes.document)));
    return this.#notes.text;
  }

  redo(): string {
    this.#notes.apply(this.#deeds.redo(linesOf(this.#notes.document)));
    return this.#notes.text;
  }
}

function two(text: string): { notes: Notes; ann: Writer; bob: Writer } {
  const notes = new Notes();
  new Writer(notes).write(text);
  return { notes, ann: new Writer(notes), bob: new Writer(notes) };
}

test("what others write in other lines stays", () => {
  const { ann, bob, notes } = two("one\ntwo\nthree");
  ann.replace("two", "two of Ann");
  bob.replace("one", "one of Bob");
  bob.write(`${notes.text}\nfour of Bob`);
  assert.equal(ann.undo(), "one of Bob\ntwo\nthree\nfour of Bob");
  assert.equal(ann.redo(), "one of Bob\ntwo of Ann\nthree\nfour of Bob");
  assert.equal(bob.undo(), "one of Bob\ntwo of Ann\nthree");
});

test("what others write in the same line stays, unless it is in the same words", () => {
  for (const [theirs, left] of [
    ["Bob says: one new two", "Bob says: one two"],
    ["one new two, says Bob", "one two, says Bob"],
    ["one newest two", "one newest two"], // that is no longer hers
    ["one two", "one two"], // he has taken it out already
  ] as const) {
    const { ann, bob, notes } = two("one two");
    ann.write("one new two");
    bob.write(theirs);
    assert.equal(ann.undo(), left);
    assert.equal(notes.text, left);
  }
});

test("a line that one has put in goes, but not what others have added to it", () => {
  const { ann, bob } = two("first\nlast");
  ann.write("first\nnew\nlast");
  assert.equal(ann.undo(), "first\nlast");
  assert.equal(ann.redo(), "first\nnew\nlast");
  bob.replace("new", "new, and more");
  assert.equal(ann.undo(), "first\n, and more\nlast");
});

test("lines that one has taken out come back where they were, whatever others have put in or taken out beside them", () => {
  const { ann, bob } = two("one\ntwo\nthree\nfour");
  ann.write("one\nfour");
  bob.write("zero\none\nfour");
  bob.write("zero\none\nbetween\nfour");
  assert.equal(ann.undo().split("\n").filter((l) => l !== "between").join("\n"), "zero\none\ntwo\nthree\nfour");
  assert.deepEqual(ann.redo().split("\n"), ["zero", "one", "between", "four"]);
  ann.write("");
  assert.equal(ann.undo(), "zero\none\nbetween\nfour");
});

test("who has nothing to undo changes nothing, and what is gone is passed over", () => {
  const { ann, bob, notes } = two("one\ntwo");
  assert.equal(ann.undo(), "one\ntwo");
  ann.replace("one", "one!");
  ann.replace("two", "two!");
  bob.write("one!");
  assert.equal(ann.undo(), "one", "the line “two!” is not there any more: what was done before it is undone");
  assert.equal(bob.undo(), "one\ntwo!");
  assert.equal(ann.redo(), "one!\ntwo!");
  ann.write(`${notes.text}\nnew`);
  assert.equal(ann.redo(), "one!\ntwo!\nnew", "who has written anew redoes nothing");
});

test("who types on in a line has done one thing; a pause or another line begins another", () => {
  const { ann, notes } = two("Agenda");
  const type = (text: string, ms = 100): void => {
    for (const letter of text) ann.write(notes.text + letter, ms);
  };
  type("\nfirst");
  type(" point", 300);
  ann.write(notes.text, 5_000);
  type(" and more");
  type("\nsecond");
  assert.deepEqual([ann.undo(), ann.undo(), ann.undo(), ann.undo()], ["Agenda\nfirst point and more", "Agenda\nfirst point", "Agenda", "Agenda"]);
  assert.deepEqual([ann.redo(), ann.redo(), ann.redo()], ["Agenda\nfirst point", "Agenda\nfirst point and more", "Agenda\nfirst point and more\nsecond"]);
});

test("whatever one writes alone, undoing all gives the beginning, and redoing all the end", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const notes = new Notes(seed);
    new Writer(notes).write("a b\nc\nd");
    const ann = new Writer(notes);
    const texts = [notes.text];
    for (let i = 0; i < 40; i++) {
      const [from, to] = [0, 0].map(() => Math.floor(notes.random() * (notes.text.length + 1))).sort((a, b) => a - b) as [number, number];
      const text = `${notes.text.slice(0, from)}${["", "\n", `w${i}`, `w${i}\nx`][Math.floor(notes.random() * 4)]}${notes.text.slice(Math.min(to, from + 5))}`;
      if (text === notes.text) continue;
      ann.write(text);
      texts.push(notes.text);
    }
    for (const text of texts.slice(0, -1).reverse()) assert.equal(ann.undo(), text, `seed ${seed}`);
    for (const text of texts.slice(1)) assert.equal(ann.redo(), text, `seed ${seed}`);
  }
});

test("however two write in turn, whoever undoes all leaves every word of the other", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const notes = new Notes(seed);
    const writers = [new Writer(notes), new Writer(notes)] as const;
    for (let i = 0; i < 60; i++) {
      const who = notes.random() < 0.5 ? 0 : 1;
      const places = [...notes.text.matchAll(/^|$|(?= )/gm)].map((m) => m.index);
      const place = places[Math.floor(notes.random() * places.length)] ?? 0;
      writers[who].write(`${notes.text.slice(0, place)}${notes.random() < 0.3 ? "\n" : " "}${who}w${i}.${notes.text.slice(place)}`);
    }
    const words = notes.text.match(/1w\d+\./g) ?? [];
    for (let i = 0; i < 60; i++) writers[0].undo();
    for (const word of words) assert.ok(notes.text.includes(word), `seed ${seed}: ${word} is lost`);
  }
});

test("no more is remembered than what can be undone", () => {
  const notes = new Notes();
  const ann = new Writer(notes);
  for (let i = 0; i < maxDeeds + 5; i++) ann.write(`${i}`);
  for (let i = 0; i < 2 * maxDeeds; i++) ann.undo();
  assert.equal(notes.text, "4");
});

test("the caret goes to the end of what has changed", () => {
  assert.equal(endOfChange("one, two, three", "one, three"), 6);
  assert.equal(endOfChange("one; three", "one, two; three"), 8);
  assert.equal(endOfChange("", "abc"), 3);
});
