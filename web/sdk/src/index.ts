// Parley's SDK for browsers: join a room, publish tracks, receive those of others, talk. No dependencies.

export { join, type JoinOptions } from "./join.js";
export type { TokenSource } from "./session.js";
export { Room, type ConnectionState, type RoomEvents, type SendOptions } from "./room.js";
export { LocalParticipant, RemoteParticipant, type Participant } from "./participant.js";
export { LocalPublication, RemotePublication, type Publication, type PublishOptions } from "./publication.js";
export { Subscription, type Preference, type SubscriptionEvents, type SubscriptionStats, type SubscriptionStatus } from "./subscription.js";
export { SharedState, type Head } from "./shared/state.js";
export { SharedRecord, type Changes, type RecordEvents, type SubscribeOptions, type Version } from "./shared/record.js";
export { SharedList, type ListEvents } from "./shared/list.js";
export { Presence, type PresenceEvents } from "./shared/presence.js";
export { Topic, type EventInfo, type TopicListener } from "./shared/topic.js";
export { RPC, type CallInfo, type ProvideOptions, type Provider } from "./shared/rpc.js";
export type { EndHandler } from "./shared/link.js";
export { lastKnown, type LastKnownOptions } from "./shared/cache.js";
export type { ListenHandlers } from "./shared/listening.js";
export type { ChangeInfo, RecordOptions } from "./shared/core.js";
export type { Merge, WriteOptions } from "./shared/write.js";
export type { Json, JsonOf } from "./shared/json.js";
export { openDevices, openScreen } from "./devices.js";
export { mediaPathOf, selectedPair, type MediaPath } from "./media-path.js";
export type { EventOf, Listener } from "./events.js";
export type { Payload } from "./channels.js";
export type { Carrier, Connection, Inbox, ServerMessage } from "./signalling/carrier.js";
export type { ChatMessage, Code, Grants, Kind, Layers, Log, LogEntry, Source } from "./wire.gen.js";
export { limits } from "./wire.gen.js";
export {
  AccessError,
  ConflictError,
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
