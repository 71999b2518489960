package port

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
)

func pairOf(i int) datagram.Pair {
	return datagram.Pair{
		Local:  netip.MustParseAddrPort("192.0.2.1:8443"),
		Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5000),
	}
}

// A pair is its first owner's until that one gives it up; nobody else can take it or give it away.
func TestPairHasOneOwner(t *testing.T) {
	p, pair := NewPairs(), pairOf(1)
	if _, ok := p.Owner(&pair); ok {
		t.Error("nobody's pair has an owner")
	}
	claim := func(owner, holder int, want bool) {
		t.Helper()
		if h, ok := p.Claim(pair, owner); h != holder || ok != want {
			t.Errorf("claim of %d: %d, %v", owner, h, ok)
		}
	}
	claim(3, 3, true)
	claim(3, 3, true)
	claim(4, 3, false)
	p.Release(pair, 4)
	if o, ok := p.Owner(&pair); o != 3 || !ok {
		t.Errorf("owner %d, %v", o, ok)
	}
	tcp := pair
	tcp.Proto = datagram.TCP
	if _, ok := p.Owner(&tcp); ok {
		t.Error("UDP's pair is TCP's too")
	}
	p.Release(pair, 3)
	claim(4, 4, true)
}

// However many there are and in whatever order they go, each is found, until there are too many.
func TestPairLimit(t *testing.T) {
	p := NewPairs()
	for i := range maxPairs {
		if _, ok := p.Claim(pairOf(i), i%5); !ok {
			t.Fatalf("pair %d refused", i)
		}
	}
	if holder, ok := p.Claim(pairOf(maxPairs), 0); ok || holder != -1 {
		t.Errorf("one too many: %d, %v", holder, ok)
	}
	for i := 0; i < maxPairs; i += 2 {
		p.Release(pairOf(i), i%5)
	}
	for i := range maxPairs {
		pair := pairOf(i)
		if o, ok := p.Owner(&pair); ok != (i%2 == 1) || ok && o != i%5 {
			t.Fatalf("pair %d: owner %d, %v", i, o, ok)
		}
	}
	if _, ok := p.Claim(pairOf(maxPairs), 0); !ok {
		t.Error("no room although half have gone")
	}
}

// Readers find what stays, while others come and go and the table grows.
func TestPairsAreReadMeanwhile(t *testing.T) {
	p := NewPairs()
	for i := range 100 {
		p.Claim(pairOf(i), 1)
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for n := range 200_000 {
				pair := pairOf(n % 100)
				if o, ok := p.Owner(&pair); o != 1 || !ok {
					t.Errorf("pair %d: %d, %v", n%100, o, ok)
					return
				}
			}
		})
	}
	for i := 100; i < 20_000; i++ {
		p.Claim(pairOf(i), 2)
		p.Release(pairOf(i-50), 2)
	}
	readers.Wait()
}

func TestOwnerAllocatesNothing(t *testing.T) {
	p, pair := NewPairs(), pairOf(1)
	p.Claim(pair, 1)
	if n := testing.AllocsPerRun(100, func() { p.Owner(&pair) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOwner(b *testing.B) {
	p, pairs := NewPairs(), make([]datagram.Pair, 4096)
	for i := range pairs {
		pairs[i] = pairOf(i)
		p.Claim(pairs[i], 1)
	}
	for i := 0; b.Loop(); i++ {
		p.Owner(&pairs[i&4095])
	}
}
