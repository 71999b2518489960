package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/internal/turn"
)

// addAlternates lets clients find out how their NAT behaves (RFC 5780): the first UDP listener is there a second time at each of the alternate
// addresses, and at both on a second port, the next one. list is what addresses this machine has.
func addAlternates(cfg *relay.Config, flag string, alternate []netip.Addr, advertise []netip.Addr, list []netInterface) error {
	if len(alternate) == 0 {
		return nil
	}
	if len(cfg.UDP) == 0 {
		return fmt.Errorf("%s needs a UDP port that is for STUN and TURN alone: choose one with --turn-listen", flag)
	}
	at := cfg.UDP[0]
	ports := [2]uint16{at.Port(), at.Port() + 1}
	if ports[1] == 0 {
		ports[1] = at.Port() - 1
	}
	own := chooseAddresses(netip.IPv6Unspecified(), list, nil)
	var seen [2]bool
	for _, second := range alternate {
		second = second.Unmap()
		first, err := firstAddress(at.Addr(), second, own)
		if family := familyOf(second); err == nil && seen[family] {
			err = errors.New("there is another one of its family: one is enough")
		} else {
			seen[family] = true
		}
		a := turn.Alternate{Local: [2]netip.Addr{first, second}, Ports: ports}
		if err == nil {
			a.Public, err = publicAddresses(second, own, advertise)
		}
		if err != nil {
			return fmt.Errorf("%s %v: %w", flag, second, err)
		}
		cfg.Turn.Alternates = append(cfg.Turn.Alternates, a)
		if !at.Addr().IsUnspecified() {
			cfg.UDP = append(cfg.UDP, netip.AddrPortFrom(first, ports[1]), netip.AddrPortFrom(second, ports[0]), netip.AddrPortFrom(second, ports[1]))
		}
	}
	if at.Addr().IsUnspecified() {
		cfg.UDP = append(cfg.UDP, netip.AddrPortFrom(at.Addr(), ports[1]))
	}
	return nil
}

// firstAddress is the address to which another one is the alternate: the one that is listened on, or the first that others can use.
func firstAddress(listen, second netip.Addr, own []offer) (netip.Addr, error) {
	switch {
	case listen == second:
		return netip.Addr{}, errors.New("it is the first address itself: give another one of this machine")
	case !listen.IsUnspecified() && familyOf(listen) != familyOf(second):
		return netip.Addr{}, fmt.Errorf("it is of another family than %v, which is listened on", listen)
	case !listen.IsUnspecified():
		return listen, nil
	case listen.Is4() && second.Is6():
		return netip.Addr{}, errors.New("only IPv4 is listened on")
	}
	for _, o := range own {
		if o.offered && o.address != second && familyOf(o.address) == familyOf(second) && !o.address.IsLoopback() {
			return o.address, nil
		}
	}
	return netip.Addr{}, errors.New("this machine has no other address of its family")
}

// publicAddresses are under what addresses clients see the two, where a router translates them: the advertised ones that are not this machine's
// own. A router that has only one address has no second one for the alternate.
func publicAddresses(second netip.Addr, own []offer, advertise []netip.Addr) (public [2]netip.Addr, err error) {
	var routers []netip.Addr
	for _, a := range advertise {
		a = a.Unmap()
		if familyOf(a) == familyOf(second) && !slices.ContainsFunc(own, func(o offer) bool { return o.address == a }) {
			routers = append(routers, a)
		}
	}
	switch len(routers) {
	case 0:
		return public, nil
	case 1:
		return public, errors.New("--advertise has one address of its family: give it twice, with the public address of this one second, or leave this one out")
	}
	return [2]netip.Addr(routers[:2]), nil
}

// familyOf is an index: 0 for IPv4, 1 for IPv6.
func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}
