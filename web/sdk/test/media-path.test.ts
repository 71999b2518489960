import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaPathOf } from "../src/media-path.js";

/** A report as browsers make it, of one pair. */
function report(local: object, { marked }: { readonly marked: boolean }): RTCStatsReport {
  const pair = { id: "P", type: "candidate-pair", localCandidateId: "L", ...(marked ? { selected: true } : {}) };
  const all: [string, object][] = [["P0", { id: "P0", type: "candidate-pair", localCandidateId: "L0" }], ["P", pair], ["L", { id: "L", type: "local-candidate", ...local }]];
  if (!marked) all.push(["T", { id: "T", type: "transport", selectedCandidatePairId: "P" }]);
  return new Map(all);
}

test("the path is that of the nominated pair, by itself or by a relay", () => {
  for (const marked of [false, true]) {
    for (const [local, path] of [
      [{ protocol: "udp", candidateType: "host" }, "udp"],
      [{ protocol: "tcp", candidateType: "host" }, "tcp"],
      [{ protocol: "udp", candidateType: "relay", relayProtocol: "udp" }, "turn/udp"],
      [{ protocol: "udp", candidateType: "relay", relayProtocol: "tcp" }, "turn/tcp"],
      [{ protocol: "udp", candidateType: "relay", relayProtocol: "tls" }, "turn/tls"],
    ] as const) assert.equal(mediaPathOf(report(local, { marked })), path);
  }
});

test("without a nominated pair there is no path", () => {
  assert.equal(mediaPathOf(new Map()), undefined);
  assert.equal(mediaPathOf(new Map([["T", { id: "T", type: "transport" }], ["P", { id: "P", type: "candidate-pair", localCandidateId: "L" }]])), undefined);
});
