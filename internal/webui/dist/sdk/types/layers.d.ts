import type { Encodings, OfferTrack, Source } from "./wire.gen.js";
/** What decides on layers. */
export interface Picture {
    readonly source: Source;
    readonly codec: string;
    readonly width: number | undefined;
    readonly height: number | undefined;
    /** What the application asks for, instead of the default. */
    readonly simulcast?: boolean | undefined;
    readonly scalabilityMode?: string | undefined;
    readonly maxBitrate?: number | undefined;
}
/** As MediaStreamTrack.getSettings tells them. */
interface Dimensions {
    readonly width?: number;
    readonly height?: number;
}
/** One size of several, as the browser and the server are told of it. */
export interface Size {
    readonly rid: string;
    readonly scale: number;
    readonly width: number | undefined;
    readonly height: number | undefined;
    readonly maxBitrate: number;
}
export type Layers = {
    readonly kind: "one";
    readonly maxBitrate: number;
} | {
    readonly kind: "simulcast";
    readonly sizes: readonly Size[];
} | {
    readonly kind: "svc";
    readonly mode: string;
    readonly maxBitrate: number;
};
/** How a picture is sent. Cameras have as many sizes as their picture is worth; a screen has one unless it is asked for. */
export declare function chooseLayers(p: Picture): Layers;
/** How a picture is sent on an m-line that has so many streams. */
export declare function layersFor(p: Picture, streams: number): Layers;
/** The layers for another picture on the same m-line: as many, in the same way. */
export declare function refit(layers: Layers, p: Picture): Layers;
/** How many streams of packets there are: it cannot change on an m-line. */
export declare function streamsOf(layers: Layers): number;
/** The layers as RTCPeerConnection.addTransceiver takes them. */
export declare function sendEncodings(layers: Layers): RTCRtpEncodingParameters[];
/** What an offer says of the layers. */
export declare function offeredLayers(layers: Layers, { width, height }: Dimensions): Partial<OfferTrack>;
/** What somebody wants of a publication; undefined: everything, as nobody has said otherwise. */
export type Wanted = Encodings | undefined;
/** What one stream's encoder shall do. */
export interface Tuning {
    readonly active: boolean;
    readonly maxBitrate: number;
    readonly scalabilityMode?: string;
    readonly scaleResolutionDownBy?: number;
}
/** What the encoders shall do while that is wanted: one entry for each stream. */
export declare function tune(layers: Layers, wanted: Wanted): Tuning[];
/** Everything of two wishes. */
export declare function union(a: Wanted, b: Encodings): Wanted;
/** Places change and viewers come and go: what is not wanted any more is sent a little longer. */
export declare const lowerMs = 800;
/** Follows what is wanted of one publication: up at once, down after a while. */
export declare class Demand {
    #private;
    constructor(change: () => void);
    get wanted(): Wanted;
    told(wanted: Encodings): void;
    close(): void;
}
export {};
