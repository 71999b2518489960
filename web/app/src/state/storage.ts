// What this browser remembers between calls. Private windows may refuse storage: then nothing is remembered.

import { signal } from "@preact/signals";

const prefix = "parley.";
const maxRecent = 6;

export interface RecentRoom {
  readonly room: string;
  readonly at: number;
}

type Key = "name" | "camera" | "microphone" | "speaker" | "join-muted" | "join-dark" | "recent" | "shortcuts";

export function recall(key: Key): string {
  try {
    return localStorage.getItem(prefix + key) ?? "";
  } catch {
    return "";
  }
}

export function remember(key: Key, value: string): void {
  try {
    if (value === "") localStorage.removeItem(prefix + key);
    else localStorage.setItem(prefix + key, value);
  } catch {
    // not remembered
  }
}

export const recentRooms = signal<readonly RecentRoom[]>(readRecent());

export function rememberRoom(room: string): void {
  writeRecent([{ room, at: Date.now() }, ...recentRooms.value.filter((r) => r.room !== room)].slice(0, maxRecent));
}

export function forgetRoom(room: string): void {
  writeRecent(recentRooms.value.filter((r) => r.room !== room));
}

function writeRecent(rooms: readonly RecentRoom[]): void {
  recentRooms.value = rooms;
  remember("recent", rooms.length === 0 ? "" : JSON.stringify(rooms));
}

function readRecent(): RecentRoom[] {
  try {
    const parsed: unknown = JSON.parse(recall("recent") || "[]");
    return Array.isArray(parsed) ? parsed.filter(isRecentRoom).slice(0, maxRecent) : [];
  } catch {
    return [];
  }
}

function isRecentRoom(value: unknown): value is RecentRoom {
  if (typeof value !== "object" || value === null) return false;
  return "room" in value && typeof value.room === "string" && "at" in value && typeof value.at === "number";
}

/** The token of an invitation link (#token=…). It leaves the address bar at once, and survives a reload of this tab only. */
export function takeToken(room: string): string | undefined {
  const given = new URLSearchParams(location.hash.slice(1)).get("token") ?? undefined;
  if (location.hash !== "") history.replaceState(history.state, "", location.pathname + location.search);
  if (given) forTab(`token.${room}`, given);
  return given ?? ofTab(`token.${room}`);
}

/** What this tab alone remembers, also when its page is loaded anew. */
export function ofTab(key: string): string | undefined {
  try {
    return sessionStorage.getItem(prefix + key) ?? undefined;
  } catch {
    return undefined;
  }
}

export function forTab(key: string, value: string): void {
  try {
    sessionStorage.setItem(prefix + key, value);
  } catch {
    // not remembered
  }
}
