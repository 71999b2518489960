// The WebSocket carrier: one JSON text per message at /v1/session.
import { ConnectionError, ParleyError } from "../errors.js";
const subprotocol = "parley.v1";
const path = "v1/session";
/** How long a socket may take to open. */
const openTimeoutMs = 10_000;
/** How long is asked why it does not. */
const reasonTimeoutMs = 3_000;
export class SocketCarrier {
    #url;
    #hasOpened = false;
    constructor(url) {
        this.#url = socketURL(url);
    }
    open(inbox, signal) {
        return new Promise((resolve, reject) => {
            signal.throwIfAborted();
            const socket = new WebSocket(this.#url, subprotocol);
            const connection = new SocketConnection(socket, inbox);
            const settle = (act) => {
                clearTimeout(timer);
                signal.removeEventListener("abort", aborted);
                act();
            };
            const fail = (reason) => settle(() => {
                connection.close();
                reject(reason);
            });
            const aborted = () => fail(signal.reason);
            const timer = setTimeout(() => fail(new ConnectionError(`${this.#url} did not answer`)), openTimeoutMs);
            signal.addEventListener("abort", aborted);
            socket.onopen = () => settle(() => {
                this.#hasOpened = true;
                connection.listen();
                resolve(connection);
            });
            socket.onerror = socket.onclose = () => {
                socket.onerror = socket.onclose = null;
                const unreachable = new ConnectionError(`${this.#url} cannot be reached`);
                if (this.#hasOpened)
                    fail(unreachable); // then the server has taken this page's calls
                else
                    void refusal(this.#url).then((refused) => fail(refused ?? unreachable));
            };
        });
    }
}
class SocketConnection {
    #socket;
    #inbox;
    constructor(socket, inbox) {
        this.#socket = socket;
        this.#inbox = inbox;
    }
    listen() {
        this.#socket.onmessage = (e) => this.#received(e.data);
        this.#socket.onerror = null; // close follows
        this.#socket.onclose = (e) => this.#lost(e.code);
    }
    send(request) {
        if (this.#socket.readyState === WebSocket.OPEN)
            this.#socket.send(JSON.stringify(request));
    }
    close() {
        this.#inbox = undefined;
        this.#socket.onopen = this.#socket.onmessage = this.#socket.onerror = this.#socket.onclose = null;
        this.#socket.close();
    }
    #received(text) {
        const message = parse(text);
        if (message)
            this.#inbox?.received(message);
        else
            this.#lost(); // what speaks there is not Parley: a new connection may find it again
    }
    #lost(status) {
        const inbox = this.#inbox;
        this.close();
        inbox?.closed(status);
    }
}
/**
 * Browsers do not say why a WebSocket was not opened, so the same is asked for by HTTP: a server that takes no calls from this page
 * answers that, also to pages of other origins. POST, because same-origin GETs carry no Origin. Undefined: there is no such answer.
 */
async function refusal(socket) {
    try {
        const url = socket.replace(/^ws/, "http");
        const answer = await fetch(url, { method: "POST", credentials: "omit", signal: AbortSignal.timeout(reasonTimeoutMs) });
        return answer.status === 403 ? originRefused(await answer.json()) : undefined;
    }
    catch {
        return undefined;
    }
}
/** The error for a refusal's problem details (RFC 9457). */
export function originRefused(problem) {
    if (typeof problem !== "object" || problem === null)
        return undefined;
    const { code, detail, next } = problem;
    if (code !== "forbidden" || typeof detail !== "string")
        return undefined;
    return new ParleyError("origin-refused", `The server answers, but ${detail}.`, { next: typeof next === "string" ? next : undefined });
}
/** Reads the envelope. Bodies are the server's word; an unknown type is for the session to pass over. */
export function parse(text) {
    if (typeof text !== "string")
        return undefined;
    try {
        const value = JSON.parse(text);
        return isEnvelope(value) ? value : undefined;
    }
    catch {
        return undefined;
    }
}
function isEnvelope(value) {
    if (typeof value !== "object" || value === null)
        return false;
    const { seq, type, body } = value;
    return typeof seq === "number" && typeof type === "string" && typeof body === "object" && body !== null;
}
/** An address without a scheme would be taken for one: "localhost:8443" has the scheme "localhost". */
function addressOf(server) {
    try {
        const url = new URL(server);
        if (["https:", "http:", "wss:", "ws:"].includes(url.protocol))
            return url;
    }
    catch {
        // no address at all
    }
    throw new ParleyError("bad-request", "The url of the server must begin with https:// or http://.", {
        next: 'Write it as "https://parley.example", or leave it out on a page of the server itself.',
    });
}
/** The socket's address for a server's address: https://host/ → wss://host/v1/session. */
export function socketURL(server) {
    const url = addressOf(server);
    url.protocol = url.protocol === "http:" || url.protocol === "ws:" ? "ws:" : "wss:";
    url.hash = "";
    if (!url.pathname.endsWith("/" + path)) {
        url.search = "";
        url.pathname = url.pathname.replace(/\/?$/, "/") + path;
    }
    return url.href;
}
//# sourceMappingURL=socket.js.map