import { type DataMessage } from "./channels.js";
import { type ParleyError } from "./errors.js";
import { type MediaPath } from "./media-path.js";
import type { LocalPublication } from "./publication.js";
import { type SlotCount } from "./slots.js";
import { type TransportOwner } from "./transport.js";
import type { Path } from "./transport-machine.js";
import type { Answer, Codecs, Encodings, Offer } from "./wire.gen.js";
/** Who the media are for. */
export interface MediaOwner {
    readonly configuration: RTCConfiguration;
    offer(offer: Offer): Promise<Answer>;
    /** The room's common codecs. */
    readonly codecs: Codecs;
    /** A new RTCPeerConnection is offered for the first time: its slots are empty. */
    connectionReplaced(): void;
    /** The publication has another id than before, or its first. */
    named(publication: LocalPublication, id: string): void;
    /** What has a name is sent. */
    published(): void;
    /** The server does not take the publication. */
    notPublished(publication: LocalPublication, error: ParleyError): void;
    received(message: DataMessage, reliable: boolean): void;
    pathChanged(path: Path, reason: ParleyError | undefined): void;
    peerConnectionChanged(): void;
}
export declare class Media implements TransportOwner {
    #private;
    constructor(owner: MediaOwner, slots?: SlotCount);
    get peerConnection(): RTCPeerConnection;
    /** An offer is on its way: what the server says of one's own publications may be about either side of it. */
    get isOffering(): boolean;
    /** Makes the first offer. */
    start(): void;
    close(): void;
    /** Begins again on a new RTCPeerConnection, at once; perhaps in a new session. */
    replace({ session }?: {
        session?: boolean | undefined;
    }): void;
    serverSays(state: string): void;
    networkChanged(): void;
    /** What has come from the server on any pair: bytes, and answers to checks where the browser counts them. It grows while there is a path. */
    received(): Promise<number>;
    /** When the newest packet of sound or pictures came, in milliseconds as of performance.now(); 0: none has, or it cannot be known. */
    newestPacket(): number;
    growSlots(wanted: SlotCount): void;
    /** Offers the publication's track, on an m-line that is free or on a new one. The owner hears what becomes of it. */
    publish(publication: LocalPublication): void;
    /** What somebody wants of a publication: the rest is not sent. */
    wanted(encodings: Encodings): void;
    /** Frees the publication's m-line. Nothing of its track is sent any more. */
    unpublish(publication: LocalPublication): Promise<void>;
    replaceTrack(publication: LocalPublication, track: MediaStreamTrack): Promise<void>;
    sender(publication: LocalPublication): RTCRtpSender | undefined;
    /** What the packets travel over now. */
    path(): Promise<MediaPath | undefined>;
    /** The receiver of a slot's m-line. */
    receiver(mid: string): RTCRtpReceiver | undefined;
    /** The room's common codecs have changed: what not everyone can decode is offered in another one. */
    codecsChanged(): void;
    send(message: Uint8Array<ArrayBuffer>, reliable: boolean): Promise<void>;
    begin(): void;
    prepare(): Promise<void>;
    exchange(sdp: string): Promise<string>;
    negotiated(): Promise<void>;
    refused(error: ParleyError): void;
    pathChanged(path: Path): void;
    lost(): void;
}
