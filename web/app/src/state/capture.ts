// One's own camera and microphone, before and during a call.

import { DeviceError, openDevices, openScreen } from "@parley-rtc/sdk";
import { signal } from "@preact/signals";
import { type DeviceKind, type Failure, failureOf, type Permission } from "../pure/advice.js";
import { recall, remember } from "./storage.js";

export type CaptureState =
  | { readonly is: "idle" }
  | { readonly is: "starting" }
  | { readonly is: "live"; readonly track: MediaStreamTrack }
  | { readonly is: "failed"; readonly failure: Failure };

const idle: CaptureState = { is: "idle" };

const quality = {
  camera: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } },
  microphone: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
} as const;

/**
 * A camera or a microphone with its switch. Switched off, a camera is released (its light goes out), while a microphone stays
 * open and silent, so that speaking while muted can be noticed.
 */
export class Capture {
  readonly device: "camera" | "microphone";
  readonly state = signal<CaptureState>(idle);
  /** What the switch says; it may be on while there is no track yet. */
  readonly on = signal(true);
  readonly deviceId = signal("");
  /** Which camera of a phone. */
  readonly facing = signal<"user" | "environment">("user");
  #attempt = 0;

  constructor(device: "camera" | "microphone") {
    this.device = device;
    this.deviceId.value = recall(device);
  }

  get track(): MediaStreamTrack | undefined {
    return this.state.value.is === "live" ? this.state.value.track : undefined;
  }

  constraints(): MediaTrackConstraints {
    const wanted = this.deviceId.value;
    // Chromium passes over an ideal deviceId while another device is open.
    if (wanted !== "") return { ...quality[this.device], deviceId: { exact: wanted } };
    return this.device === "camera" ? { ...quality.camera, facingMode: this.facing.value } : { ...quality.microphone };
  }

  async toggle(): Promise<void> {
    await (this.on.value && this.state.value.is !== "failed" ? this.switchOff() : this.switchOn());
  }

  async switchOn(): Promise<void> {
    this.on.value = true;
    if (this.state.value.is !== "live") await this.open();
  }

  async switchOff(): Promise<void> {
    this.on.value = false;
    if (this.device === "camera") this.close();
  }

  async choose(deviceId: string): Promise<void> {
    this.deviceId.value = deviceId;
    remember(this.device, deviceId);
    if (this.state.value.is === "live" || this.state.value.is === "failed") await this.open();
  }

  /** The other camera of a phone. */
  async flip(): Promise<void> {
    this.facing.value = this.facing.value === "user" ? "environment" : "user";
    this.deviceId.value = "";
    if (this.on.value) await this.open();
  }

  /** Opens the device anew. Phones open only one camera at a time, so the old one is closed first. */
  async open(): Promise<void> {
    const attempt = ++this.#attempt;
    if (this.device === "camera") this.track?.stop();
    const before = this.track;
    this.state.value = { is: "starting" };
    const kind = this.device === "camera" ? "video" : "audio";
    try {
      const stream = await openDevices({ [kind]: this.constraints() });
      before?.stop();
      this.adopt(stream.getTracks()[0], attempt);
    } catch (reason) {
      before?.stop();
      if (attempt !== this.#attempt) return;
      if (this.deviceId.value !== "" && isUnplugged(reason)) {
        this.deviceId.value = ""; // it stays remembered: it may be back next time
        return this.open();
      }
      const failure = await failureFrom(reason, this.device);
      if (attempt === this.#attempt) this.fail(failure);
    }
  }

  /** Takes a track that was opened, here or together with the other device. */
  adopt(track: MediaStreamTrack | undefined, attempt = ++this.#attempt): void {
    if (!track || attempt !== this.#attempt || (this.device === "camera" && !this.on.value)) {
      track?.stop();
      return;
    }
    track.addEventListener("ended", () => this.#ended(track));
    this.state.value = { is: "live", track };
  }

  fail(failure: Failure): void {
    this.on.value = false;
    this.state.value = { is: "failed", failure };
  }

  close(): void {
    this.#attempt++;
    this.track?.stop();
    this.state.value = idle;
  }

  /** It was unplugged, or its permission was withdrawn. */
  #ended(track: MediaStreamTrack): void {
    if (this.track === track) this.fail({ device: this.device, cause: "missing", detail: "" });
  }
}

/** Opens both with one question to the user where both are wanted; what fails is found out one by one. */
export async function openTogether(microphone: Capture, camera: Capture): Promise<void> {
  const wanted = [microphone, camera].filter((c) => c.on.value && c.state.value.is === "idle");
  if (wanted.length < 2) {
    await Promise.all(wanted.map((c) => c.open()));
    return;
  }
  for (const c of wanted) c.state.value = { is: "starting" };
  try {
    const stream = await openDevices({ audio: microphone.constraints(), video: camera.constraints() });
    microphone.adopt(stream.getAudioTracks()[0]);
    camera.adopt(stream.getVideoTracks()[0]);
  } catch (reason) {
    for (const c of wanted) {
      const failure = await failureFrom(reason, c.device);
      // A question that was closed is not put again unasked.
      if (failure.cause === "dismissed" || failure.cause === "insecure") c.fail(failure);
      else await c.open();
    }
  }
}

/** Asks for a screen, with what is heard of it or without. */
export async function captureScreen(audio: boolean): Promise<MediaStream | Failure> {
  try {
    return await openScreen({ video: { frameRate: { ideal: 15, max: 30 } }, audio });
  } catch (reason) {
    return failureFrom(reason, "screen");
  }
}

export const canShareScreen = (): boolean => "mediaDevices" in navigator && "getDisplayMedia" in navigator.mediaDevices;

/** Whether the device that was chosen is not there. */
function isUnplugged(reason: unknown): boolean {
  return reason instanceof DeviceError && reason.cause instanceof Error && reason.cause.name === "OverconstrainedError";
}

async function failureFrom(reason: unknown, device: DeviceKind): Promise<Failure> {
  const cause = reason instanceof DeviceError ? (reason.cause ?? reason) : reason;
  const isBrowsers = cause instanceof Error && !(cause instanceof DeviceError);
  return failureOf({
    device,
    name: isBrowsers ? cause.name : "",
    message: cause instanceof Error ? cause.message : String(cause),
    permission: await permissionOf(device),
    secure: !(reason instanceof DeviceError && reason.code === "insecure-origin"),
  });
}

async function permissionOf(device: DeviceKind): Promise<Permission> {
  if (device === "screen") return "unknown";
  try {
    return (await navigator.permissions.query({ name: device })).state;
  } catch {
    return "unknown"; // a browser that does not tell
  }
}
