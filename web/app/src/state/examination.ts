// What /doctor looks at, one thing after the other.

import { signal } from "@preact/signals";
import { deviceAdvice, failureOf } from "../pure/advice.js";
import { bandwidthFinding, codecFinding, type Finding, gap, natFinding, reachFinding, relayFinding, wayFinding } from "../pure/examination.js";
import { readInvitation } from "../pure/invitation.js";
import { ask, gather, publish, receive, relay, watch } from "./connection-tests.js";
import { takeToken } from "./storage.js";

export type Examination =
  | { readonly at: "rest" }
  | { readonly at: "work"; readonly step: string; readonly findings: readonly Finding[] }
  | { readonly at: "end"; readonly findings: readonly Finding[] };

export const examination = signal<Examination>({ at: "rest" });

interface Server {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

/** Looks at everything. It ends by itself. */
export async function examine(): Promise<void> {
  const findings: Finding[] = [];
  const step = (text: string): void => {
    examination.value = { at: "work", step: text, findings: [...findings] };
  };
  const add = (finding: Finding | undefined): void => void (finding && findings.push(finding));
  const token = takeToken("doctor");
  step("Asking for camera and microphone");
  const stream = await openDevices(add);
  try {
    step("Looking at codecs");
    add(codecFinding(codecsOf(RTCRtpSender), codecsOf(RTCRtpReceiver)));
    step("Asking the server for relays");
    const servers = await iceServers(token, add);
    if (servers) {
      await tryServer(stream, token, step, add);
      for (const server of eachRelay(servers)) {
        step("Connecting through the relay");
        add(relayFinding(String(server.urls), await relay(server)));
      }
      step("Looking at the NAT");
      add(natFinding(await gather(stunURLs(servers)), findings.some(({ area, level }) => area === "UDP" && level === "ok")));
      add(reachFinding(findings));
    }
  } finally {
    for (const track of stream.getTracks()) track.stop();
    examination.value = { at: "end", findings };
  }
}

/** Tries camera and microphone, and returns what to send: what the microphone hears, and a picture that takes all the bandwidth it is given. */
async function openDevices(add: (finding: Finding) => void): Promise<MediaStream> {
  const stream = drawn();
  for (const [device, kind, area] of [["camera", "video", "Camera"], ["microphone", "audio", "Microphone"]] as const) {
    try {
      const [track] = (await navigator.mediaDevices.getUserMedia({ [kind]: true })).getTracks();
      add({ area, level: "ok", text: `${track?.label || "It"} works.`, next: "" });
      if (kind === "video") track?.stop();
      else if (track) stream.addTrack(track);
    } catch (reason) {
      const [name, message] = reason instanceof Error ? [isSecureContext ? reason.name : "", reason.message] : ["", String(reason)];
      const { title, next } = deviceAdvice(failureOf({ device, name, message, permission: "unknown", secure: isSecureContext }));
      add({ area, level: "warning", text: `${title}.`, next });
    }
  }
  return stream;
}

/** A picture that nothing compresses, until its track is stopped. */
function drawn(): MediaStream {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  const context = canvas.getContext("2d");
  const stream = canvas.captureStream(30);
  const draw = (): void => {
    if (!context || stream.getVideoTracks().every(({ readyState }) => readyState === "ended")) return;
    for (let i = 0; i < 200; i++) {
      context.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
      context.fillRect(Math.random() * 640, Math.random() * 360, 40, 40);
    }
    requestAnimationFrame(draw);
  };
  draw();
  return stream;
}

function codecsOf(side: typeof RTCRtpSender | typeof RTCRtpReceiver): string[] {
  const codecs = (["audio", "video"] as const).flatMap((kind) => side.getCapabilities(kind)?.codecs ?? []);
  const isCodec = (name: string): boolean => !/^(rtx|red|ulpfec|flexfec-03|CN|telephone-event)$/i.test(name);
  return codecs.map(({ mimeType }) => mimeType.split("/")[1] ?? "").filter(isCodec);
}

/** What the server has; undefined: it says nothing to whoever has no token. */
async function iceServers(token: string | undefined, add: (finding: Finding) => void): Promise<readonly Server[] | undefined> {
  const began = performance.now();
  try {
    const response = await ask("/v1/ice-servers?for=participant", token);
    if (response.status === 401 || response.status === 403) {
      add({ area: "Server", level: "fault", text: "The server wants to know who you are.", next: "Open this page with the token of an invitation: /doctor#token=…" });
      return undefined;
    }
    const { iceServers } = (await response.json()) as { iceServers: readonly Server[] };
    add({ area: "Server", level: "ok", text: `The server answers in ${Math.max(1, Math.round(performance.now() - began))}${gap}ms.`, next: "" });
    return iceServers;
  } catch {
    add({ area: "Server", level: "fault", text: "The server does not answer.", next: "See that you are online, then reload this page." });
    return undefined;
  }
}

/** Media to the server by UDP and TCP, and bandwidth by the first of them that works. */
async function tryServer(stream: MediaStream, token: string | undefined, step: (text: string) => void, add: (finding: Finding) => void): Promise<void> {
  // A token says who one is, and mostly in which room.
  const room = (token === undefined ? "" : readInvitation(token).room) || `doctor-${Math.random().toString(36).slice(2)}`;
  let isMeasured = false;
  for (const way of ["udp", "tcp"] as const) {
    step(`Connecting by ${way.toUpperCase()}`);
    const identity = token === undefined ? `visitor-${way}` : undefined;
    const call = await publish({ room, identity, token, way }, stream);
    add(wayFinding(way, call?.measured));
    if (!call) continue;
    const back = isMeasured ? undefined : await watch({ room, identity, token, way });
    if (back) {
      step("Measuring for five seconds");
      await new Promise((resolve) => setTimeout(resolve, 3000)); // browsers begin slowly, and Firefox slowest
      add(bandwidthFinding(await receive(back.pc)));
      isMeasured = true;
      back.end();
    }
    call.end();
  }
}

/** The relay by each of its URLs. */
function eachRelay(servers: readonly Server[]): RTCIceServer[] {
  return servers.flatMap(({ urls, username, credential }) =>
    urls
      .filter((url) => /^turns?:/.test(url))
      .map((url) => ({ urls: url, ...(username !== undefined && { username }), ...(credential !== undefined && { credential }) })),
  );
}

/** The server's STUN ports: those of its URLs, and the one that media go to. */
function stunURLs(servers: readonly Server[]): string[] {
  const all = servers.flatMap(({ urls }) => urls);
  const stun = all.filter((url) => url.startsWith("stun:"));
  const media = all.filter((url) => /^turn:.*transport=tcp$/.test(url)).map((url) => url.replace(/^turn:/, "stun:").replace(/\?.*/, ""));
  return [...new Set([...stun, ...media])];
}
