// Parley's SDK for browsers: join a room, publish tracks, receive those of others, talk. No dependencies.

export { join, type JoinOptions } from "./join.js";
export { Room, type ConnectionState, type RoomEvents, type SendOptions } from "./room.js";
export { LocalParticipant, RemoteParticipant, type Participant } from "./participant.js";
export { LocalPublication, RemotePublication, type Publication, type PublishOptions } from "./publication.js";
export { Subscription, type Preference, type SubscriptionEvents, type SubscriptionStats, type SubscriptionStatus } from "./subscription.js";
export { openDevices, openScreen } from "./devices.js";
export { mediaPathOf, selectedPair, type MediaPath } from "./media-path.js";
export type { EventOf, Listener } from "./events.js";
export type { Payload } from "./channels.js";
export type { Carrier, Connection, Inbox, ServerMessage } from "./signalling/carrier.js";
export type { ChatMessage, Code, Grants, Kind, Layers, Source } from "./wire.gen.js";
export { limits } from "./wire.gen.js";
export {
  AccessError,
  ConnectionError,
  DeviceError,
  EndedError,
  LimitError,
  MediaError,
  NotFoundError,
  ParleyError,
  PermissionError,
  TimeoutError,
  type ErrorCode,
  type Grant,
} from "./errors.js";
