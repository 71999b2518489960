// The sizes in which a picture is sent: encodings of simulcast, or spatial layers of one stream. Only numbers and names.
import { maxBitrate } from "./codecs.js";
const rids = ["q", "h", "f"];
/** Browsers encode no more sizes than this of a picture, whatever they are asked for. */
const sizesOf = (width = 1280, height = 720) => {
    const pixels = width * height;
    if (pixels >= 960 * 540)
        return 3;
    return pixels >= 480 * 270 ? 2 : 1;
};
/** Codecs that put several sizes into one stream, which costs less than simulcast. */
const isScalable = (codec) => codec === "vp9" || codec === "av1";
/** How a picture is sent. Cameras have as many sizes as their picture is worth; a screen has one unless it is asked for. */
export function chooseLayers(p) {
    const most = bitrateOf(p);
    if (isScalable(p.codec) && p.scalabilityMode !== undefined)
        return { kind: "svc", mode: p.scalabilityMode, maxBitrate: most };
    const sizes = (p.simulcast ?? p.source === "camera") ? sizesOf(p.width, p.height) : 1;
    if (sizes === 1)
        return { kind: "one", maxBitrate: most };
    if (isScalable(p.codec))
        return { kind: "svc", mode: `L${sizes}T3_KEY`, maxBitrate: most };
    return simulcast(p, sizes);
}
/** How a picture is sent on an m-line that has so many streams. */
export function layersFor(p, streams) {
    const layers = chooseLayers(p);
    if (streamsOf(layers) === streams)
        return layers;
    return streams === 1 ? { kind: "one", maxBitrate: bitrateOf(p) } : simulcast(p, streams);
}
/** The layers for another picture on the same m-line: as many, in the same way. */
export function refit(layers, p) {
    switch (layers.kind) {
        case "one":
            return { kind: "one", maxBitrate: bitrateOf(p) };
        case "svc":
            return { ...layers, maxBitrate: bitrateOf(p) };
        case "simulcast":
            return simulcast(p, layers.sizes.length);
    }
}
function simulcast(p, sizes) {
    return { kind: "simulcast", sizes: rids.slice(-sizes).map((rid, i) => sizeOf(p, rid, 2 ** (sizes - 1 - i))) };
}
const bitrateOf = (p) => p.maxBitrate ?? maxBitrate(p.source, p.width, p.height);
/** A size that is so many times smaller than the picture. A quarter of the pixels need a third of the bits. */
function sizeOf(p, rid, scale) {
    const scaled = (n) => (n === undefined ? undefined : Math.floor(n / scale));
    return { rid, scale, width: scaled(p.width), height: scaled(p.height), maxBitrate: Math.round(bitrateOf(p) / scale ** 1.5) };
}
/** How many streams of packets there are: it cannot change on an m-line. */
export function streamsOf(layers) {
    return layers.kind === "simulcast" ? layers.sizes.length : 1;
}
/** The layers as RTCPeerConnection.addTransceiver takes them. */
export function sendEncodings(layers) {
    switch (layers.kind) {
        case "one":
            return [{ maxBitrate: layers.maxBitrate, ...modeOf(oneSize) }];
        case "svc":
            return [{ maxBitrate: layers.maxBitrate, ...modeOf(layers.mode) }];
        case "simulcast":
            return layers.sizes.map(({ rid, scale, maxBitrate }) => ({ rid, scaleResolutionDownBy: scale, maxBitrate, ...modeOf(oneSize) }));
    }
}
/** Temporal layers, of which the server leaves some out where a network is slow. */
const oneSize = "L1T3";
// The member is of W3C WebRTC-SVC, which not every DOM type library knows.
const modeOf = (scalabilityMode) => ({ scalabilityMode });
/** What an offer says of the layers. */
export function offeredLayers(layers, { width, height }) {
    const size = width !== undefined && height !== undefined ? { width, height } : {};
    switch (layers.kind) {
        case "one":
            return size;
        case "svc":
            return { ...size, scalabilityMode: layers.mode };
        case "simulcast":
            return {
                ...size,
                encodings: layers.sizes.map((s) => ({
                    rid: s.rid,
                    ...(s.width !== undefined && s.height !== undefined && { width: s.width, height: s.height }),
                    maxBitrate: s.maxBitrate,
                })),
            };
    }
}
/** What the encoders shall do while that is wanted: one entry for each stream. */
export function tune(layers, wanted) {
    const active = (rid) => wanted === undefined || wanted.active.includes(rid);
    switch (layers.kind) {
        case "one":
            return [{ active: active(""), maxBitrate: layers.maxBitrate, scalabilityMode: oneSize, scaleResolutionDownBy: 1 }];
        case "simulcast":
            return layers.sizes.map(({ rid, maxBitrate }) => ({ active: active(rid), maxBitrate }));
        case "svc":
            return [{ active: active(""), ...reduced(layers, wanted?.spatial) }];
    }
}
/** Fewer spatial layers are those of a smaller picture. */
function reduced(layers, spatial) {
    const [, all, rest] = /^L([123])(T.*)$/.exec(layers.mode) ?? [];
    if (all === undefined || rest === undefined || rest.includes("h"))
        return { maxBitrate: layers.maxBitrate, scalabilityMode: layers.mode };
    const count = Math.min(Math.max(spatial ?? Number(all), 1), Number(all));
    const scale = 2 ** (Number(all) - count);
    return {
        maxBitrate: Math.round(layers.maxBitrate / scale ** 1.5),
        scalabilityMode: `L${count}${count === 1 ? rest.replace(/_KEY.*/, "") : rest}`,
        scaleResolutionDownBy: scale,
    };
}
/** Everything of two wishes. */
export function union(a, b) {
    if (a === undefined)
        return undefined;
    const spatial = Math.max(a.spatial ?? 0, b.spatial ?? 0);
    return {
        publication: b.publication,
        active: [...new Set([...a.active, ...b.active])],
        ...(spatial > 0 && { spatial }),
    };
}
/** Places change and viewers come and go: what is not wanted any more is sent a little longer. */
export const lowerMs = 800;
/** Follows what is wanted of one publication: up at once, down after a while. */
export class Demand {
    #change;
    #now;
    #latest;
    #timer;
    constructor(change) {
        this.#change = change;
    }
    get wanted() {
        return this.#now;
    }
    told(wanted) {
        this.#latest = wanted;
        this.#become(union(this.#now, wanted));
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#become(this.#latest), lowerMs);
    }
    close() {
        clearTimeout(this.#timer);
    }
    #become(wanted) {
        if (JSON.stringify(wanted) === JSON.stringify(this.#now))
            return;
        this.#now = wanted;
        this.#change();
    }
}
//# sourceMappingURL=layers.js.map