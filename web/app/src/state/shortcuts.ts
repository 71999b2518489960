// Single keys that work while nobody types. They can be switched off (WCAG 2.1.4).

import { effect, signal } from "@preact/signals";
import type { Call } from "./call.js";
import { invite } from "./link.js";
import { toggleFullScreen } from "./full-screen.js";
import { recall, remember } from "./storage.js";
import { toggleHand } from "./hands.js";
import { sayRefusal, toggleInCall } from "./switches.js";
import { boardOpen, dialog, menuOpen, panel, pinned, toggleBoard, togglePanel, toggleView } from "./view.js";

export const shortcutsOn = signal(recall("shortcuts") !== "off");
/** Space is held down, and the microphone is open for as long. */
export const talking = signal(false);

export const shortcuts = [
  { key: "M", does: "Microphone on or off" },
  { key: "Space", does: "Hold to talk while muted" },
  { key: "V", does: "Camera on or off" },
  { key: "D", does: "Share the screen, or stop" },
  { key: "C", does: "Chat" },
  { key: "P", does: "People" },
  { key: "R", does: "Raise the hand, or lower it" },
  { key: "B", does: "Whiteboard" },
  { key: "N", does: "Notes" },
  { key: "G", does: "Grid, or who speaks large" },
  { key: "L", does: "Copy the link, or invite" },
  { key: "F", does: "Full screen" },
  { key: "?", does: "These shortcuts" },
  { key: "Esc", does: "Close what is open, or unpin" },
] as const;

export function switchShortcuts(on: boolean): void {
  shortcutsOn.value = on;
  remember("shortcuts", on ? "" : "off");
}

/** Listens until the returned function is called. */
export function listenForShortcuts(call: Call): () => void {
  const ending = new AbortController();
  const { signal: until } = ending;
  addEventListener("keydown", (e) => keyDown(e, call), { signal: until });
  addEventListener("keyup", (e) => { if (e.code === "Space") stopTalking(call); }, { signal: until });
  addEventListener("blur", () => stopTalking(call), { signal: until });
  const end = effect(() => {
    if (!call.may.value.microphone) talking.value = false; // it is off then
  });
  return () => {
    end();
    stopTalking(call);
    ending.abort();
  };
}

function keyDown(e: KeyboardEvent, call: Call): void {
  if (e.key === "Escape" && !e.isComposing) return closeTop(e);
  if (!shortcutsOn.value || e.ctrlKey || e.metaKey || e.altKey || e.repeat || isTyping(e.target) || dialog.value.is !== "none") {
    if (e.code === "Space" && talking.value) e.preventDefault(); // it repeats while it is held
    return;
  }
  if (e.code === "Space") {
    if (!isControl(e.target)) startTalking(e, call);
    return;
  }
  const does = actions[e.key.toLowerCase()];
  if (!does) return;
  e.preventDefault();
  does(call);
}

const actions: Readonly<Record<string, (call: Call) => void>> = {
  m: (call) => void toggleInCall(call, call.microphone),
  v: (call) => void toggleInCall(call, call.camera),
  d: (call) => void call.toggleSharing(),
  c: () => togglePanel("chat"),
  p: () => togglePanel("people"),
  r: (call) => void toggleHand(call),
  b: (call) => call.board.value && toggleBoard(),
  n: (call) => call.notes.value && togglePanel("notes"),
  g: (call) => toggleView(call.people.value.length),
  l: (call) => invite(call),
  f: () => void toggleFullScreen(),
  "?": () => (dialog.value = { is: "shortcuts" }),
};

function startTalking(e: KeyboardEvent, call: Call): void {
  e.preventDefault();
  if (call.microphone.on.value) return;
  if (!call.may.value.microphone) return sayRefusal("microphone");
  talking.value = true;
  void call.microphone.switchOn();
}

function stopTalking(call: Call): void {
  if (!talking.value) return;
  talking.value = false;
  void call.microphone.switchOff();
}

/** Dialogs close themselves. */
function closeTop(e: KeyboardEvent): void {
  if (dialog.value.is !== "none") return;
  if (menuOpen.value) menuOpen.value = false;
  else if (panel.value !== "none") panel.value = "none";
  else if (boardOpen.value) boardOpen.value = false;
  else if (pinned.value !== "") pinned.value = "";
  else return;
  e.preventDefault();
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

/** Space presses what has the focus. */
function isControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, a, summary, [role=menuitem]") !== null;
}
