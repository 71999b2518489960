// Package rooms runs rooms on their home node: one actor per room, the only writer of a room.Room.
//
// A session asks by bus request on Subject(room), in JSON (Request, Reply), and is told on SessionSubject(session) (Event).
// The actor applies each command, then carries out the effects: commands to the media plane, events, the reply.
package rooms
