package turn

import (
	"net/netip"
	"slices"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/stun"
)

// allocation is what a client holds (RFC 8656 §2.2). The Server owns it.
type allocation struct {
	pair   datagram.Pair
	id     [stun.IDLen]byte // of the Allocate that made it: when that comes again, so does its answer
	user   *user
	source netip.Addr
	name   string // USERNAME, as it came
	key    []byte
	keyBy  stun.Algorithm

	relays      [2]relayed // by family: IPv4, IPv6
	deadline    deadline   // the earliest end of a relayed address
	reserved    uint64     // RESERVATION-TOKEN of the address above; 0: there is none
	permissions []permission
	channels    channels
	shaped      [2]bucket // by direction
	unproven    instant   // until when its answers to who has not proved to be its client take

	tcp         bool // RFC 6062
	connections []*connection
	mobile      *mobile // RFC 8016; nil: its client stays where it is

	before, after *allocation // among those of its user
}

// relayed is one relayed address of an allocation. RFC 8656 §7: it has one, or one of each family.
type relayed struct {
	id      RelayID
	address netip.AddrPort // not valid: there is none
	until   instant
}

func (r *relayed) there() bool { return r.address.IsValid() }

// first is one of an allocation's relayed addresses, always the same while that lives.
func (a *allocation) first() RelayID {
	if a.relays[0].there() {
		return a.relays[0].id
	}
	return a.relays[1].id
}

// permission lets datagrams of a peer's address through to the client (RFC 8656 §9).
type permission struct {
	addr    netip.Addr
	until   instant
	outside bool // the policy lets clients go there, where it is not an own address
}

// user is who has allocations, however many; and for a moment who had, until what was relayed has taken its time at the rates: whoever allocates
// anew goes on with that.
type user struct {
	name        string
	first       *allocation
	addresses   int       // relayed ones, and reserved
	connections int       // to peers
	shaped      [2]bucket // by direction
	left        [2]bucket // what allocations that have ended still owe
	deadline    deadline
}

// family is the index of an address's family in relays.
func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// admit counts n relayed addresses for their user and source. It reports false where one of them, or the server, may not have so many.
func (s *Server) admit(name string, source netip.Addr, n int) (u *user, ok bool) {
	u = s.users[name]
	has := 0
	if u != nil {
		has = u.addresses
	}
	if s.stats.Allocations+n > s.limits.Allocations || s.sources[source]+n > s.limits.PerSource || has+n > s.limits.PerUser {
		return nil, false
	}
	if u == nil {
		u = &user{name: name}
		u.deadline.of = u
		s.users[name] = u
	}
	s.deadlines.clear(&u.deadline)
	u.addresses += n
	s.sources[source] += n
	s.stats.Allocations += n
	return u, true
}

// dismiss is the end of what admit began, for one address.
func (s *Server) dismiss(u *user, source netip.Addr) {
	if u.addresses--; u.addresses == 0 {
		if at := u.owes(); at > 0 {
			s.deadlines.set(&u.deadline, at)
		} else {
			delete(s.users, u.name)
		}
	}
	s.leave(source, 1)
	s.stats.Allocations--
}

// leave counts n less for a source.
func (s *Server) leave(source netip.Addr, n int) {
	if s.sources[source] -= n; s.sources[source] == 0 {
		delete(s.sources, source)
	}
}

// owes tells until when what was relayed for a user takes at the rates; 0: there are none.
func (u *user) owes() (at instant) {
	for d := range u.shaped {
		at = max(at, u.shaped[d].paid, u.left[d].paid)
	}
	return at
}

// expired forgets a user who has nothing.
func (u *user) expired(s *Server, _ instant, _ *Out) { delete(s.users, u.name) }

// install makes an allocation one that is found.
func (s *Server) install(a *allocation) {
	s.stats.Allocated++
	s.clients[a.pair] = a
	if a.after = a.user.first; a.after != nil {
		a.after.before = a
	}
	a.user.first = a
	for i := range a.relays {
		if r := &a.relays[i]; r.there() {
			for int(r.id) >= len(s.relays) {
				s.relays = append(s.relays, nil)
			}
			s.relays[r.id] = a
		}
	}
	s.schedule(a)
}

// schedule sets the deadline of an allocation to the earliest of its addresses.
func (s *Server) schedule(a *allocation) {
	at := instant(-1)
	for i := range a.relays {
		if r := &a.relays[i]; r.there() && (at < 0 || r.until < at) {
			at = r.until
		}
	}
	s.deadlines.set(&a.deadline, at)
}

// expired closes the addresses whose time is over, and the allocation with the last of them.
func (a *allocation) expired(s *Server, now instant, out *Out) {
	for f := range a.relays {
		if r := &a.relays[f]; r.there() && r.until <= now {
			s.closeRelay(a, f, out)
		}
	}
	s.endOrSchedule(a, out)
}

// endOrSchedule removes an allocation without an address.
func (s *Server) endOrSchedule(a *allocation, out *Out) {
	if !a.relays[0].there() && !a.relays[1].there() {
		s.remove(a, out)
		return
	}
	s.schedule(a)
}

// closeRelay ends the relayed address of a family, with the connections to peers that are its own; those of the other go on.
func (s *Server) closeRelay(a *allocation, f int, out *Out) {
	for _, c := range slices.Clone(a.connections) {
		if family(c.peer.Addr()) == f {
			s.end(c, out)
		}
	}
	r := &a.relays[f]
	s.relays[r.id] = nil
	out.Commands = append(out.Commands, Command{Do: CloseRelay, Relay: r.id})
	*r = relayed{}
	for d := range a.shaped {
		a.user.left[d].inherit(a.shaped[d])
	}
	s.dismiss(a.user, a.source)
}

// unlink takes an allocation out of those of its user.
func (a *allocation) unlink() {
	if a.after != nil {
		a.after.before = a.before
	}
	if a.before != nil {
		a.before.after = a.after
	} else {
		a.user.first = a.after
	}
}

// remove ends an allocation.
func (s *Server) remove(a *allocation, out *Out) {
	a.unlink()
	for len(a.connections) > 0 {
		s.hangUp(a.connections[0], out)
	}
	for f := range a.relays {
		if a.relays[f].there() {
			s.closeRelay(a, f, out)
		}
	}
	if a.mobile == nil || !a.mobile.detached {
		delete(s.clients, a.pair) // else somebody else's may be there
	}
	s.withdraw(a)
	s.last = nil
	s.deadlines.clear(&a.deadline)
}

// addresses is how many relayed addresses an allocation has.
func (a *allocation) addresses() (n int) {
	for f := range a.relays {
		if a.relays[f].there() {
			n++
		}
	}
	return n
}

// permitted returns the permission for a peer's address, in force or over; nil: there is none.
func (a *allocation) permitted(addr netip.Addr) *permission {
	for i := range a.permissions {
		if a.permissions[i].addr == addr {
			return &a.permissions[i]
		}
	}
	return nil
}

// hasRoom reports whether an allocation may have permissions for all these addresses beside those in force.
func (a *allocation) hasRoom(now instant, addrs []netip.Addr, most int) bool {
	n := 0
	for i := range a.permissions {
		if now < a.permissions[i].until {
			n++
		}
	}
	for i, addr := range addrs {
		if p := a.permitted(addr); (p == nil || now >= p.until) && !slices.Contains(addrs[:i], addr) {
			n++
		}
	}
	return n <= most
}

// permit makes a permission, or prolongs it. Channels of the address follow. It reports false where there are as many as there may be.
func (a *allocation) permit(now instant, addr netip.Addr, outside bool, most int) bool {
	p := a.permitted(addr)
	if p == nil {
		kept := a.permissions[:0]
		for _, old := range a.permissions {
			if now < old.until {
				kept = append(kept, old)
			}
		}
		if a.permissions = kept; len(kept) >= most {
			return false
		}
		a.permissions = append(a.permissions, permission{addr: addr})
		p = &a.permissions[len(a.permissions)-1]
	}
	p.until, p.outside = now+PermissionLifetime, outside
	for i := range a.channels.all {
		if c := &a.channels.all[i]; c.peer.Addr() == addr {
			c.permitted = p.until
		}
	}
	return true
}
