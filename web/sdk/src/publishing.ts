// The wait for the server to confirm a publication.

import type { ParleyError } from "./errors.js";
import type { LocalPublication } from "./publication.js";

/** A publication that the server has not confirmed yet. */
export interface Publishing {
  readonly promise: Promise<LocalPublication>;
  readonly resolve: (publication: LocalPublication) => void;
  readonly reject: (reason: ParleyError) => void;
  readonly again: boolean; // published before, in a session that was lost
}

export function publishing(again: boolean): Publishing {
  let resolve: Publishing["resolve"] = () => undefined;
  let reject: Publishing["reject"] = () => undefined;
  const promise = new Promise<LocalPublication>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  if (again) promise.catch(() => undefined); // nobody may be waiting
  return { promise, resolve, reject, again };
}
