package natcheck

// String returns the words of RFC 4787.
func (b Behaviour) String() string {
	switch b {
	case None:
		return "none"
	case EndpointIndependent:
		return "endpoint-independent"
	case AddressDependent:
		return "address-dependent"
	case AddressAndPortDependent:
		return "address-and-port-dependent"
	}
	return "unknown"
}

// String is yes, no or unknown.
func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[a] }

// Name is what people call a NAT of this kind: mostly the words of RFC 3489, which everybody still uses.
func (r Result) Name() string {
	symmetric := r.Mapping == AddressDependent || r.Mapping == AddressAndPortDependent
	switch {
	case r.Fault == NoAnswer:
		return "no answer"
	case r.Mapping == None && r.Filtering == EndpointIndependent:
		return "open"
	case r.Mapping == None && r.Filtering == Unknown:
		return "no NAT"
	case r.Mapping == None:
		return "no NAT, but a firewall"
	case symmetric:
		return "symmetric"
	case r.Mapping != EndpointIndependent:
		return "unknown"
	case r.Filtering == EndpointIndependent:
		return "full cone"
	case r.Filtering == AddressDependent:
		return "address-restricted cone"
	case r.Filtering == AddressAndPortDependent:
		return "port-restricted cone"
	}
	return "cone"
}

// Calls says what this means for a participant here. Calls through the server need nothing but UDP to it; this is about participants who send
// to each other. Two endpoints find each other where each can learn, or be shown by the other's checks, an address that lets it in.
func (r Result) Calls() string {
	symmetric := r.Mapping == AddressDependent || r.Mapping == AddressAndPortDependent
	switch {
	case r.Fault == NoAnswer:
		return "media need TCP: ICE-TCP to the server, or a relay by TURN over TCP or TLS"
	case r.Filtering == EndpointIndependent && !symmetric:
		return "direct to everybody who has UDP"
	case r.Filtering == Unknown || r.Mapping == Unknown:
		return "direct through the server; between participants it is not known"
	case symmetric:
		return "direct to those in the open, and behind full or address-restricted cones; others need a relay (TURN)"
	case r.Filtering == AddressDependent:
		return "direct to everybody who has UDP"
	}
	return "direct to all but those behind symmetric NATs, who need a relay (TURN)"
}
