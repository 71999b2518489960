import type { LocalPublication, RemotePublication } from "./publication.js";
import type { Grants, Participant as WireParticipant, Source } from "./wire.gen.js";
declare abstract class Member {
    #private;
    readonly identity: string;
    readonly joinedAt: Date;
    protected constructor(facts: Pick<WireParticipant, "identity" | "name" | "metadata" | "joinedAt">);
    /** For display; the identity where there is none. */
    get name(): string;
    get metadata(): string;
    /** Whether the participant speaks now: the server says so, also of those who are not among the loudest; or it is heard here. */
    get speaking(): boolean;
    /** The loudest of the participant's sounds now, 0 to 1. */
    abstract get audioLevel(): number;
}
/** Someone else. */
export declare class RemoteParticipant extends Member {
    readonly isLocal = false;
    /** By id. */
    readonly publications: ReadonlyMap<string, RemotePublication>;
    /** Microphone and camera in one stream, for a single element; its tracks are swapped, it stays. */
    readonly stream: MediaStream;
    get audioLevel(): number;
}
/** Oneself. */
export declare class LocalParticipant extends Member {
    #private;
    readonly isLocal = true;
    /** By id. */
    readonly publications: ReadonlyMap<string, LocalPublication>;
    get grants(): Grants;
    get audioLevel(): number;
    /** Whether tracks of this source may be published: grants.publish can be limited to some sources. */
    mayPublish(source: Source): boolean;
}
export type Participant = LocalParticipant | RemoteParticipant;
export {};
