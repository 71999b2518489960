// Which cameras, microphones and speakers there are.

import { signal } from "@preact/signals";
import { recall, remember } from "./storage.js";

export interface Device {
  readonly id: string;
  readonly label: string;
}

export interface Devices {
  readonly cameras: readonly Device[];
  readonly microphones: readonly Device[];
  readonly speakers: readonly Device[];
}

export const devices = signal<Devices>({ cameras: [], microphones: [], speakers: [] });
export const speakerId = signal(recall("speaker"));

export const canChooseSpeaker = (): boolean => "setSinkId" in HTMLMediaElement.prototype;

export function chooseSpeaker(id: string): void {
  speakerId.value = id;
  remember("speaker", id);
}

/** Looks again; browsers tell labels only once access was given. */
export async function findDevices(): Promise<void> {
  if (!("mediaDevices" in navigator)) return;
  const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  const of = (kind: MediaDeviceKind, word: string): Device[] =>
    all
      .filter((d) => d.kind === kind && d.deviceId !== "")
      .map((d, i) => ({ id: d.deviceId, label: d.label || `${word} ${i + 1}` }));
  devices.value = { cameras: of("videoinput", "Camera"), microphones: of("audioinput", "Microphone"), speakers: of("audiooutput", "Speaker") };
}

/** Keeps the lists current until the returned function is called. */
export function watchDevices(): () => void {
  if (!("mediaDevices" in navigator)) return () => undefined;
  const look = (): void => void findDevices();
  look();
  navigator.mediaDevices.addEventListener("devicechange", look);
  return () => navigator.mediaDevices.removeEventListener("devicechange", look);
}
