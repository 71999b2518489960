// Whether the client's network has changed. Browsers notice late: iceConnectionState follows after seconds, and a WebSocket over an
// interface that is gone says nothing at all.
/** Packets that come at least so often make a path steady, once they have for steadyMs. */
const steadyGapMs = 200;
const steadyMs = 2_000;
/** A steady path on which nothing comes for so long may be dead. */
const stallMs = 600;
/** Tells when packets that came steadily come no more. That may mean nothing: everybody may have fallen silent. */
export class StallDetector {
    #steadySince;
    /** Takes the time of the newest packet; true where the path has stalled, once. */
    update(newestMs, nowMs) {
        const gap = nowMs - newestMs;
        if (gap <= steadyGapMs) {
            this.#steadySince ??= newestMs;
            return false;
        }
        if (gap < stallMs)
            return false;
        const stalled = this.#steadySince !== undefined && newestMs - this.#steadySince >= steadyMs;
        this.#steadySince = undefined;
        return stalled;
    }
}
/** When it is tried for the first time whether there is a better path than TCP or a relay, and how seldom it may become. */
const firstUpgradeMs = 20_000;
const maxUpgradeMs = 600_000;
const steadyUdpMs = 60_000;
/**
 * Tells when to look for a better path: what blocked UDP may have been for a moment, or of another network, and ICE does not look again
 * by itself. It is asked every few seconds.
 */
export class UpgradeClock {
    #pause = firstUpgradeMs;
    #next;
    #udpSince;
    /** Takes the path that media travel by now; true where ICE should begin again. */
    isDue(path, nowMs) {
        if (path === undefined)
            return false;
        if (path === "udp") {
            // Some networks let a flow live for seconds: only a UDP that has lasted longer than it took to be tried makes a new beginning.
            this.#udpSince ??= nowMs;
            if (nowMs - this.#udpSince > Math.max(this.#pause, steadyUdpMs))
                this.#pause = firstUpgradeMs;
            this.#next = undefined;
            return false;
        }
        this.#udpSince = undefined;
        this.#next ??= nowMs + this.#pause;
        if (nowMs < this.#next)
            return false;
        this.#pause = Math.min(2 * this.#pause, maxUpgradeMs);
        this.#next = nowMs + this.#pause;
        return true;
    }
}
/** Calls back where the browser says that the network has become another one. */
export function watchNetwork(changed, signal) {
    globalThis.addEventListener?.("online", changed, { signal });
    const { connection } = globalThis.navigator;
    let type = connection?.type;
    connection?.addEventListener("change", // also of estimates, which say nothing of that
    () => {
        if (connection.type === type)
            return;
        type = connection.type;
        if (type !== "none")
            changed();
    }, { signal });
}
//# sourceMappingURL=network.js.map