// Rule: only web and mail addresses become links, what is shown is what is opened, and no character of the text is lost.

import assert from "node:assert/strict";
import { test } from "node:test";
import { findLinks } from "../src/pure/links.js";

const links = (text: string): string[] => findLinks(text).flatMap((p) => (p.is === "link" ? [p.href] : []));

test("links are found", () => {
  const table: [text: string, hrefs: string[]][] = [
    ["see https://example.org/a?b=c#d.", ["https://example.org/a?b=c#d"]],
    ["www.example.org, please", ["https://www.example.org/"]],
    ["(http://example.org/a_(b))", ["http://example.org/a_(b)"]],
    ["two: https://a.example and https://b.example!", ["https://a.example/", "https://b.example/"]],
    ["HTTPS://EXAMPLE.ORG", ["https://example.org/"]],
    ["mailto:ann@example.org", ["mailto:ann@example.org"]],
    ["<https://example.org>", ["https://example.org/"]],
  ];
  for (const [text, hrefs] of table) assert.deepEqual(links(text), hrefs, text);
});

test("what could run or deceive is no link", () => {
  for (const text of [
    "javascript:alert(1)",
    "data:text/html,x",
    "https://bank.example@evil.example/",
    "https://",
    "www.",
    "file:///etc/passwd",
    "mailto:nobody",
    "plain words. nothing",
  ]) {
    assert.deepEqual(links(text), [], text);
  }
});

test("the parts together are the text", () => {
  for (const text of ["", "a", "https://a.example", "x https://a.example. y (www.b.example) <b>z</b>\nhttps:// end"]) {
    assert.equal(findLinks(text).map((p) => p.text).join(""), text);
  }
});
