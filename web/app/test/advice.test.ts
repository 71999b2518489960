// Rule: every way in which a device can be refused has its own cause, and every cause a title and a next step.

import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceAdvice, endAdvice, type DeviceKind, failureOf, type FailureCause, joinAdvice, mergeFailures, type Refusal, troubleAdvice } from "../src/pure/advice.js";

const refusal = (changes: Partial<Refusal>): Refusal => ({
  device: "camera",
  name: "NotAllowedError",
  message: "Permission denied",
  permission: "denied",
  secure: true,
  ...changes,
});

test("causes are told apart", () => {
  const table: [Partial<Refusal>, FailureCause][] = [
    [{}, "denied"],
    [{ permission: "unknown" }, "denied"],
    [{ permission: "prompt" }, "dismissed"],
    [{ message: "Permission dismissed", permission: "unknown" }, "dismissed"],
    [{ message: "Permission denied by system" }, "denied-by-system"],
    [{ name: "SecurityError" }, "denied"],
    [{ name: "NotFoundError" }, "missing"],
    [{ name: "OverconstrainedError" }, "missing"],
    [{ name: "NotReadableError" }, "busy"],
    [{ name: "AbortError" }, "busy"],
    [{ name: "" }, "unsupported"],
    [{ name: "TypeError" }, "unsupported"],
    [{ name: "StrangeError" }, "other"],
    [{ name: "", secure: false }, "insecure"],
    [{ device: "screen", permission: "unknown" }, "dismissed"],
    [{ device: "screen", permission: "denied" }, "denied"],
  ];
  for (const [changes, cause] of table) assert.equal(failureOf(refusal(changes)).cause, cause, JSON.stringify(changes));
});

test("every cause has a title and a next step, for every device", () => {
  const causes: FailureCause[] = ["denied", "denied-by-system", "dismissed", "busy", "missing", "insecure", "unsupported", "other"];
  for (const device of ["camera", "microphone", "screen"] satisfies DeviceKind[]) {
    const titles = causes.map((cause) => {
      const advice = deviceAdvice({ device, cause, detail: "detail" });
      assert.ok(advice.title.length > 10 && advice.next.length > 10);
      return advice.title;
    });
    assert.equal(new Set(titles).size, titles.length, "no two causes look the same");
  }
});

test("camera and microphone fail as one where one step is for both", () => {
  const failure = (device: DeviceKind, cause: FailureCause): ReturnType<typeof failureOf> => ({ device, cause, detail: "" });
  const merged = mergeFailures([failure("camera", "denied"), failure("microphone", "denied")]);
  assert.deepEqual(merged.map((f) => f.device), ["camera and microphone"]);
  for (const failures of [
    [],
    [failure("camera", "denied")],
    [failure("camera", "denied"), failure("microphone", "missing")],
    [failure("camera", "missing"), failure("microphone", "missing")],
  ]) {
    assert.deepEqual(mergeFailures(failures), failures);
  }
});

test("an insecure page leads to https and to the certificate", () => {
  assert.deepEqual(deviceAdvice(failureOf(refusal({ secure: false, name: "" }))).actions, ["https", "trust"]);
});

test("ends have a cause and a next step; a kicked participant is not offered to rejoin", () => {
  for (const code of ["kicked", "replaced", "draining", "overloaded", "unauthorized", "forbidden", "timeout", "protocol", "internal", "new-code"]) {
    const advice = endAdvice(code, "message", undefined);
    assert.ok(advice.title.length > 10 && advice.next.length > 10, code);
  }
  assert.ok(!endAdvice("kicked", "", undefined).actions.includes("rejoin"));
  assert.ok(endAdvice("draining", "", undefined).actions.includes("rejoin"));
});

test("the server's own next step is told where there is no better one, as a sentence", () => {
  assert.equal(endAdvice("internal", "message", "Do this.").next, "Do this.");
  assert.equal(joinAdvice("new-code", "message", "try again once somebody has left").next, "Try again once somebody has left.");
});

test("who cannot join is told what is full, or does not answer, and not of a call that was lost", () => {
  assert.equal(joinAdvice("limit", "this room is full", "try again").title, "This room is full");
  assert.equal(joinAdvice("connection", "no answer", undefined).title, "The server does not answer");
  assert.equal(endAdvice("connection", "no answer", undefined).title, "The connection to the server was lost");
  assert.equal(joinAdvice("overloaded", "message", undefined).title, endAdvice("overloaded", "message", undefined).title);
});

test("trouble is told where its cause is known, with the SDK's next step", () => {
  assert.deepEqual(troubleAdvice("no-media", "Try port 1."), { title: "Sound and pictures do not get through", next: "Try port 1.", actions: [] });
  assert.equal(troubleAdvice("timeout", "Try again"), undefined);
});
