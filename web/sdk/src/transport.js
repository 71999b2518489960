// One RTCPeerConnection to the server: does what the machine in transport-machine.ts says, and tells it what happens.
import { asParleyError, isPassing } from "./errors.js";
import { initial, step } from "./transport-machine.js";
export class Transport {
    peerConnection;
    #owner;
    #state = initial;
    #alarm;
    constructor(configuration, owner) {
        this.#owner = owner;
        const pc = new RTCPeerConnection({ ...configuration, bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
        this.peerConnection = pc;
        pc.addEventListener("iceconnectionstatechange", () => this.#happens({ is: "ice", state: pc.iceConnectionState }));
        pc.addEventListener("connectionstatechange", () => {
            // "failed" while ICE is well can only be DTLS.
            const iceWell = pc.iceConnectionState === "connected" || pc.iceConnectionState === "completed";
            if (pc.connectionState === "failed" && iceWell)
                this.#happens({ is: "dtls-failed" });
        });
    }
    get state() {
        return this.#state;
    }
    /** The m-lines have to be offered anew. */
    changed() {
        this.#happens({ is: "changed" });
    }
    /** Another network has taken the place of the one that was used. */
    networkChanged() {
        this.#happens({ is: "network" });
    }
    /** What the server says of its side. */
    serverSays(state) {
        this.#happens({ is: "server", state });
    }
    close() {
        this.#happens({ is: "close" });
        this.peerConnection.close();
    }
    #happens(happening) {
        const [state, actions] = step(this.#state, happening);
        this.#state = state;
        for (const action of actions)
            this.#act(action);
    }
    #act(action) {
        switch (action.do) {
            case "offer":
                void this.#offer(action.restart);
                return;
            case "alarm":
                clearTimeout(this.#alarm);
                this.#alarm = setTimeout(() => this.#happens({ is: "waited" }), action.afterMs);
                return;
            case "no-alarm":
                clearTimeout(this.#alarm);
                return;
            case "tell":
                this.#owner.pathChanged(action.path);
                return;
            case "replace":
                this.peerConnection.close();
                this.#owner.lost();
        }
    }
    async #offer(iceRestart) {
        const pc = this.peerConnection;
        let answered = false;
        try {
            if (pc.localDescription === null) {
                // Fixes where the data channels' m-line stands, so that a later RTCPeerConnection has the same mids: then
                // publications survive it.
                this.#owner.begin();
                await pc.setLocalDescription(await pc.createOffer());
            }
            await this.#owner.prepare();
            await pc.setLocalDescription(await pc.createOffer({ iceRestart }));
            const answer = await this.#owner.exchange(pc.localDescription?.sdp ?? "");
            answered = true; // from here on the server goes by this offer: there is no way back
            if (this.#state.at === "over")
                return;
            await pc.setRemoteDescription({ type: "answer", sdp: answer });
            await this.#owner.negotiated();
            this.#happens({ is: "answered" });
        }
        catch (reason) {
            if (this.#state.at === "over")
                return;
            const usable = await this.#rollBack();
            const error = asParleyError(reason, "sdp");
            this.#owner.refused(error);
            // Without a first answer there is nothing to go back to.
            this.#happens({ is: "refused", usable: usable && !answered && pc.remoteDescription !== null && !iceRestart, passing: !answered && isPassing(error) });
        }
    }
    async #rollBack() {
        try {
            if (this.peerConnection.signalingState !== "stable")
                await this.peerConnection.setLocalDescription({ type: "rollback" });
            return true;
        }
        catch {
            return false;
        }
    }
}
//# sourceMappingURL=transport.js.map