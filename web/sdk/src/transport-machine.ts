// The states of one RTCPeerConnection, and what each happening makes of them. It touches no browser API: transport.ts does
// what it says.
//
// Two things go on at once and are one state here: the negotiation (only this side offers, one offer at a time) and the path
// that packets take.

/** What is known of the path. */
export type Path =
  | "new" // never worked yet
  | "connected"
  | "shaky" // ICE is disconnected, which often passes by itself
  | "broken"; // ICE has to start again

export type TransportState =
  | { readonly at: "idle"; readonly path: Path } // both sides agree
  | {
      readonly at: "offering"; // an offer is being made or answered
      readonly path: Path;
      readonly again: boolean; // something changed after it was made
      readonly restart: boolean; // the next one has to restart ICE
    }
  | { readonly at: "over"; readonly why: "closed" | "lost" }; // lost: another RTCPeerConnection has to take its place

export type Happening =
  | { readonly is: "changed" } // m-lines have to be offered
  | { readonly is: "answered" }
  | { readonly is: "refused"; readonly usable: boolean; readonly passing: boolean } // usable: the description before this offer still holds
  | { readonly is: "ice"; readonly state: RTCIceConnectionState }
  | { readonly is: "network" } // the client's network has changed
  | { readonly is: "dtls-failed" }
  | { readonly is: "server"; readonly state: string } // the transport event
  | { readonly is: "waited" } // the alarm went off
  | { readonly is: "close" };

export type Action =
  | { readonly do: "offer"; readonly restart: boolean }
  | { readonly do: "alarm"; readonly afterMs: number } // replaces the one that is set
  | { readonly do: "no-alarm" }
  | { readonly do: "tell"; readonly path: Path }
  | { readonly do: "replace" };

/** How long ICE may stay disconnected before it is restarted. Browsers have waited for seconds before they call it that. */
export const patienceMs = 1_000;
/** How long a path may take to come up before it is tried anew. */
export const connectMs = 15_000;

export const initial: TransportState = { at: "idle", path: "new" };

type Step = readonly [TransportState, readonly Action[]];

export function step(state: TransportState, happening: Happening): Step {
  if (state.at === "over") return [state, []];
  switch (happening.is) {
    case "changed":
      return offer(state, false);
    case "answered":
      return answered(state);
    case "refused":
      return happening.usable ? answered(state) : refused(state, happening.passing);
    case "ice":
      return ice(state, happening.state);
    case "network": // the old path goes on until there is a new one, if it still works
      return state.path === "new" ? [state, []] : offer(state, true);
    case "dtls-failed":
      return lost(); // a DTLS association cannot begin again on the same connection
    case "server":
      return happening.state === "failed" ? lost() : [state, []];
    case "waited":
      return waited(state);
    case "close":
      return [{ at: "over", why: "closed" }, [{ do: "no-alarm" }]];
  }
}

type Living = Exclude<TransportState, { at: "over" }>;

function lost(): Step {
  return [{ at: "over", why: "lost" }, [{ do: "no-alarm" }, { do: "tell", path: "broken" }, { do: "replace" }]];
}

/** A path that works is not given up because a search for a better one was refused for now: ICE restarts once more. */
function refused(state: Living, passing: boolean): Step {
  if (!passing || state.path !== "connected") return lost();
  return [{ at: "idle", path: "shaky" }, [{ do: "alarm", afterMs: patienceMs }, { do: "tell", path: "shaky" }]];
}

/** Offers now, or after the answer that is awaited: offers are never two at a time, and many changes become one. */
function offer(state: Living, restart: boolean): Step {
  if (state.at === "offering") return [{ ...state, again: true, restart: state.restart || restart }, []];
  return [{ at: "offering", path: state.path, again: false, restart: false }, [{ do: "offer", restart }]];
}

function answered(state: Living): Step {
  if (state.at !== "offering") return [state, []];
  const idle: Living = { at: "idle", path: state.path };
  if (state.again) return offer(idle, state.restart);
  // The first answer starts ICE: it must come to something.
  return [idle, state.path === "new" || state.path === "broken" ? [{ do: "alarm", afterMs: connectMs }] : []];
}

function ice(state: Living, now: RTCIceConnectionState): Step {
  switch (now) {
    case "connected":
    case "completed":
      if (state.path === "connected") return [state, []];
      return [{ ...state, path: "connected" }, [{ do: "no-alarm" }, { do: "tell", path: "connected" }]];
    case "disconnected":
      if (state.path !== "connected") return [state, []];
      return [{ ...state, path: "shaky" }, [{ do: "alarm", afterMs: patienceMs }, { do: "tell", path: "shaky" }]];
    case "failed":
      return restart(state);
    case "new":
    case "checking":
    case "closed":
      return [state, []];
  }
}

function restart(state: Living): Step {
  const [next, actions] = offer({ ...state, path: "broken" }, true);
  return [next, [{ do: "alarm", afterMs: connectMs }, { do: "tell", path: "broken" }, ...actions]];
}

function waited(state: Living): Step {
  switch (state.path) {
    case "connected":
      return [state, []];
    case "shaky":
      return restart(state);
    case "new":
    case "broken":
      // An answer that does not come means that signalling is down too: it is waited for.
      return state.at === "offering" ? [state, [{ do: "alarm", afterMs: connectMs }]] : restart(state);
  }
}
