// Rule: what /doctor measures becomes a finding with the right weight, and a next step wherever something is wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  answerBy,
  bandwidthFinding,
  type Candidate,
  codecFinding,
  type Finding,
  natFinding,
  reachFinding,
  relayFinding,
  verdictOf,
  wayFinding,
} from "../src/pure/examination.js";

const isFair = (finding: Finding): void => {
  if (finding.level === "warning" || finding.level === "fault") assert.notEqual(finding.next, "", finding.text);
};

test("an answer keeps the candidates of one protocol, and everything else", () => {
  const answer = ["v=0", "a=candidate:1 1 udp 2130706431 10.0.0.1 8443 typ host", "a=candidate:2 1 TCP 1518280447 10.0.0.1 8443 typ host tcptype passive", "a=mid:0", ""];
  assert.equal(answerBy(answer.join("\r\n"), "udp"), [answer[0], answer[1], answer[3], ""].join("\r\n"));
  assert.equal(answerBy(answer.join("\r\n"), "tcp"), [answer[0], answer[2], answer[3], ""].join("\r\n"));
});

test("a way that connects tells its times, one that does not what follows from it", () => {
  assert.deepEqual(wayFinding("udp", { rtt: 12.3, took: 150 }), {
    area: "UDP", level: "ok", text: "Media reach the server by UDP, 12\u00a0ms there and back, connected in 150\u00a0ms.", next: "",
  });
  assert.match(wayFinding("tcp", { rtt: undefined, took: 150 }).text, /by TCP, connected in 150\sms\.$/);
  for (const way of ["udp", "tcp"] as const) {
    const finding = wayFinding(way, undefined);
    assert.equal(finding.level, "warning");
    isFair(finding);
  }
});

test("a relay is named by what leads to it", () => {
  const areas = ["turn:h:3478?transport=udp", "turn:h:8443?transport=tcp", "turns:h:443?transport=tcp"].map((url) => relayFinding(url, undefined).area);
  assert.deepEqual(areas, ["Relay, UDP", "Relay, TCP", "Relay, TLS"]);
  isFair(relayFinding("turn:h", undefined));
});

test("where no way leads to the server, calls will not work; one is enough", () => {
  const none = [wayFinding("udp", undefined), wayFinding("tcp", undefined), relayFinding("turns:h", undefined)];
  const finding = reachFinding(none);
  assert.equal(finding?.level, "fault");
  assert.equal(verdictOf([...none, finding]), "Calls will not work from here as it is.");
  const one = [...none.slice(0, 2), relayFinding("turns:h", { rtt: 1, took: 1 })];
  assert.equal(reachFinding(one), undefined);
  assert.equal(verdictOf(one), "Calls work from here, with limits.");
  assert.equal(reachFinding([]), undefined, "nothing was tried");
  assert.equal(verdictOf([wayFinding("udp", { rtt: 1, took: 1 })]), "Calls work from here.");
});

test("a browser has to have VP8 and Opus both ways", () => {
  assert.equal(codecFinding(["opus", "VP8", "VP8", "AV1"], ["opus", "VP8", "H265"]).text, "This browser sends and receives opus, VP8.");
  const lame = codecFinding(["opus", "VP8"], ["opus"]);
  assert.equal(lame.level, "fault");
  assert.match(lame.text, /and not VP8\./);
  isFair(lame);
});

test("bandwidth is enough for video, for a small picture, or for nothing", () => {
  const levels = [
    [2_000_000, 0], [2_000_000, 0.06], [200_000, 0], [20_000, 0],
  ].map(([bitsPerSecond = 0, lost = 0]) => {
    const finding = bandwidthFinding({ bitsPerSecond, lost });
    isFair(finding);
    return finding.level;
  });
  assert.deepEqual(levels, ["ok", "warning", "warning", "fault"]);
  assert.match(bandwidthFinding({ bitsPerSecond: 1_234_567, lost: 0.0123 }).text, /1\.23\sMbit\/s .* 1\.2\s% was lost/);
});

test("two ports that see one socket behind different ports see a symmetric NAT", () => {
  const at = (type: string, address: string, port: number, base?: string): Candidate => ({ type, protocol: "udp", address, port, base });
  const host = at("host", "10.0.0.2", 4000);
  const level = (...all: Candidate[]): string => `${natFinding(all, true).level}: ${natFinding(all, true).text}`;
  assert.match(level(host), /^ok: There is no NAT/);
  assert.match(level(host, at("srflx", "20.0.0.1", 4000, "10.0.0.2:4000")), /^ok: You are seen as 20\.0\.0\.1, by one port/);
  assert.match(level(host, at("srflx", "20.0.0.1", 1, "10.0.0.2:4000"), at("srflx", "20.0.0.1", 2, "10.0.0.2:4000")), /^note: .*symmetric/);
  const twoNetworks = [at("srflx", "20.0.0.1", 1, "10.0.0.2:4000"), at("srflx", "30.0.0.1", 2, "10.9.0.2:4001")];
  assert.match(level(host, ...twoNetworks), /^ok: You are seen as 20\.0\.0\.1, 30\.0\.0\.1/);
  const hidden = [at("srflx", "20.0.0.1", 1), at("srflx", "20.0.0.1", 2)];
  assert.match(level(host, ...hidden), /symmetric/, "one host address hides nothing");
  assert.match(level(host, host, ...hidden), /this browser hides/);
  assert.equal(natFinding([], false).level, "note");
});
