import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import type { Call } from "../state/call.js";

/** Tells that something is kept here until it can be sent. */
export function Waiting({ call, isPending }: { readonly call: Call; readonly isPending: ReadonlySignal<boolean> }): JSX.Element {
  const isLost = call.connection.value !== "connected";
  return (
    <p class="waiting" role="status">
      {isLost && (isPending.value ? "Not sent yet: it is kept here until the connection is back." : "What others do is seen when the connection is back.")}
    </p>
  );
}
