package auth

import "time"

// Limits of tokens and keys.
const (
	MinSecretBytes = 32             // RFC 7518 §3.2: a key at least as long as the hash
	MaxTokenBytes  = 12 << 10       // a longer token is refused before it is decoded
	MaxLifetime    = 24 * time.Hour // from iat (else nbf, else now) to exp
	MaxSkew        = 60 * time.Second
)
