// Which screen there is, and how one leads to the next.

import { join, ParleyError } from "@parley-rtc/sdk";
import { signal } from "@preact/signals";
import { accessAdvice, type Advice, endAdvice, joinAdvice, leftAdvice, roomProblem } from "../pure/advice.js";
import { faultOf, type Invitation, readInvitation } from "../pure/invitation.js";
import { camerasAtOnce } from "../pure/many.js";
import { pathOfRoom, roomOfPath } from "../pure/room-name.js";
import type { Call } from "./call.js";
import { Capture } from "./capture.js";
import { Seat } from "./identity.js";
import { type Ended, RoomCall } from "./room-call.js";
import { recall, remember, rememberRoom, takeToken } from "./storage.js";
import { resetView, shortSide } from "./view.js";

export type Screen =
  | { readonly at: "start" }
  | { readonly at: "doctor" }
  | { readonly at: "lobby"; readonly room: string; readonly joining: boolean; readonly problem: Advice | undefined }
  | { readonly at: "call"; readonly call: Call }
  | { readonly at: "ended"; readonly room: string; readonly advice: Advice };

export const screen = signal<Screen>({ at: "start" });
export const microphone = new Capture("microphone");
export const camera = new Capture("camera");
/** What one's invitation says, where there is one. */
export const invitation = signal<Invitation | undefined>(undefined);
export const ownName = signal(recall("name"));

let token: string | undefined;
let joining: AbortController | undefined;

/** Shows what the address names. */
export function openAddress(): void {
  endWhatGoesOn();
  if (location.pathname === "/doctor") {
    screen.value = { at: "doctor" };
    return;
  }
  const room = roomOfPath(location.pathname);
  if (room === undefined) {
    screen.value = { at: "start" };
    return;
  }
  token = takeToken(room);
  invitation.value = token === undefined ? undefined : readInvitation(token);
  const problem = roomProblem(room, invitation.value?.room ?? "");
  if (problem) screen.value = { at: "ended", room, advice: problem };
  else enterLobby(room);
}

/** Goes to a room's lobby, or to the start page. */
export function go(room: string | undefined): void {
  history.pushState(null, "", room === undefined ? "/" : pathOfRoom(room));
  openAddress();
}

export function enterLobby(room: string): void {
  resetView();
  microphone.on.value = mayUse(microphone) && recall("join-muted") === "";
  camera.on.value = mayUse(camera) && recall("join-dark") === "";
  screen.value = { at: "lobby", room, joining: false, problem: undefined };
}

export async function enterRoom(room: string, name: string): Promise<void> {
  const cancel = new AbortController();
  joining?.abort();
  joining = cancel;
  if (name !== invitation.value?.name) {
    ownName.value = name;
    remember("name", name);
  }
  rememberSwitch("join-muted", microphone);
  rememberSwitch("join-dark", camera);
  screen.value = { at: "lobby", room, joining: true, problem: undefined };
  const seat = token === undefined ? await Seat.find(room, name) : undefined; // an invitation says who one is
  try {
    const joined = await join({
      room,
      name,
      lastN: camerasAtOnce(shortSide()),
      signal: cancel.signal,
      ...(token !== undefined && { token }),
      ...(seat?.identity !== undefined && { identity: seat.identity }),
    });
    rememberRoom(room);
    seat?.taken(joined.localParticipant.identity);
    const ended: Ended = (reason, others) => {
      seat?.leave();
      callEnded(room, reason, others);
    };
    screen.value = { at: "call", call: new RoomCall(joined, microphone, camera, token !== undefined, ended) };
  } catch (reason) {
    seat?.leave();
    if (cancel.signal.aborted) return;
    screen.value = { at: "lobby", room, joining: false, problem: adviceOf(reason, joinAdvice) };
  }
}

/** As far as one's invitation says. */
export const mayUse = ({ device }: Capture): boolean => invitation.value?.[device] ?? true;

function rememberSwitch(key: "join-muted" | "join-dark", capture: Capture): void {
  if (mayUse(capture)) remember(key, capture.on.value || capture.state.value.is === "failed" ? "" : "yes");
}

function callEnded(room: string, reason: ParleyError | undefined, areOthersThere: boolean): void {
  closeDevices();
  if (screen.value.at !== "call") return; // another page was opened meanwhile
  const advice = !reason || reason.code === "left" ? leftAdvice(room, areOthersThere) : adviceOf(reason, endAdvice);
  screen.value = { at: "ended", room, advice };
}

function adviceOf(reason: unknown, about: typeof endAdvice): Advice {
  if (reason instanceof ParleyError && reason.code === "unauthorized") return accessAdvice(faultOf(invitation.value, Date.now()));
  if (reason instanceof ParleyError) return about(reason.code, reason.message, reason.next);
  return about("internal", reason instanceof Error ? reason.message : String(reason), undefined);
}

function endWhatGoesOn(): void {
  joining?.abort();
  const before = screen.value;
  screen.value = { at: "start" };
  if (before.at === "call") before.call.leave();
  closeDevices();
}

function closeDevices(): void {
  microphone.close();
  camera.close();
}
