import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../src/channels.js";
import { type Capability, chooseCodec, maxBitrate, sendCodecs, slotCodecs } from "../src/codecs.js";
import { deviceError } from "../src/devices.js";
import { forbidden, fromWire, LimitError, ParleyError, PermissionError } from "../src/errors.js";
import { emit, TypedEventTarget } from "../src/events.js";
import { SpeakingDetector } from "../src/level.js";
import { allowDtx } from "../src/sdp.js";
import { originRefused, parse, socketURL } from "../src/signalling/socket.js";

const codec = (mimeType: string, sdpFmtpLine?: string): Capability => ({ mimeType, clockRate: 90_000, ...(sdpFmtpLine && { sdpFmtpLine }) });
const h264 = (profile: string, mode = 1): Capability => codec("video/H264", `level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=${profile}`);
const browser = [
  codec("video/VP8"),
  codec("video/rtx"),
  codec("video/VP9", "profile-id=0"),
  codec("video/VP9", "profile-id=2"),
  h264("42001f"),
  h264("42001f", 0),
  h264("42e01f"),
  h264("f4001f"),
  codec("video/AV1", "level-idx=5;profile=0;tier=0"),
  codec("video/AV1", "level-idx=5;profile=1;tier=0"),
  codec("video/red"),
  codec("video/ulpfec"),
];

test("slots offer what Parley forwards, VP8 first, and RTX, and nothing else", () => {
  assert.deepEqual(slotCodecs("video", browser), [browser[0], browser[2], browser[4], browser[6], browser[8], browser[1]]);
  const audio = [codec("audio/opus", "minptime=10;useinbandfec=1"), codec("audio/red"), codec("audio/PCMU")];
  assert.deepEqual(slotCodecs("audio", [...audio].reverse()), [audio[0], audio[1]]);
});

test("a track is offered in one codec with RTX; H.264 in the profile that everyone plays", () => {
  assert.deepEqual(sendCodecs("vp8", browser), [browser[0], browser[1]]);
  assert.deepEqual(sendCodecs("h264", browser), [browser[6], browser[1]]);
  assert.deepEqual(sendCodecs("none", browser), []);
});

test("a voice is sent with redundancy where the browser has it, other sounds are not", () => {
  const [opus, red] = [codec("audio/opus", "minptime=10;useinbandfec=1"), codec("audio/red")];
  assert.deepEqual(sendCodecs("opus", [opus, red], true), [red, opus]);
  assert.deepEqual(sendCodecs("opus", [opus], true), [opus]);
  assert.deepEqual(sendCodecs("opus", [opus, red]), [opus]);
});

test("the first common codec that the browser encodes is chosen", () => {
  const common = (...video: string[]) => ({ audio: ["opus"], video });
  assert.equal(chooseCodec("video", common("vp8", "vp9"), browser), "vp8");
  assert.equal(chooseCodec("video", common("h265", "av1", "vp8"), browser), "av1");
  assert.equal(chooseCodec("video", common(), browser), "vp8");
  assert.equal(chooseCodec("video", common("h264"), [h264("42001f", 0), codec("video/VP9", "profile-id=0")]), "vp9");
  assert.throws(() => chooseCodec("video", common("vp8"), []), ParleyError);
});

test("bitrates follow the size of the picture, within limits", () => {
  assert.equal(maxBitrate("camera", 1280, 720), 1_700_000);
  assert.equal(maxBitrate("camera", 640, 360), 601_041);
  assert.equal(maxBitrate("camera", undefined, undefined), 1_700_000);
  assert.equal(maxBitrate("camera", 3840, 2160), 4_000_000);
  assert.equal(maxBitrate("camera", 16, 16), 150_000);
  assert.equal(maxBitrate("screen", 1920, 1080), 2_500_000);
});

test("data messages survive the way, with recipient and kind", () => {
  for (const [payload, to] of [["hé", ""], ["", "ännchen"], ["x", "b"]] as const) {
    assert.deepEqual(decode(encode(payload, to).buffer), { identity: to, payload });
  }
  const bytes = decode(encode(new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4), "bob").buffer);
  assert.deepEqual(bytes, { identity: "bob", payload: new Uint8Array([1, 2, 3]) });
  assert.deepEqual(encode("hi", "bob"), new Uint8Array([1, 3, 98, 111, 98, 104, 105]));
});

test("data messages beyond the limits are refused, broken ones are dropped", () => {
  assert.doesNotThrow(() => encode(new Uint8Array(65_536)));
  assert.throws(() => encode(new Uint8Array(65_537)), LimitError);
  assert.throws(() => encode("", "x".repeat(129)), ParleyError);
  for (const broken of [[], [1], [0, 1], [0, 3, 1, 2]]) assert.equal(decode(new Uint8Array(broken).buffer), undefined);
});

test("DTX is allowed on the m-lines that are named, once", () => {
  const answer = [
    "v=0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=mid:1",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "m=audio 9 UDP/TLS/RTP/SAVPF 109",
    "a=mid:11",
    "a=rtpmap:109 opus/48000/2",
    "",
  ].join("\r\n");
  const both = allowDtx(answer, new Set(["1", "11"]));
  assert.match(both, /a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n/);
  assert.match(both, /a=rtpmap:109 opus\/48000\/2\r\na=fmtp:109 usedtx=1\r\n/);
  assert.equal(allowDtx(both, new Set(["1", "11"])), both);
  assert.equal(allowDtx(answer, new Set(["2"])), answer);
});

test("a server's address becomes its socket's", () => {
  for (const [server, socket] of [
    ["https://parley.example", "wss://parley.example/v1/session"],
    ["http://localhost:8443/", "ws://localhost:8443/v1/session"],
    ["https://parley.example/calls?x=1#y", "wss://parley.example/calls/v1/session"],
    ["wss://parley.example/v1/session", "wss://parley.example/v1/session"],
  ] as const) {
    assert.equal(socketURL(server), socket);
  }
});

test("only envelopes are messages", () => {
  assert.deepEqual(parse('{"seq":1,"type":"ok","body":{}}'), { seq: 1, type: "ok", body: {} });
  for (const text of ["", "{", "null", "[]", '{"seq":"1","type":"ok","body":{}}', '{"seq":1,"type":"ok"}', '{"seq":1,"type":"ok","body":null}', 7]) {
    assert.equal(parse(text), undefined);
  }
});

test("speaking begins with a loud moment and ends after a pause", () => {
  const detector = new SpeakingDetector();
  assert.equal(detector.update(0.001, 0), false);
  assert.equal(detector.update(0.1, 100), true);
  assert.ok(detector.speaking);
  assert.equal(detector.update(0.001, 600), false); // between words
  assert.equal(detector.update(0.1, 650), false);
  assert.equal(detector.update(0, 1_249), false);
  assert.equal(detector.update(0, 1_250), true);
  assert.ok(!detector.speaking);
});

test("errors of the server become classes with code, next step and time", () => {
  const error = fromWire({ code: "overloaded", message: "full", next: "wait", retrySeconds: 5 });
  assert.ok(error instanceof LimitError);
  assert.deepEqual([error.code, error.message, error.next, error.retrySeconds], ["overloaded", "full", "wait", 5]);
  const newer = fromWire({ code: "teapot" as "rate", message: "short and stout" });
  assert.deepEqual([newer.name, newer.code], ["ParleyError", "teapot"]);
  const missing = forbidden("publish");
  assert.ok(missing instanceof PermissionError);
  assert.match(missing.next ?? "", /canPublish/);
});

test("each way in which a device can fail has a code and, where there is one, a next step", () => {
  for (const [name, code, step] of [
    ["NotAllowedError", "device-denied", true],
    ["NotFoundError", "device-missing", true],
    ["NotReadableError", "device-busy", true],
    ["TypeError", "device-failed", false],
  ] as const) {
    const error = deviceError(new DOMException("?", name), "camera");
    assert.equal(error.code, code);
    assert.equal(error.next !== undefined, step);
  }
});

test("events carry their details and come from the object itself", () => {
  class Door extends TypedEventTarget<{ opened: { readonly by: string } }> {}
  const door = new Door();
  const seen: string[] = [];
  const listen = (e: { readonly by: string; readonly type: string }): void => void seen.push(`${e.type} ${e.by}`);
  door.addEventListener("opened", listen);
  emit(door, "opened", { by: "ann" });
  door.removeEventListener("opened", listen);
  emit(door, "opened", { by: "bob" });
  assert.deepEqual(seen, ["opened ann"]);
});

test("a refused origin is told with the server's next step, and nothing else is taken for one", () => {
  const refused = originRefused({ code: "forbidden", detail: "pages of this origin may not use this server", next: "use --origins" });
  assert.equal(refused?.code, "origin-refused");
  assert.equal(refused?.message, "The server answers, but pages of this origin may not use this server.");
  assert.equal(refused?.next, "use --origins");
  for (const other of [undefined, null, "forbidden", {}, { code: "overloaded", detail: "x" }, { code: "forbidden" }]) assert.equal(originRefused(other), undefined);
});

test("an address without a scheme is refused with what is missing", () => {
  for (const bad of ["localhost:8443", "parley.example", "//parley.example", "", "ftp://parley.example"]) {
    assert.throws(() => socketURL(bad), (e) => e instanceof ParleyError && /must begin with https:\/\/ or http:\/\//.test(e.message), bad);
  }
  assert.equal(socketURL("http://localhost:8443"), "ws://localhost:8443/v1/session");
});

test("what is neither text nor bytes is refused by its type", () => {
  for (const [bad, name] of [[undefined, "undefined"], [null, "null"], [{ a: 1 }, "object"], [7, "number"], [[1], "object"]] as const) {
    assert.throws(() => encode(bad as unknown as string), (e) => e instanceof TypeError && e.message.includes(`not ${name}. JSON.stringify()`));
  }
});
