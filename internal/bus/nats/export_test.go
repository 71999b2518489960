package nats

import "github.com/nats-io/nats-server/v2/server"

// Disconnect ends the connections to the server, as the server does with whoever is too slow, and returns how many there were.
func (n *Node) Disconnect() (int, error) {
	n.mu.Lock()
	s := n.server
	n.mu.Unlock()
	all, err := s.Connz(&server.ConnzOptions{})
	if err != nil {
		return 0, err
	}
	for _, c := range all.Conns {
		if err := s.DisconnectClientByID(c.Cid); err != nil {
			return 0, err
		}
	}
	return len(all.Conns), nil
}
