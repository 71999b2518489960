// Every screen without a server: go run ./internal/tools/webbuild -fixture localhost:8099, then open
//
//	/?scene=call&people=5&share=1&panel=chat&connection=reconnecting
//	/?scene=call&panel=statistics&path=turn/tls   /?scene=call&menu=1&toast=long   /?scene=call&connection=connecting&trouble=no-media&toast=1
//	/?scene=call&board=1   /?scene=call&panel=notes&blank=1   /?scene=call&board=1&connection=reconnecting&unsent=1   /?scene=call&board=1&without=write
//	/?scene=call&connection=reconnecting&since=75&said=1
//	/?scene=call&without=microphone,camera,screen,write
//	/?scene=start   /?scene=lobby&failure=denied&device=camera   /?scene=lobby&code=foreign   /?scene=left   /?scene=ended&code=kicked
//	/?scene=doctor   /?scene=doctor&at=work   /?scene=doctor&at=end
//
// It is for development and is not part of what is shipped.

import type { MediaPath } from "@parley-rtc/sdk";
import { render } from "preact";
import { accessAdvice, deviceAdvice, endAdvice, joinAdvice, leftAdvice, troubleAdvice, type FailureCause } from "../src/pure/advice.js";
import { bandwidthFinding, codecFinding, type Finding, natFinding, relayFinding, wayFinding } from "../src/pure/examination.js";
import { camera, microphone, ownName, screen } from "../src/state/app.js";
import type { Connection } from "../src/state/call.js";
import { examination } from "../src/state/examination.js";
import { speakingWhileMuted } from "../src/state/muted-hint.js";
import { rememberRoom } from "../src/state/storage.js";
import { say } from "../src/state/toasts.js";
import { boardOpen, dialog, menuOpen, type Panel, panel, pinned, watchOrientation } from "../src/state/view.js";
import { App } from "../src/ui/app.js";
import { FakeCall } from "./fake-call.js";

const query = new URLSearchParams(location.search);
const room = query.get("room") ?? "calm-otter-bridge";

function showScene(): void {
  switch (query.get("scene") ?? "call") {
    case "start":
      if (query.has("recent")) for (const name of ["monday-standup", "swift-heron-lagoon", "family"]) rememberRoom(name);
      screen.value = { at: "start" };
      return;
    case "lobby":
      ownName.value = query.get("name") ?? "Ann Lee";
      screen.value = { at: "lobby", room, joining: query.has("joining"), problem: problemOf(query.get("code")) };
      return showFailure();
    case "left":
      screen.value = { at: "ended", room, advice: leftAdvice(room, !query.has("alone")) };
      return;
    case "doctor":
      screen.value = { at: "doctor" };
      return showExamination();
    case "ended":
      screen.value = { at: "ended", room, advice: endAdvice(query.get("code") ?? "kicked", "the session is over", undefined) };
      return;
    default:
      return showCall();
  }
}

function problemOf(code: string | null): ReturnType<typeof joinAdvice> | undefined {
  if (code === null) return undefined;
  return code === "foreign" || code === "expired" ? accessAdvice(code) : joinAdvice(code, "refused", undefined);
}

function showExamination(): void {
  const found = [
    wayFinding("udp", undefined),
    bandwidthFinding({ bitsPerSecond: 240_000, lost: 0.012 }),
    wayFinding("tcp", { rtt: 41, took: 380 }),
    relayFinding("turn:h?transport=tcp", { rtt: 43, took: 410 }),
    natFinding([], false),
  ];
  const first: Finding[] = [
    { area: "Camera", level: "ok", text: "FaceTime HD Camera (Built-in) (05ac:8514) works.", next: "" },
    codecFinding(["opus", "VP8", "H264", "VP9", "AV1"], ["opus", "G722", "VP8", "H264", "VP9", "AV1"]),
  ];
  if (query.get("at") === "work") examination.value = { at: "work", step: "Connecting by UDP", findings: first };
  if (query.get("at") === "end") examination.value = { at: "end", findings: [...first, ...found] };
}

function showFailure(): void {
  const cause = query.get("failure");
  if (!cause) return;
  const failed = query.get("device") === "microphone" ? [microphone] : query.get("device") === "camera" ? [camera] : [camera, microphone];
  setTimeout(() => {
    for (const c of failed) c.fail({ device: c.device, cause: cause as FailureCause, detail: "Something the browser says" });
  }, 600);
}

function showCall(): void {
  const connection = (query.get("connection") ?? "connected") as Connection;
  const call = new FakeCall(room, Number(query.get("people") ?? 5), query.has("share"), connection, microphone, camera, (query.get("path") ?? "udp") as MediaPath, { isEmpty: query.has("blank"), isPending: query.has("unsent"), without: (query.get("without") ?? "").split(",") });
  microphone.on.value = !query.has("muted");
  screen.value = { at: "call", call };
  panel.value = (query.get("panel") ?? "none") as Panel;
  menuOpen.value = query.has("menu");
  boardOpen.value = query.has("board");
  pinned.value = query.get("pinned") ?? "";
  speakingWhileMuted.value = query.has("hint");
  if (connection === "reconnecting") call.loss.value = { since: Date.now() - 1000 * Number(query.get("since") ?? 3), wasSaid: query.has("said") };
  call.trouble.value = troubleAdvice(query.get("trouble") ?? "", "A firewall or a VPN may block UDP and TCP port 8443. Let them through, or use another network.");
  sayThings(query.get("toast"));
  const which = query.get("dialog");
  if (which === "devices" || which === "shortcuts") dialog.value = { is: which };
  const second = call.people.value[1];
  if (which === "wipe") dialog.value = { is: "wipe", board: call.board.value };
  if (which === "remove" && second) dialog.value = { is: "remove", person: second };
}

/** Two messages: short ones, or those that take most room. */
function sayThings(which: string | null): void {
  if (which === null) return;
  if (which === "long") {
    const { title, next } = deviceAdvice({ device: "microphone", cause: "denied", detail: "" }, true);
    say(title, next, { label: "Try again", does: () => undefined });
    say("Bartholomew Featherstonehaugh-Cholmondeley has drawn on the whiteboard", "", { label: "Look", does: () => (boardOpen.value = true) });
    return;
  }
  say("Mia Rossi joined");
  say("Nothing was chosen to share", "Share again and choose a tab, a window or a screen.");
}

const root = document.getElementById("app");
if (root) {
  watchOrientation();
  showScene();
  render(<App />, root);
}
