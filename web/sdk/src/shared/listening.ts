// Active providers: who listens to a pattern is told which names of it others are subscribed to, and provides them.

import { asParleyError, type ParleyError, ParleyError as Failure } from "../errors.js";
import type { ListenKind, ListenStart, ListenStop } from "../wire.gen.js";
import { checkName } from "./json.js";
import { type Asker, type EndHandler, tell } from "./link.js";

export interface ListenHandlers extends EndHandler {
  /** Somebody has subscribed to this name, which is now this client's to provide. False leaves it to the next provider. */
  start(name: string): boolean | void;
  /** Nobody is subscribed any more, or another client provides it. */
  stop(name: string): void;
}

interface Pattern {
  readonly kind: ListenKind;
  readonly pattern: string;
  readonly handlers: ListenHandlers;
  readonly active: Set<string>;
  isReady: boolean;
  resolve(): void;
  reject(error: ParleyError): void;
}

export class Listening {
  readonly #asker: Asker;
  readonly #patterns = new Map<string, Pattern>();

  constructor(asker: Asker) {
    this.#asker = asker;
  }

  async listen(kind: ListenKind, pattern: string, handlers: ListenHandlers): Promise<() => void> {
    checkName(pattern);
    const key = keyOf(kind, pattern);
    if (this.#patterns.has(key)) {
      throw new Failure("bad-request", `This client listens to "${pattern}" already.`, { next: "End the first one." });
    }
    return new Promise((resolve, reject) => {
      const entry: Pattern = { kind, pattern, handlers, active: new Set(), isReady: false, resolve: () => resolve(() => this.#end(key, entry)), reject };
      this.#patterns.set(key, entry);
      void this.#ask(key, entry);
    });
  }

  started({ kind, pattern, names }: ListenStart): void {
    for (const name of names) this.#start(kind, pattern, name);
  }

  stopped({ kind, pattern, names }: ListenStop): void {
    const entry = this.#patterns.get(keyOf(kind, pattern));
    for (const name of names) {
      if (entry?.active.delete(name)) tell(() => entry.handlers.stop(name));
    }
  }

  #start(kind: ListenKind, pattern: string, name: string): void {
    const entry = this.#patterns.get(keyOf(kind, pattern));
    if (entry?.active.has(name)) return;
    entry?.active.add(name);
    let starts = false; // the pattern ended meanwhile, or it is not known what was begun
    tell(() => (starts = entry !== undefined && entry.handlers.start(name) !== false));
    if (starts) return;
    entry?.active.delete(name);
    this.#asker.insist("listen-reject", () => ({ kind, name })).catch(() => undefined); // nobody wants it any more
  }

  /** Others provide meanwhile what this client has provided. */
  lose(): void {
    for (const entry of this.#patterns.values()) stopAll(entry);
  }

  restore(): void {
    this.lose();
    for (const [key, entry] of this.#patterns) void this.#ask(key, entry);
  }

  end(error: ParleyError, which: (kind: ListenKind, pattern: string) => boolean = () => true): void {
    for (const [key, entry] of [...this.#patterns]) {
      if (this.#patterns.get(key) === entry && which(entry.kind, entry.pattern)) this.#drop(key, entry, error);
    }
  }

  #drop(key: string, entry: Pattern, error: ParleyError): void {
    this.#patterns.delete(key);
    stopAll(entry);
    if (entry.isReady) tell(() => entry.handlers.ended?.(error));
    else entry.reject(error);
  }

  #end(key: string, entry: Pattern): void {
    if (this.#patterns.get(key) !== entry) return;
    this.#patterns.delete(key);
    stopAll(entry);
    const { kind, pattern } = entry;
    this.#asker.insist("unlisten", () => (this.#patterns.has(key) ? undefined : { kind, pattern })).catch(() => undefined);
  }

  async #ask(key: string, entry: Pattern): Promise<void> {
    const { kind, pattern } = entry;
    const isKept = (): boolean => this.#patterns.get(key) === entry;
    try {
      await this.#asker.keep("listen", () => (isKept() ? { kind, pattern } : undefined));
      entry.isReady = true;
      entry.resolve();
    } catch (reason) {
      const error = asParleyError(reason);
      if (isKept() && !this.#asker.isRestored(error)) this.#drop(key, entry, error);
    }
  }
}

function keyOf(kind: ListenKind, pattern: string): string {
  return `${kind} ${pattern}`;
}

function stopAll({ active, handlers }: Pattern): void {
  const names = [...active];
  active.clear();
  for (const name of names) tell(() => handlers.stop(name));
}
