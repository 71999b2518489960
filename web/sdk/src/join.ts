// Entering a room.

import { Call } from "./call.js";
import { ParleyError } from "./errors.js";
import { Room } from "./room.js";
import { type Entry, Session, type TokenSource } from "./session.js";
import { RoomCache } from "./shared/cache.js";
import type { Carrier } from "./signalling/carrier.js";
import { SocketCarrier } from "./signalling/socket.js";
import type { Joined } from "./wire.gen.js";

export interface JoinOptions {
  /** The server's address, "https://parley.example"; default: where the page came from. */
  readonly url?: string | URL;
  readonly room: string;
  /** For display. */
  readonly name?: string;
  /** Unique in the room; default: made by the server. With a token, the token decides. */
  readonly identity?: string;
  readonly metadata?: string;
  /**
   * A JWT, where the server asks for one. One lets in once: after a longer outage, or when the server has started again, the room is joined anew. Where it
   * may be over by then, give a function, which is asked each time and has 10 s.
   */
  readonly token?: TokenSource;
  /** Subscribe to nothing until subscription.want(true). */
  readonly manualSubscribe?: boolean;
  /**
   * How many cameras to see at once: those with priority, then of those who spoke last. The others' subscriptions are "pending", and isLeftOut.
   * Default: as many as there are slots for.
   */
  readonly lastN?: number;
  /**
   * Keeps in this browser what records of the room were last known, and what is written to their paths while there is no connection: records are
   * there at once then, and what was set or erased is written when the same identity joins again, also when it was rejected because the page was
   * closed or the room was left; a record's "discarded" tells what was not. Give an identity, or a token: else whoever joins next has the same. See SharedRecord.isLive, and lastKnown().
   * Whoever uses this browser can read it. Default: nothing is kept.
   */
  readonly cache?: boolean;
  /** Ends joining. Afterwards it has no effect: use room.leave(). */
  readonly signal?: AbortSignal;
  /** Another way to the server than its WebSocket. */
  readonly carrier?: Carrier;
}

/** Joins a room. Resolves when the server has let the participant in; media connect after that ("connectionstate"). */
export async function join(options: JoinOptions): Promise<Room> {
  if (typeof RTCPeerConnection === "undefined") {
    throw new ParleyError("unsupported", "This browser has no WebRTC.", {
      next: "Use a current version of Chrome, Edge, Firefox or Safari.",
    });
  }
  const carrier = options.carrier ?? new SocketCarrier(options.url ?? location.origin);
  let call: Call | undefined;
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
function openCache({ url = location.origin, identity, token }: JoinOptions, joined: Joined): Promise<RoomCache | undefined> {
  const isLasting = joined.identity === identity || Boolean(token);
  return RoomCache.open(new URL(url).origin, joined.room.name, isLasting ? joined.identity : "");
}

function request({ room, name, identity, metadata, token, manualSubscribe, lastN }: JoinOptions): Entry {
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
