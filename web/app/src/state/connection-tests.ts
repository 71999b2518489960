// The connections that /doctor tries: to the server by WHIP and WHEP, and through its relay from this page to itself.

import { selectedPair } from "@parley-rtc/sdk";
import { answerBy, type Bandwidth, type Candidate, type Measured, type Way } from "../pure/examination.js";

/** How long a connection may take: as long as people wait. */
const patience = 8000;
const bandwidthTime = 5000;
/** What the picture takes of a path that carries it: a good camera's, in bits per second. */
const mostBitrate = 2_500_000;

export interface Call {
  readonly pc: RTCPeerConnection;
  readonly measured: Measured;
  end(): void;
}

/** Asks the server as whoever brought a token may. */
export function ask(path: string, token: string | undefined, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
  return fetch(path, { ...init, headers, cache: "no-store" });
}

/** Where a call goes, who is in it, and how its media go. */
export interface Place {
  readonly room: string;
  /** Undefined: who the token says. */
  readonly identity: string | undefined;
  readonly token: string | undefined;
  readonly way: Way;
}

/** Sends a stream to the server; undefined: it does not connect. */
export async function publish({ room, identity, token, way }: Place, stream: MediaStream): Promise<Call | undefined> {
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const init: RTCRtpTransceiverInit = { direction: "sendonly", streams: [stream] };
  for (const track of stream.getAudioTracks()) pc.addTransceiver(track, init);
  for (const track of stream.getVideoTracks()) {
    const { sender } = pc.addTransceiver(track, { ...init, sendEncodings: [{ maxBitrate: mostBitrate }] });
    // Browsers make a picture smaller that nothing compresses, and then send 0.5 Mbit/s of it, whatever the path carries.
    await sender.setParameters({ ...sender.getParameters(), degradationPreference: "maintain-resolution" }).catch(() => undefined);
  }
  return call(pc, pathOf("whip", room, "identity", identity), token, way);
}

/** Receives from the server what is published there, by whom it is. */
export function watch({ room, identity, token, way }: Place): Promise<Call | undefined> {
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  pc.addTransceiver("video", { direction: "recvonly" });
  return call(pc, pathOf("whep", room, "participant", identity), token, way);
}

function pathOf(carrier: string, room: string, role: string, identity: string | undefined): string {
  const path = `/${carrier}/${encodeURIComponent(room)}`;
  return identity === undefined ? path : `${path}?${role}=${encodeURIComponent(identity)}`;
}

async function call(pc: RTCPeerConnection, path: string, token: string | undefined, way: Way): Promise<Call | undefined> {
  const began = performance.now();
  let location = "";
  const end = (): void => {
    pc.close();
    if (location !== "") void ask(location, token, { method: "DELETE", keepalive: true }).catch(() => undefined); // it ends anyway
  };
  try {
    await pc.setLocalDescription();
    const response = await ask(path, token, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription?.sdp ?? "" });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    location = response.headers.get("Location") ?? "";
    await pc.setRemoteDescription({ type: "answer", sdp: answerBy(await response.text(), way) });
    await connected(pc);
    return { pc, measured: { rtt: await roundTrip(pc), took: performance.now() - began }, end };
  } catch {
    end();
    return undefined;
  }
}

/** Resolves once a connection carries something, and rejects where it does not in time. */
function connected(pc: RTCPeerConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("not connected in time")), patience);
    const look = (): void => {
      if (pc.connectionState !== "connected" && pc.connectionState !== "failed") return;
      clearTimeout(timer);
      if (pc.connectionState === "connected") resolve();
      else reject(new Error("not connected"));
    };
    pc.addEventListener("connectionstatechange", look);
    look();
  });
}

async function roundTrip(pc: RTCPeerConnection): Promise<number | undefined> {
  const seconds = selectedPair(await pc.getStats())?.currentRoundTripTime;
  return seconds === undefined ? undefined : seconds * 1000;
}

/** Connects this page to itself through relayed addresses alone; undefined: that does not work. */
export async function relay(server: RTCIceServer): Promise<Measured | undefined> {
  const began = performance.now();
  const one = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: "relay" });
  const two = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: "relay" });
  try {
    let release = (): void => undefined;
    const bothDescribed = new Promise<void>((resolve) => (release = resolve));
    const pass = (from: RTCPeerConnection, to: RTCPeerConnection): void =>
      from.addEventListener("icecandidate", ({ candidate }) => {
        if (candidate) void bothDescribed.then(() => to.addIceCandidate(candidate)).catch(() => undefined);
      });
    pass(one, two);
    pass(two, one);
    one.createDataChannel("");
    await one.setLocalDescription();
    await two.setRemoteDescription(descriptionOf(one));
    await two.setLocalDescription();
    await one.setRemoteDescription(descriptionOf(two));
    release();
    await connected(one);
    return { rtt: await roundTrip(one), took: performance.now() - began };
  } catch {
    return undefined;
  } finally {
    one.close();
    two.close();
  }
}

function descriptionOf({ localDescription }: RTCPeerConnection): RTCSessionDescriptionInit {
  if (!localDescription) throw new Error("no description was set");
  return localDescription;
}

/** The candidates that two ports of the server, and this machine's own addresses, give. Nothing is connected. */
export async function gather(urls: readonly string[]): Promise<readonly Candidate[]> {
  const pc = new RTCPeerConnection(urls.length > 0 ? { iceServers: [{ urls: [...urls] }] } : {});
  try {
    const found: Candidate[] = [];
    const all = new Promise<void>((resolve) => {
      setTimeout(resolve, patience);
      pc.addEventListener("icecandidate", ({ candidate }) => {
        if (!candidate) resolve();
        else if (candidate.candidate !== "") found.push(candidateOf(candidate));
      });
    });
    pc.createDataChannel("");
    await pc.setLocalDescription();
    await all;
    return found;
  } finally {
    pc.close();
  }
}

function candidateOf({ type, protocol, address, port, relatedAddress, relatedPort }: RTCIceCandidate): Candidate {
  // Browsers that hide addresses write zeros.
  const isHidden = !relatedAddress || relatedAddress === "0.0.0.0" || relatedAddress === "::" || !relatedPort;
  return { type: type ?? "", protocol: protocol ?? "", address: address ?? "", port: port ?? 0, base: isHidden ? undefined : `${relatedAddress}:${relatedPort}` };
}

/** Measures for five seconds what a connection receives of video. */
export async function receive(pc: RTCPeerConnection): Promise<Bandwidth> {
  const before = await received(pc);
  await new Promise((resolve) => setTimeout(resolve, bandwidthTime));
  const after = await received(pc);
  const packets = after.packets - before.packets;
  const lost = Math.max(0, after.lost - before.lost);
  return { bitsPerSecond: ((after.bytes - before.bytes) * 8000) / (after.at - before.at), lost: lost / Math.max(1, packets + lost) };
}

async function received(pc: RTCPeerConnection): Promise<{ readonly at: number; readonly bytes: number; readonly packets: number; readonly lost: number }> {
  const report: RTCStats[] = [...(await pc.getStats()).values()];
  const isVideo = (s: RTCStats): s is RTCInboundRtpStreamStats => s.type === "inbound-rtp" && (s as RTCInboundRtpStreamStats).kind === "video";
  const video = report.find(isVideo);
  return { at: performance.now(), bytes: video?.bytesReceived ?? 0, packets: video?.packetsReceived ?? 0, lost: video?.packetsLost ?? 0 };
}
