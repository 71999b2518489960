// Rule: when media do not come, what is told names the ports and addresses of the server that were tried.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noMedia } from "../src/no-media.js";

const answer = [
  "m=audio 9 UDP/TLS/RTP/SAVPF 111",
  "a=candidate:1 1 udp 2130706431 192.0.2.7 8443 typ host",
  "a=candidate:2 1 udp 2130706175 2001:db8::7 8443 typ host",
  "a=candidate:3 1 tcp 1671430143 192.0.2.7 8443 typ host tcptype passive",
  "m=video 9 UDP/TLS/RTP/SAVPF 96",
  "",
].join("\r\n");

test("ports and addresses of the answer are named once", () => {
  const { code, message, next } = noMedia(answer);
  assert.equal(code, "no-media");
  assert.equal(message, "The server answers, but media do not get through to UDP and TCP port 8443 at 192.0.2.7, 2001:db8::7.");
  assert.match(next ?? "", /block UDP and TCP port 8443: .*--advertise/);
});

test("several ports are told as such, and without an answer there is a next step too", () => {
  assert.match(noMedia(answer.replace("2001:db8::7 8443", "2001:db8::7 443")).message, /ports 8443, 443 at/);
  assert.match(noMedia("").next ?? "", /may block UDP: try/);
});
