/** Writes of one scope that the server has not confirmed, also while the connection is lost. */
export declare const maxWaitingWrites = 1024;
/** All of them together, in JSON. */
export declare const maxWaitingBytes: number;
/** Writes of one scope that are sent and not answered, each of another record. The server takes 256 of a session. */
export declare const maxWritesUnderway = 64;
/** What is told of one record before the reply to its subscription. */
export declare const maxHeard = 64;
/** Pauses grow up to this, where something fails for now. */
export declare const maxPauseSeconds = 30;
/** Records in one request that subscribes again. */
export declare const maxRestored = 64;
/** Calls of others in one scope that are answered at once. Beyond it, other providers are asked. */
export declare const maxAnswering = 256;
/** What a provider says went wrong. */
export declare const maxFailureBytes = 1024;
/** What is kept in this browser, of all rooms of one origin. */
export declare const maxCachedRecords = 256;
export declare const maxCachedBytes: number;
export declare const maxCacheAgeDays = 30;
