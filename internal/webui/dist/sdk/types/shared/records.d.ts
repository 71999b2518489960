import { type ParleyError } from "../errors.js";
import type { EventMessage, RecordResult, RecordWanted } from "../wire.gen.js";
import type { Cache } from "./cache.js";
import { Core, type CoreOwner, type RecordOptions } from "./core.js";
import { type Json } from "./json.js";
import { type Asker } from "./link.js";
export declare class Records implements CoreOwner {
    #private;
    readonly asker: Asker;
    constructor(asker: Asker, cache?: Promise<Cache | undefined>);
    /** Opens a record, or shares it with whoever has opened it before. */
    open(name: string, options: RecordOptions): Promise<Core>;
    /** Ends the subscription when nobody uses it any more. */
    close(core: Core): void;
    /** Reads records once. What has no room in one reply is asked for again. */
    read(wanted: readonly RecordWanted[]): Promise<(RecordResult & {
        readonly value: Json | undefined;
    })[]>;
    event(message: EventMessage): void;
    /** The connection is lost. The server may keep the session. */
    apart(): void;
    /** There is a connection: what is not lost goes on. */
    together(): void;
    /** The server tells nothing any more. */
    lose(): void;
    /** Subscribes again, naming what is here. */
    restore(): void;
    resubscribe(core: Core): void;
    /** It is over for one record. */
    drop(name: string, error: ParleyError): void;
    keep(core: Core): void;
    end(error: ParleyError): void;
    admit(bytes: number): void;
    settled(bytes: number): void;
    resized(bytes: number): void;
    ready(core: Core): void;
    /** Sends what can be sent: of each record one write at a time, so that they keep their order whatever is refused. */
    pump(): void;
}
