package whip

import (
	"net/url"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/rooms"
)

// Whatever the path, parsing it does not panic, and Location leads back to the same target.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/whip/tea", "/whep/tea/id", "/whip/a%2Fb/x", "/whip/", "/whip//x", "/whip/%zz", "/sip/x", "/whip/../x", "whip/tea", "/whip/%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.ParseRequestURI(s)
		if err != nil {
			return
		}
		at, ok := parse(u)
		if !ok {
			return
		}
		if at.carrier != rooms.CarrierWHIP && at.carrier != rooms.CarrierWHEP {
			t.Errorf("%q: %+v", s, at)
		}
		back, err := url.ParseRequestURI(location(at, "id"))
		if err != nil || back.Host != "" {
			t.Fatalf("%q: %q: %v", s, location(at, "id"), err)
		}
		if again, ok := parse(back); !ok || again != (target{at.carrier, at.room, "id"}) {
			t.Errorf("%q: %+v, back %+v", s, at, again)
		}
	})
}

// The header readers take anything.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"*/*", "application/sdp;q=0", ";", ",", "a/b;q=x", `"x", "tag"`, "*", "W/\"tag\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if accepts([]string{s}, sdpType) && !strings.ContainsAny(s, "*/") && strings.TrimSpace(s) != "" {
			t.Errorf("Accept: %q takes SDP", s)
		}
		if matches(s, "tag") && !strings.Contains(s, `"tag"`) {
			t.Errorf("If-Match: %q matches", s)
		}
	})
}
