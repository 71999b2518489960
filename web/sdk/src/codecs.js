// Which codecs are offered: what the browser decodes for slots, one codec that it encodes for each published track.
import { MediaError } from "./errors.js";
const wantedVideo = ["vp8", "vp9", "h264", "av1"];
/** The wire's name of a codec: "vp8" for "video/VP8". */
export function codecName(c) {
    return c.mimeType.slice(c.mimeType.indexOf("/") + 1).toLowerCase();
}
/**
 * Codecs for a slot: Opus, also with redundancy (RFC 2198), which the server adds when packets are lost; or VP8, VP9, H.264 and AV1 in the profiles that Parley forwards, and RTX. Nothing else, so that many
 * slots fit into an offer.
 */
export function slotCodecs(kind, all) {
    if (kind === "audio")
        return ["opus", "red"].flatMap((name) => all.filter((c) => codecName(c) === name));
    const wanted = wantedVideo.flatMap((name) => all.filter((c) => codecName(c) === name && isForwarded(c)));
    return [...wanted, ...all.filter((c) => codecName(c) === "rtx")];
}
/** Codecs for a published track: the one that is chosen, and RTX; a voice with redundancy, where the browser has it. */
export function sendCodecs(chosen, all, isVoice = false) {
    const first = all.filter((c) => codecName(c) === chosen && isForwarded(c)).sort(byReach)[0];
    if (!first)
        return [];
    const redundant = isVoice ? all.filter((c) => codecName(c) === "red") : [];
    return [...redundant, first, ...all.filter((c) => codecName(c) === "rtx")];
}
/** The first codec that everyone in the room decodes and this browser encodes; the preferred one, if it is one of those. */
export function chooseCodec(kind, common, encodable, preferred = "") {
    const can = new Set(encodable.filter(isForwarded).map(codecName));
    const all = kind === "audio" ? common.audio : common.video;
    const wanted = all.includes(preferred) ? [preferred, ...all] : all;
    const choice = wanted.find((name) => can.has(name));
    if (choice)
        return choice;
    // With nothing in common, those who can decode the most usual codec still see it.
    const usual = kind === "audio" ? "opus" : wantedVideo.find((name) => can.has(name));
    if (usual && can.has(usual))
        return usual;
    throw new MediaError("unsupported-codec", `This browser encodes no ${kind} codec that Parley forwards.`, {
        next: "Use a current version of Chrome, Edge, Firefox or Safari.",
    });
}
/** Profiles that Parley forwards; H.264 only in the packetization that can carry a frame of any size (RFC 6184 §6.3). */
function isForwarded(c) {
    const parameters = new URLSearchParams((c.sdpFmtpLine ?? "").replaceAll(";", "&"));
    switch (codecName(c)) {
        case "vp9":
            return (parameters.get("profile-id") ?? "0") === "0";
        case "av1":
            return (parameters.get("profile") ?? "0") === "0";
        case "h264":
            // Baseline, main and high (RFC 6184 §8.1: profile_idc is the first byte), not the studio profiles.
            return parameters.get("packetization-mode") === "1" && /^(42|4d|64)/i.test(parameters.get("profile-level-id") ?? "42");
        default:
            return true;
    }
}
/** H.264: constrained baseline first, which every decoder plays. */
function byReach(a, b) {
    const rank = (c) => (/profile-level-id=42e0/i.test(c.sdpFmtpLine ?? "") ? 0 : 1);
    return rank(a) - rank(b);
}
/** The most that a video may take: 1.7 Mb/s at 720p, by the pixels of others; a screen needs sharp text more than motion. */
export function maxBitrate(source, width, height) {
    if (source === "screen")
        return 2_500_000;
    const pixels = (width ?? 1280) * (height ?? 720);
    const bitrate = 1_700_000 * (pixels / (1280 * 720)) ** 0.75;
    return Math.round(Math.min(Math.max(bitrate, 150_000), 4_000_000));
}
//# sourceMappingURL=codecs.js.map