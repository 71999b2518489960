// Rule: whoever writes at once, all that anybody has written stays, all see the same, and nobody's lines are moved or mixed with others'.

import assert from "node:assert/strict";
import { test } from "node:test";
import { between, caretInText, edit, fits, type Line, type LineChanges, linesOf, maxLines, maxNotesBytes, moveCaret, textOf } from "../src/pure/lines.js";
import { seeded } from "./seeded.js";

type Document = Readonly<Record<string, string>>;

function applied(document: Document, changes: LineChanges): Document {
  const all = Object.entries({ ...document, ...changes });
  return Object.fromEntries(all.filter((e): e is [string, string] => e[1] !== undefined));
}

/** Somebody who writes, and does not hear from others until told to. */
class Writer {
  readonly waiting: LineChanges[] = [];
  readonly #own = new Set<string>();
  readonly #random: () => number;
  document: Document;

  constructor(document: Document, random: () => number) {
    this.document = document;
    this.#random = random;
  }

  get lines(): readonly Line[] {
    return linesOf(this.document);
  }

  get text(): string {
    return textOf(this.lines);
  }

  write(text: string): void {
    const changes = edit(this.lines, text, this.#own, this.#random);
    this.document = applied(this.document, changes);
    this.waiting.push(changes);
    assert.equal(this.text, text, "what was written is not what is shown");
  }
}

/** What the server makes of all that waits; everybody has it then. */
function met(server: Document, ...writers: Writer[]): Document {
  let document = server;
  for (const writer of writers) for (const changes of writer.waiting.splice(0)) document = applied(document, changes);
  for (const writer of writers) writer.document = document;
  return document;
}

function two(text: string, seed = 1): { server: Document; ann: Writer; bob: Writer } {
  const random = seeded(seed);
  const author = new Writer({}, random);
  author.write(text);
  const server = met({}, author);
  return { server, ann: new Writer(server, random), bob: new Writer(server, random) };
}

test("lines that two write at different places both stay where they were written", () => {
  const { server, ann, bob } = two("one\ntwo\nthree");
  ann.write("zero\none\ntwo\nthree");
  bob.write("one\ntwo\nthree and a half\nfour");
  met(server, ann, bob);
  assert.equal(ann.text, "zero\none\ntwo\nthree and a half\nfour");
});

test("of a line that two change at once both versions stay, and who goes on writing stays in theirs", () => {
  for (const order of [0, 1]) {
    const { server, ann, bob } = two("before\nline\nafter");
    ann.write("before\nline of Ann\nafter");
    bob.write("before\nline of Bob\nafter");
    const document = order === 0 ? met(server, ann, bob) : met(server, bob, ann);
    const both = ann.text.split("\n");
    assert.deepEqual([...both].sort(), ["after", "before", "line of Ann", "line of Bob"]);
    assert.deepEqual([both[0], both[3]], ["before", "after"]);
    const goOn = (writer: Writer, mine: string): void => writer.write(writer.text.replace(mine, `${mine}!`));
    let last = document;
    for (let i = 0; i < 5; i++) {
      goOn(ann, "line of Ann");
      goOn(bob, "line of Bob");
      last = met(last, ann, bob);
    }
    assert.deepEqual(ann.text.split("\n"), both.map((l) => (l.startsWith("line of") ? `${l}!!!!!` : l)));
  }
});

test("what two write one below the other is not mixed", () => {
  for (const start of ["", "first", "first\nlast"]) {
    const { server, ann, bob } = two(start);
    const lines = (who: string): string[] => Array.from({ length: 90 }, (_, i) => `${who} ${i}`);
    const write = (writer: Writer, all: string[]): void => {
      for (let i = 1; i <= all.length; i++) {
        const [head, ...rest] = start.split("\n");
        writer.write([...(head === "" ? [] : [head]), ...all.slice(0, i), ...rest].join("\n"));
      }
    };
    write(ann, lines("Ann"));
    write(bob, lines("Bob"));
    met(server, ann, bob);
    assert.ok(ann.text.includes(lines("Ann").join("\n")) && ann.text.includes(lines("Bob").join("\n")), `after ${JSON.stringify(start)}: ${ann.text}`);
    assert.ok(ann.lines.every((l) => l.key.length < 24), "keys grow too fast");
  }
});

test("a line that one takes away while the other changes it stays as changed", () => {
  const { server, ann, bob } = two("one\ntwo\nthree");
  ann.write("one\nthree");
  bob.write("one\ntwo!\nthree");
  met(server, ann, bob);
  assert.equal(bob.text, "one\ntwo!\nthree");
});

test("a line goes between two at the same place, and above the first, and below the last", () => {
  const random = seeded(5);
  const writer = new Writer({ "V-a": "x", "V-b": "x", "V-c": "y" }, random);
  writer.write("x\nx\nnew\ny");
  writer.write("top\nx\nx\nnew\ny\nend");
  writer.write("top\nx\nmiddle\nx\nnew\ny\nend");
  assert.equal(writer.text, "top\nx\nmiddle\nx\nnew\ny\nend");
});

test("whatever several write in whatever order it arrives, all see the same and nothing is lost", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed);
    let server: Document = {};
    const writers = Array.from({ length: 3 }, () => new Writer({}, random));
    const pick = (n: number): number => Math.floor(random() * n);
    const written: string[] = [];
    for (let i = 0; i < 60; i++) {
      const writer = writers[pick(3)] as Writer;
      // A word of one's own, between two words or two lines; sometimes a new line.
      const places = [...writer.text.matchAll(/^|$|(?= )/gm)].map((m) => m.index);
      const place = places[pick(places.length)] ?? 0;
      const word = `w${i}.`;
      written.push(word);
      const [head, rest] = [writer.text.slice(0, place), writer.text.slice(place)];
      writer.write(`${head}${pick(3) === 0 ? "\n" : " "}${word} ${rest}`);
      if (pick(4) === 0) server = met(server, ...[...writers].sort(() => random() - 0.5));
    }
    met(server, ...writers);
    const [text, ...others] = writers.map((w) => w.text);
    for (const other of others) assert.equal(other, text, `seed ${seed}`);
    for (const word of written) assert.ok(text?.includes(word), `seed ${seed}: ${word} is lost`);
  }
});

test("between two places there is always another one", () => {
  const random = seeded(7);
  let places = [between("", "")];
  for (let i = 0; i < 2000; i++) {
    const n = Math.floor(random() * (places.length + 1));
    const [low, high] = [places[n - 1] ?? "", places[n] ?? ""];
    const place = between(low, high);
    assert.ok(place > low && (high === "" || place < high) && !place.endsWith("0"), `${low} < ${place} < ${high}`);
    places = [...places.slice(0, n), place, ...places.slice(n)];
  }
});

test("what is no line is passed over", () => {
  assert.deepEqual(linesOf({ "V-a": "x", "V0-a": "ends with 0", "-a": "no place", V: "no dash", "V-": "", "W-b": 1, "é-a": "x" }), [{ key: "V-a", text: "x" }]);
  for (const document of [undefined, null, ["x"], "x"]) assert.deepEqual(linesOf(document), []);
});

test("notes have limits of length and of lines", () => {
  assert.ok(fits("x".repeat(maxNotesBytes - 100)) && fits("\n".repeat(maxLines - 1)));
  assert.ok(!fits("x".repeat(maxNotesBytes)) && !fits("é".repeat(maxNotesBytes / 2)) && !fits("\n".repeat(maxLines)));
});

test("the caret stays in its line when others write above, below and in it", () => {
  const lines = (...all: string[]): Line[] => all.map((l) => ({ key: l.slice(0, 3), text: l.slice(4) }));
  const before = lines("B-a one", "D-a two", "F-a three");
  const inTwo = "one\ntw".length;
  const table: [after: Line[], left: string][] = [
    [lines("A-a new", "B-a one", "D-a two", "F-a three"), "new\none\ntw"],
    [lines("B-a one", "D-a two", "E-a new", "F-a three"), "one\ntw"],
    [lines("B-a one", "D-b two!", "F-a three"), "one\ntw"],
    [lines("B-a one", "D-b t", "F-a three"), "one\nt"],
    [lines("B-a one", "D-b a two", "F-a three"), "one\na tw"],
    [lines("B-a one", "F-a three"), "one\nth"],
    [lines("B-a one"), "on"],
    [[], ""],
  ];
  for (const [after, left] of table) assert.equal(textOf(after).slice(0, moveCaret(before, after, inTwo)), left, textOf(after));
  assert.equal(moveCaret([], lines("A-a new"), 0), 0);
});

test("a caret stays beside the same letters when one part of the text is another", () => {
  assert.equal(caretInText("abc", "abcd", 2), 2);
  assert.equal(caretInText("abc", "xabc", 2), 3);
  assert.equal(caretInText("abc", "axyzc", 2), 4);
  assert.equal(caretInText("abc", "", 3), 0);
  assert.equal(caretInText("aa", "aaa", 1), 1);
});
