import { type ParleyError } from "./errors.js";
import { type Path, type TransportState } from "./transport-machine.js";
/** Who the transport works for. */
export interface TransportOwner {
    /** Makes the m-lines that every RTCPeerConnection begins with. */
    begin(): void;
    /** Brings all m-lines into the wanted shape, right before an offer is made. */
    prepare(): Promise<void> | void;
    /** Takes a local description to the server; resolves with the answer's SDP. */
    exchange(offer: string): Promise<string>;
    /** The answer is in force. */
    negotiated(): Promise<void> | void;
    /** The server refused the offer, or the browser could not make or take a description. */
    refused(error: ParleyError): void;
    pathChanged(path: Path): void;
    /** The RTCPeerConnection is of no more use. */
    lost(): void;
}
export declare class Transport {
    #private;
    readonly peerConnection: RTCPeerConnection;
    constructor(configuration: RTCConfiguration, owner: TransportOwner);
    get state(): TransportState;
    /** The m-lines have to be offered anew. */
    changed(): void;
    /** Another network has taken the place of the one that was used. */
    networkChanged(): void;
    /** What the server says of its side. */
    serverSays(state: string): void;
    close(): void;
}
