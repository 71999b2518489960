import { type TypedEventTarget } from "./events.js";
import type { Participant } from "./participant.js";
import type { RoomEvents } from "./room.js";
import type { Speakers as Told } from "./wire.gen.js";
export declare class Speakers {
    #private;
    constructor(room: TypedEventTarget<RoomEvents>, everyone: () => Participant[]);
    get speaking(): readonly Participant[];
    get dominant(): Participant | undefined;
    /** The server says who speaks. */
    told(told: Told): void;
    /** Listens once. */
    listen(nowMs: number): void;
    /** Brings the list up to date and tells what has changed. */
    settle(update?: (participant: Participant) => boolean): void;
}
/** The dominant one first, then the others as the server orders them, then those that only are heard here. */
export declare function order<P extends {
    readonly identity: string;
    readonly speaking: boolean;
}>(everyone: readonly P[], told: Told): P[];
