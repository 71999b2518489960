package natcheck

import "time"

// Retransmission (RFC 8489 §6.2.1), with smaller numbers than its defaults, by which a person would wait 40 seconds for each answer that does
// not come: here some are expected not to.
const (
	firstRTO = 500 * time.Millisecond // while nothing is known of the path; it is never longer
	minRTO   = 200 * time.Millisecond // once it is known
	maxSends = 4                      // Rc
	lastWait = 4                      // Rm: after the last one, in RTO
)
