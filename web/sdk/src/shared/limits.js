// Limits of shared state that are this SDK's own.
/** Writes of one scope that the server has not confirmed, also while the connection is lost. */
export const maxWaitingWrites = 1024;
/** All of them together, in JSON. */
export const maxWaitingBytes = 4 * 1024 * 1024;
/** Writes of one scope that are sent and not answered, each of another record. The server takes 256 of a session. */
export const maxWritesUnderway = 64;
/** What is told of one record before the reply to its subscription. */
export const maxHeard = 64;
/** Pauses grow up to this, where something fails for now. */
export const maxPauseSeconds = 30;
/** Records in one request that subscribes again. */
export const maxRestored = 64;
/** Calls of others in one scope that are answered at once. Beyond it, other providers are asked. */
export const maxAnswering = 256;
/** What a provider says went wrong. */
export const maxFailureBytes = 1024;
/** What is kept in this browser, of all rooms of one origin. */
export const maxCachedRecords = 256;
export const maxCachedBytes = 16 * 1024 * 1024;
export const maxCacheAgeDays = 30;
//# sourceMappingURL=limits.js.map