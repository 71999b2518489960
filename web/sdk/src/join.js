// Entering a room.
import { Call } from "./call.js";
import { ParleyError } from "./errors.js";
import { Room } from "./room.js";
import { Session } from "./session.js";
import { RoomCache } from "./shared/cache.js";
import { SocketCarrier } from "./signalling/socket.js";
/** Joins a room. Resolves when the server has let the participant in; media connect after that ("connectionstate"). */
export async function join(options) {
    if (typeof RTCPeerConnection === "undefined") {
        throw new ParleyError("unsupported", "This browser has no WebRTC.", {
            next: "Use a current version of Chrome, Edge, Firefox or Safari.",
        });
    }
    const carrier = options.carrier ?? new SocketCarrier(options.url ?? location.origin);
    let call;
    const session = new Session(carrier, request(options), {
        event: (message) => call?.event(message),
        rejoined: (joined) => call?.rejoined(joined),
        stateChanged: (state) => call?.stateChanged(state),
    });
    const joined = await session.open(options.signal);
    session.remember(joined.identity);
    const cache = options.cache ? openCache(options, joined) : Promise.resolve(undefined);
    return new Room(joined.room.name, (room) => (call = new Call(room, session, joined, cache)));
}
/** An identity that the server has made up is another one each time. */
function openCache({ url = location.origin, identity, token }, joined) {
    const isLasting = joined.identity === identity || Boolean(token);
    return RoomCache.open(new URL(url).origin, joined.room.name, isLasting ? joined.identity : "");
}
function request({ room, name, identity, metadata, token, manualSubscribe, lastN }) {
    return {
        room,
        ...(name !== undefined && { name }),
        ...(identity !== undefined && { identity }),
        ...(metadata !== undefined && { metadata }),
        ...(token !== undefined && { token }),
        ...(manualSubscribe && { manualSubscribe }),
        ...(lastN !== undefined && { lastN }),
    };
}
//# sourceMappingURL=join.js.map