// The states of one RTCPeerConnection, and what each happening makes of them. It touches no browser API: transport.ts does
// what it says.
//
// Two things go on at once and are one state here: the negotiation (only this side offers, one offer at a time) and the path
// that packets take.
/** How long ICE may stay disconnected before it is restarted. Browsers have waited for seconds before they call it that. */
export const patienceMs = 1_000;
/** How long a path may take to come up before it is tried anew. */
export const connectMs = 15_000;
export const initial = { at: "idle", path: "new" };
export function step(state, happening) {
    if (state.at === "over")
        return [state, []];
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
function lost() {
    return [{ at: "over", why: "lost" }, [{ do: "no-alarm" }, { do: "tell", path: "broken" }, { do: "replace" }]];
}
/** A path that works is not given up because a search for a better one was refused for now: ICE restarts once more. */
function refused(state, passing) {
    if (!passing || state.path !== "connected")
        return lost();
    return [{ at: "idle", path: "shaky" }, [{ do: "alarm", afterMs: patienceMs }, { do: "tell", path: "shaky" }]];
}
/** Offers now, or after the answer that is awaited: offers are never two at a time, and many changes become one. */
function offer(state, restart) {
    if (state.at === "offering")
        return [{ ...state, again: true, restart: state.restart || restart }, []];
    return [{ at: "offering", path: state.path, again: false, restart: false }, [{ do: "offer", restart }]];
}
function answered(state) {
    if (state.at !== "offering")
        return [state, []];
    const idle = { at: "idle", path: state.path };
    if (state.again)
        return offer(idle, state.restart);
    // The first answer starts ICE: it must come to something.
    return [idle, state.path === "new" || state.path === "broken" ? [{ do: "alarm", afterMs: connectMs }] : []];
}
function ice(state, now) {
    switch (now) {
        case "connected":
        case "completed":
            if (state.path === "connected")
                return [state, []];
            return [{ ...state, path: "connected" }, [{ do: "no-alarm" }, { do: "tell", path: "connected" }]];
        case "disconnected":
            if (state.path !== "connected")
                return [state, []];
            return [{ ...state, path: "shaky" }, [{ do: "alarm", afterMs: patienceMs }, { do: "tell", path: "shaky" }]];
        case "failed":
            return restart(state);
        case "new":
        case "checking":
        case "closed":
            return [state, []];
    }
}
function restart(state) {
    const [next, actions] = offer({ ...state, path: "broken" }, true);
    return [next, [{ do: "alarm", afterMs: connectMs }, { do: "tell", path: "broken" }, ...actions]];
}
function waited(state) {
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
//# sourceMappingURL=transport-machine.js.map