import type { Codecs } from "./wire.gen.js";
/** A codec as getCapabilities lists it. */
export type Capability = RTCRtpCodec;
/** The wire's name of a codec: "vp8" for "video/VP8". */
export declare function codecName(c: Capability): string;
/**
 * Codecs for a slot: Opus, also with redundancy (RFC 2198), which the server adds when packets are lost; or VP8, VP9, H.264 and AV1 in the profiles that Parley forwards, and RTX. Nothing else, so that many
 * slots fit into an offer.
 */
export declare function slotCodecs(kind: "audio" | "video", all: readonly Capability[]): Capability[];
/** Codecs for a published track: the one that is chosen, and RTX; a voice with redundancy, where the browser has it. */
export declare function sendCodecs(chosen: string, all: readonly Capability[], isVoice?: boolean): Capability[];
/** The first codec that everyone in the room decodes and this browser encodes; the preferred one, if it is one of those. */
export declare function chooseCodec(kind: "audio" | "video", common: Codecs, encodable: readonly Capability[], preferred?: string): string;
/** The most that a video may take: 1.7 Mb/s at 720p, by the pixels of others; a screen needs sharp text more than motion. */
export declare function maxBitrate(source: string, width: number | undefined, height: number | undefined): number;
