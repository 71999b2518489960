// Rule: a link that is copied leads others to this server, wherever the page itself came from.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback, othersOf } from "../src/pure/origin.js";

test("hosts that lead each machine to itself", () => {
  for (const host of ["localhost", "LOCALHOST", "tea.localhost", "127.0.0.1", "127.9.9.9", "[::1]"]) assert.ok(isLoopback(host), host);
  for (const host of ["localhost.example", "notlocalhost", "127.example.org", "192.168.1.20", "[fd00::1]", "parley.local"]) assert.ok(!isLoopback(host), host);
});

test("of the server's answer only an origin is taken", () => {
  assert.equal(othersOf({ others: "https://192.168.1.20:8443" }), "https://192.168.1.20:8443");
  for (const bad of [undefined, null, {}, { others: 7 }, { others: "" }, { others: "javascript:alert(1)" }, { others: "https://a/b" }, "https://a"]) {
    assert.equal(othersOf(bad), undefined);
  }
});
