// Package load makes the load of many participants, and measures how a server of one's own carries it.
//
// A Plan says what is wanted; Run joins its clients one by one, measures for a while, and returns a Report. Each client is a WebSocket
// session (session.go) and a PeerConnection of pion (client.go), which sends synthetic media (package source) and measures what
// arrives (package meter). Goroutines: for each client one that joins it, one that follows its events, one that sends; those of pion;
// and one that reads each track. All of them have ended when Run returns.
package load
