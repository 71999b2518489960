// What the browser knows of the media path, boiled down to what a person can act on.

import { type MediaPath, mediaPathOf, selectedPair } from "@parley-rtc/sdk";

export interface Rates {
  readonly bitsPerSecond: number;
  /** Part of the packets, 0 to 1, since the last look; undefined: no packets. */
  readonly loss: number | undefined;
}

export interface Statistics {
  readonly path: MediaPath | undefined;
  readonly rttMs: number | undefined;
  readonly sending: Rates;
  readonly receiving: Rates;
  readonly sent: string; // "1280×720, 30 fps, VP8"
  readonly received: readonly string[];
  readonly codecs: readonly string[];
}

interface Counters {
  readonly at: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly packetsOut: number;
  readonly lostOut: number;
  readonly packetsIn: number;
  readonly lostIn: number;
}

/** Turns counters into rates: one Sampler for one connection, asked every few seconds. */
export class Sampler {
  #before: Counters | undefined;

  sample(report: RTCStatsReport, nowMs: number): Statistics {
    const all: RTCStats[] = [...report.values()];
    const now = counters(all, nowMs);
    const before = this.#before ?? now;
    this.#before = now;
    const seconds = Math.max(0.001, (now.at - before.at) / 1000);
    const rate = (bytes: number): number => Math.max(0, (bytes * 8) / seconds);
    const pair = selectedPair(report);
    return {
      path: mediaPathOf(report),
      rttMs: pair?.currentRoundTripTime === undefined ? undefined : pair.currentRoundTripTime * 1000,
      sending: { bitsPerSecond: rate(now.bytesOut - before.bytesOut), loss: part(now.lostOut - before.lostOut, now.packetsOut - before.packetsOut) },
      receiving: { bitsPerSecond: rate(now.bytesIn - before.bytesIn), loss: part(now.lostIn - before.lostIn, now.packetsIn + now.lostIn - before.packetsIn - before.lostIn) },
      sent: all.filter(isOutbound).filter(isVideo).map(pictureOf).find((text) => text !== "") ?? "",
      received: all.filter(isInbound).filter(isVideo).map(pictureOf).filter((text) => text !== ""),
      codecs: codecsOf(all, report),
    };
  }
}

function counters(all: readonly RTCStats[], at: number): Counters {
  const [out, inbound, remote] = [all.filter(isOutbound), all.filter(isInbound), all.filter(isRemoteInbound)];
  return {
    at,
    bytesOut: sum(out, (s) => s.bytesSent),
    bytesIn: sum(inbound, (s) => s.bytesReceived),
    packetsOut: sum(out, (s) => s.packetsSent),
    lostOut: sum(remote, (s) => s.packetsLost),
    packetsIn: sum(inbound, (s) => s.packetsReceived),
    lostIn: sum(inbound, (s) => s.packetsLost),
  };
}

function sum<S>(all: readonly S[], value: (s: S) => number | undefined): number {
  return all.reduce((total, s) => total + (value(s) ?? 0), 0);
}

function part(lost: number, of: number): number | undefined {
  return of > 0 ? Math.min(1, Math.max(0, lost / of)) : undefined;
}

function codecsOf(all: readonly RTCStats[], report: RTCStatsReport): string[] {
  const used = [...all.filter(isOutbound), ...all.filter(isInbound)].map((s) => s.codecId);
  const names = used.map((id) => {
    const codec: unknown = id === undefined ? undefined : report.get(id);
    if (typeof codec !== "object" || codec === null || !("mimeType" in codec) || typeof codec.mimeType !== "string") return "";
    return codec.mimeType.replace(/^.*\//, "");
  });
  return [...new Set(names.filter((n) => n !== ""))];
}

interface Pictured {
  readonly frameWidth?: number;
  readonly frameHeight?: number;
  readonly framesPerSecond?: number;
}

function pictureOf({ frameWidth, frameHeight, framesPerSecond }: Pictured): string {
  if (!frameWidth || !frameHeight) return "";
  return `${frameWidth}×${frameHeight}${framesPerSecond ? `, ${Math.round(framesPerSecond)} fps` : ""}`;
}

const isVideo = (s: RTCRtpStreamStats): boolean => s.kind === "video";
const isOutbound = (s: RTCStats): s is RTCOutboundRtpStreamStats => s.type === "outbound-rtp";
const isInbound = (s: RTCStats): s is RTCInboundRtpStreamStats => s.type === "inbound-rtp";
/** What the server tells of packets that it got; the TypeScript library has no type of its own for it. */
const isRemoteInbound = (s: RTCStats): s is RTCStats & { readonly packetsLost?: number } => s.type === "remote-inbound-rtp";
