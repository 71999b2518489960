import { type ParleyError } from "../errors.js";
import { type RPCCall, type RPCResult } from "../wire.gen.js";
import { type Json, type JsonOf } from "./json.js";
import { type Asker, type EndHandler } from "./link.js";
import type { Names } from "./names.js";
/** Whom a call came from. */
export interface CallInfo {
    readonly from: string | undefined;
}
export interface ProvideOptions extends EndHandler {
    /** Whether a call is taken; else the next provider is asked. Default: all are. */
    readonly accepts?: (value: Json | undefined, info: CallInfo) => boolean;
}
/** Answers calls: with a value, or with an error whose message the caller is told. */
export type Provider = (value: Json | undefined, info: CallInfo) => unknown;
export interface Provision extends ProvideOptions {
    readonly provider: Provider;
}
/** Calls of one scope, those of this client and those that it answers. */
export declare class Calls {
    #private;
    constructor(asker: Asker, provided: Names<Provision>);
    request(name: string, value: unknown): Promise<Json | undefined>;
    /** A call of this client has ended. */
    result({ call, value, error }: RPCResult): void;
    /** This client is asked. It begins when the server has agreed: it may have asked somebody else meanwhile. */
    called({ call, name, value, from }: RPCCall): Promise<void>;
    /** What waited for the connection has been sent. */
    sent(): void;
    /** The server has forgotten the calls that it was sent and that have no result. */
    lose(): void;
    /** Nothing reaches the server any more. */
    end(error: ParleyError): void;
}
/** An RPC by its name. */
export declare class RPC {
    #private;
    readonly name: string;
    /**
     * Asks a provider, which has 10 s to answer, or what the server was given. Rejects with the code "no-provider", "timeout", or "rpc-failed" and what the provider says;
     * with "connection" it is not known whether it was carried out.
     */
    request<T>(value?: T & JsonOf<T>): Promise<Json | undefined>;
    /** Resolves when this client is asked, with a function that ends that. It is kept while the connection is lost. */
    provide(provider: Provider, options?: ProvideOptions): Promise<() => void>;
}
