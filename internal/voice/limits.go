package voice

import "time"

// Limits of one Floor.
const (
	maxVoices = 1024 // Voices; whoever comes beyond passes without being ranked
	maxSilent = 50   // ticks of silence that are made up for after a pause: nothing is left to fade after that

	// Places is how many Voices pass at once.
	Places = 3
)

// What counts as a voice, and for how long.
const (
	tick     = 100 * time.Millisecond // how often scores change
	hangOver = 800 * time.Millisecond // a Voice counts for so long after its last loud packet: pauses and soft ends of words
	restTime = 5 * time.Second        // without a packet of anyone, after which a Floor rests
	lowTime  = 5 * time.Second        // within which speech has a pause, where only the background is heard
)

// Loudness is 127 plus the level in dBov (RFC 6464 §3), so that more is louder.
const (
	softest     = 127 - 50 // speech is never softer than −50 dBov,
	loudest     = 127 - 30 // and what is louder than −30 dBov is never taken for background
	aboveGround = 10       // dB by which speech stands out of the background
	displaceBy  = 6        // dB by which somebody must be louder than a Voice that has a place and speaks,
	displaceFor = 3        // and ticks for which
)
