package wire

// Code names what went wrong, or why something ended. Codes never change their meaning.
type Code string

// Codes.
const (
	CodeBadRequest       Code = "bad-request"       // the message cannot be understood
	CodeProtocol         Code = "protocol"          // another protocol version
	CodeTooLarge         Code = "too-large"         // beyond a limit of size
	CodeLimit            Code = "limit"             // beyond a limit of number
	CodeRate             Code = "rate"              // too fast
	CodeUnauthorized     Code = "unauthorized"      // no token, or one that is not valid
	CodeForbidden        Code = "forbidden"         // the grants do not allow it
	CodeNotFound         Code = "not-found"         // no such room, participant, publication, slot or session
	CodeSDP              Code = "sdp"               // the session description is refused
	CodeUnsupported      Code = "unsupported"       // understood, not built
	CodeUnsupportedCodec Code = "unsupported-codec" // no codec in common
	CodeOverloaded       Code = "overloaded"        // the server has no room for it now
	CodeDraining         Code = "draining"          // the server is going down and takes nobody new
	CodeConflict         Code = "conflict"          // the record has another version or incarnation
	CodeNoProvider       Code = "no-provider"       // nobody provides this RPC, or all have rejected the call
	CodeRPCFailed        Code = "rpc-failed"        // the provider answered with a failure
	CodeSessionExpired   Code = "session-expired"   // there is nothing to resume: join again
	CodeSlowReader       Code = "slow-reader"       // the client read too slowly, even after a resync
	CodeReplaced         Code = "replaced"          // the same identity joined again
	CodeKicked           Code = "kicked"            // an admin ended the session
	CodeLeft             Code = "left"              // the participant left
	CodeTimeout          Code = "timeout"           // silent for too long
	CodeInternal         Code = "internal"          // a fault of the server
)

// Error is the body of an error reply, and the error that Go code passes on its way there.
type Error struct {
	Code Code `json:"code"`
	// Message says what was attempted and what is wrong with it, for a developer.
	Message string `json:"message"`
	// Next says what to do about it.
	Next string `json:"next,omitempty"`
	// RetrySeconds: when it may go better; absent: no sooner than something changes.
	RetrySeconds int `json:"retrySeconds,omitempty"`
	// Current is the record as it is, where a write or deletion was refused with the code conflict and may be read.
	Current *RecordState `json:"current,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// NewError makes an error with a next step, which may be empty.
func NewError(code Code, message, next string) *Error {
	return &Error{Code: code, Message: message, Next: next}
}
