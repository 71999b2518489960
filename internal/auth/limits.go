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
	MaxTURNTextBytes = 508 // of a username (RFC 8489 §14.3), and of passwords and secrets
	MaxTURNSecrets   = 4   // that others make credentials with, valid at once
	maxRealmRunes    = 127 // RFC 8489 §14.9
	maxExpiryDigits  = 12  // until the year 33658
)
