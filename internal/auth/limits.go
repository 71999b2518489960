package auth

import "time"

// Limits of tokens and keys.
const (
	MinSecretBytes = 32             // RFC 7518 §3.2: a key at least as long as the hash
	MaxTokenBytes  = 12 << 10       // a longer token is refused before it is decoded
	MaxLifetime    = 24 * time.Hour // from iat (else nbf, else now) to exp
	MaxSkew        = 60 * time.Second
)

// Limits of TURN credentials.
const (
	MaxTURNTextBytes = 508            // of a username (RFC 8489 §14.3), and of passwords and secrets
	MaxTURNSecrets   = 4              // that are valid at once
	MaxTURNLifetime  = 24 * time.Hour // of credentials that are made here: as long as a token's
	maxRealmRunes    = 127            // RFC 8489 §14.9
	maxExpiryDigits  = 12             // until the year 33658
	memberBytes      = 12             // of the mark that stands for a room's member
)
