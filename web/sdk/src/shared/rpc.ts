// Remote procedure calls: one of those who provide a name is asked.

import { bytesOf } from "../bytes.js";
import { asParleyError, ConnectionError, fromWire, LimitError, type ParleyError, ParleyError as Failure, textOf } from "../errors.js";
import { limits, type RPCCall, type RPCResult } from "../wire.gen.js";
import { checkName, freeze, type Json, type JsonOf, payload } from "./json.js";
import { maxAnswering, maxFailureBytes } from "./limits.js";
import { type Asker, type EndHandler, tell } from "./link.js";
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

interface Open {
  resolve(value: Json | undefined): void;
  reject(error: ParleyError): void;
}

/** Calls of one scope, those of this client and those that it answers. */
export class Calls {
  readonly #asker: Asker;
  readonly #provided: Names<Provision>;
  readonly #open = new Map<number, Open>();
  readonly #unsent = new Set<number>(); // of #open, those that wait for the connection
  #answering = 0;

  constructor(asker: Asker, provided: Names<Provision>) {
    this.#asker = asker;
    this.#provided = provided;
  }

  request(name: string, value: unknown): Promise<Json | undefined> {
    return new Promise((resolve, reject) => {
      checkName(name);
      if (this.#open.size >= limits.maxOpenCalls) throw new LimitError("limit", "Too many calls have no result yet.", { next: "Await some first." });
      const body = { name, ...payload("request", value, limits.maxRPCBytes) };
      const call = this.#asker.nextCall();
      this.#open.set(call, { resolve, reject });
      if (!this.#asker.isOpen) this.#unsent.add(call);
      this.#asker.ask("rpc-request", { ...body, call }).catch((reason: unknown) => {
        if (this.#open.delete(call)) reject(asParleyError(reason));
      });
    });
  }

  /** A call of this client has ended. */
  result({ call, value, error }: RPCResult): void {
    const open = this.#open.get(call);
    this.#open.delete(call);
    if (error) open?.reject(fromWire(error));
    else open?.resolve(freeze(value));
  }

  /** This client is asked. It begins when the server has agreed: it may have asked somebody else meanwhile. */
  async called({ call, name, value, from }: RPCCall): Promise<void> {
    const [provision] = this.#provided.of(name);
    const [given, info] = [freeze(value), { from }];
    if (!provision || this.#answering >= maxAnswering || !accepts(provision, given, info)) return this.#tell("rpc-reject", { call });
    this.#answering++;
    try {
      await this.#asker.ask("rpc-accept", { call });
      if (!this.#provided.of(name).includes(provision)) return await this.#tell("rpc-reject", { call }); // it has ended meanwhile
      await this.#tell("rpc-answer", { call, ...(await answerOf(provision, given, info)) });
    } catch {
      // another one is asked
    } finally {
      this.#answering--;
    }
  }

  /** Nobody waits for it any more, where it is refused for good. */
  async #tell(type: "rpc-reject" | "rpc-answer", body: { call: number; value?: Json; failure?: string }): Promise<void> {
    await this.#asker.insist(type, () => body).catch(() => undefined);
  }

  /** What waited for the connection has been sent. */
  sent(): void {
    this.#unsent.clear();
  }

  /** The server has forgotten the calls that it was sent and that have no result. */
  lose(): void {
    const error = new ConnectionError("The connection was lost before the call had a result: perhaps it was carried out.");
    this.#reject(error, (call) => !this.#unsent.has(call));
  }

  /** Nothing reaches the server any more. */
  end(error: ParleyError): void {
    this.#reject(error, () => true);
  }

  #reject(error: ParleyError, about: (call: number) => boolean): void {
    for (const [call, { reject }] of [...this.#open].filter(([call]) => about(call))) {
      this.#open.delete(call);
      reject(error);
    }
  }
}

function accepts({ accepts }: Provision, value: Json | undefined, info: CallInfo): boolean {
  let taken = accepts === undefined;
  tell(() => (taken ||= accepts?.(value, info) ?? true));
  return taken;
}

async function answerOf({ provider }: Provision, value: Json | undefined, info: CallInfo): Promise<{ value?: Json; failure?: string }> {
  try {
    return payload("answer", await provider(value, info), limits.maxRPCBytes);
  } catch (reason) {
    return { failure: shortened(textOf(reason)) };
  }
}

function shortened(text: string): string {
  let cut = text || "The provider failed.";
  while (bytesOf(cut) > maxFailureBytes) cut = cut.slice(0, Math.min(cut.length - 1, maxFailureBytes));
  return cut;
}

/** An RPC by its name. */
export class RPC {
  readonly name: string;
  readonly #calls: Calls;
  readonly #provided: Names<Provision>;

  /** @internal */
  constructor(name: string, calls: Calls, provided: Names<Provision>) {
    this.name = name;
    this.#calls = calls;
    this.#provided = provided;
  }

  /**
   * Asks a provider, which has 10 s to answer, or what the server was given. Rejects with the code "no-provider", "timeout", or "rpc-failed" and what the provider says;
   * with "connection" it is not known whether it was carried out.
   */
  request<T>(value?: T & JsonOf<T>): Promise<Json | undefined> {
    return this.#calls.request(this.name, value);
  }

  /** Resolves when this client is asked, with a function that ends that. It is kept while the connection is lost. */
  async provide(provider: Provider, options: ProvideOptions = {}): Promise<() => void> {
    if (this.#provided.of(this.name).length > 0) {
      throw new Failure("bad-request", `This client provides "${this.name}" already.`, { next: "End the first provider." });
    }
    return this.#provided.use(this.name, { ...options, provider });
  }
}
