// What of a call is open on this screen. None of it is known to others.

import { signal } from "@preact/signals";
import { suitingView, type View } from "../pure/many.js";
import type { Board, Person } from "./call.js";

export type Panel = "none" | "chat" | "people" | "notes" | "statistics";
export type Dialog = { readonly is: "none" } | { readonly is: "devices" } | { readonly is: "shortcuts" } | { readonly is: "invite" } | { readonly is: "remove"; readonly person: Person } | { readonly is: "wipe"; readonly board: Board };

export const panel = signal<Panel>("none");
export const dialog = signal<Dialog>({ is: "none" });
export const menuOpen = signal(false);
/** The whiteboard is on the stage. */
export const boardOpen = signal(false);
/** Key of the tile that was made large; empty: none. */
export const pinned = signal("");
/** What somebody has chosen; undefined: what suits the number of people. */
export const chosenView = signal<View | undefined>(undefined);
/** The newest line of the chat that was on screen; empty: none was. */
export const lastRead = signal("");

/** The window is higher than wide. */
export const portrait = signal(false);

export function watchOrientation(): void {
  const query = matchMedia("(orientation: portrait)");
  portrait.value = query.matches;
  query.addEventListener("change", () => (portrait.value = query.matches));
}

/** Of the screen, in CSS pixels: it does not change when the device is turned. */
export const shortSide = (): number => Math.min(window.screen.width, window.screen.height);

export const viewFor = (count: number): View => chosenView.value ?? suitingView(count, shortSide());

export function toggleView(count: number): void {
  chosenView.value = viewFor(count) === "grid" ? "speaker" : "grid";
}

export function togglePanel(which: Panel): void {
  panel.value = panel.value === which ? "none" : which;
}

export function toggleBoard(): void {
  boardOpen.value = !boardOpen.value;
}

export function closeDialog(): void {
  dialog.value = { is: "none" };
}

export function togglePin(key: string): void {
  pinned.value = pinned.value === key ? "" : key;
}

export function resetView(): void {
  panel.value = "none";
  dialog.value = { is: "none" };
  menuOpen.value = false;
  boardOpen.value = false;
  pinned.value = "";
  chosenView.value = undefined;
  lastRead.value = "";
}
