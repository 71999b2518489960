// Parley's SDK for browsers: join a room, publish tracks, receive those of others, talk. No dependencies.
export { join } from "./join.js";
export { Room } from "./room.js";
export { LocalParticipant, RemoteParticipant } from "./participant.js";
export { LocalPublication, RemotePublication } from "./publication.js";
export { Subscription } from "./subscription.js";
export { SharedState } from "./shared/state.js";
export { SharedRecord } from "./shared/record.js";
export { SharedList } from "./shared/list.js";
export { Presence } from "./shared/presence.js";
export { Topic } from "./shared/topic.js";
export { RPC } from "./shared/rpc.js";
export { lastKnown } from "./shared/cache.js";
export { openDevices, openScreen } from "./devices.js";
export { mediaPathOf, selectedPair } from "./media-path.js";
export { limits } from "./wire.gen.js";
export { AccessError, ConflictError, ConnectionError, DeviceError, EndedError, LimitError, MediaError, NotFoundError, ParleyError, PermissionError, TimeoutError, } from "./errors.js";
//# sourceMappingURL=index.js.map