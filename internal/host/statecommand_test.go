package host

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/wire"
)

// Rule: a room's name is shown so that nothing in it acts on the terminal or hides, and is found again by what was shown.
func TestPrintedRooms(t *testing.T) {
	for room, want := range map[string]string{
		"tea": "tea", "tea time": "tea time", "Tee für 2": "Tee für 2", "茶": "茶", `a"b`: `a"b`,
		" tea": `" tea"`, "": `""`, `"tea"`: `"\"tea\""`, "a\x1b[2J": `"a\x1b[2J"`, "a\u202eb": `"a\u202eb"`, "a\u200bb": `"a\u200bb"`, "a\nb": `"a\nb"`, "a\xffb": `"a\xffb"`,
	} {
		got := printed(room)
		if got != want {
			t.Errorf("%q is shown as %s", room, got)
		}
		if named, err := namedRooms([]string{got, got}); err != nil || !slices.Equal(named, []string{room}) {
			t.Errorf("%s names %q, %v", got, named, err)
		}
	}
	if named, err := namedRooms([]string{`"tea`}); err == nil {
		t.Errorf("named %q", named)
	}
	if named, err := namedRooms(strings.Split(strings.Repeat("x", 33), "")); err != nil || len(named) != 1 {
		t.Errorf("the same again: %q, %v", named, err)
	}
	many := make([]string, api.MaxNamedRooms+1)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	if named, err := namedRooms(many); err == nil {
		t.Errorf("named %d", len(named))
	}
}

// Rule: the list says what is stored, of how many rooms, and of how much there may be.
func TestWriteStored(t *testing.T) {
	var out strings.Builder
	writeStored(&out, api.Stored{
		RecordBytes: 600 << 20, MaxRecordBytes: 1 << 30, ServerBytes: 512, LogBytes: 20411, RoomCount: 10_001,
		Rooms: []api.StoredRoom{{Room: "tea\x1b", RecordBytes: 599<<20 + 3, LogBytes: 20411, Open: true}, {Room: "milk", RecordBytes: 1536}},
	})
	want := `  RECORDS  LOG             ROOM
  599 MiB  19.9 KiB  open  "tea\x1b"
  1.5 KiB  0 B             milk
  and 9999 smaller ones
10001 rooms. Records take 600 MiB of 1.0 GiB (59 % of --state-bytes), the server's own 512 B of that; logs take 19.9 KiB.
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
	out.Reset()
	writeStored(&out, api.Stored{MaxRecordBytes: 1 << 30, RoomCount: 1})
	if got := out.String(); !strings.HasPrefix(got, "  and 1 smaller ones\n1 room.") {
		t.Errorf("got %s", got)
	}
}

// Rule: nothing is removed unless somebody says yes, who was told what; where nobody can be asked, that is said before anything is looked at.
func TestConfirmed(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, " YES \n": true, "\n": false, "": false, "n\n": false, "tea\n": false} {
		var out strings.Builder
		p := process{stdin: strings.NewReader(answer), stdout: &out}
		got := p.confirmed([]api.StoredRoom{{Room: "tea", RecordBytes: 1536, LogBytes: 12}})
		if got != want || !strings.Contains(out.String(), "tea  1.5 KiB of records,  12 B of log\n") || strings.Contains(out.String(), "Nothing was removed") == want {
			t.Errorf("%q: %v\n%s", answer, got, out.String())
		}
	}
	var errs strings.Builder
	p := process{env: func(string) (string, bool) { return "", false }, stdin: strings.NewReader("y\n"), stdout: io.Discard, stderr: &errs}
	if code := p.main([]string{"state", "rm", "--data", t.TempDir(), "tea"}); code != 2 || !strings.Contains(errs.String(), "--yes") {
		t.Errorf("%d: %s", code, errs.String())
	}
	errs.Reset()
	if code := p.main([]string{"state", "ls", "--data", t.TempDir()}); code != 1 || !strings.Contains(errs.String(), "nothing is stored") {
		t.Errorf("%d: %s", code, errs.String())
	}
}

// Rule: in open mode and where tokens are wanted, nobody lists or removes rooms but who has a key of the server: no visitor, from this machine either, no participant and no admin.
func TestStoredIsForOperators(t *testing.T) {
	for _, mode := range []string{"open", "token"} {
		n := startNode(t, "--auth", mode)
		keys := n.keys.Load()
		operator, err := auth.SignOperator(time.Now(), keys.first, time.Minute, keys.keys)
		if err != nil {
			t.Fatal(err)
		}
		admin, err := auth.Sign(time.Now(), auth.Claims{
			Key: keys.first, Identity: "ann", Room: "tea", Grants: wire.Grants{Publish: true, Subscribe: true, PublishData: true, Admin: true}, Expires: time.Now().Add(time.Hour),
		}, keys.keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			method, token string
			status        int
		}{
			{http.MethodGet, "", http.StatusUnauthorized},
			{http.MethodDelete, "", http.StatusUnauthorized},
			{http.MethodGet, admin, http.StatusUnauthorized},
			{http.MethodDelete, admin, http.StatusUnauthorized},
			{http.MethodGet, operator, http.StatusOK},
			{http.MethodDelete, operator, http.StatusNotFound},
		} {
			r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+n.port.Local().String()+api.StoredPath+"?room=tea", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+c.token)
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(a.Body)
			_ = a.Body.Close()
			if a.StatusCode != c.status {
				t.Errorf("%s: %s by %.8q: %d %s", mode, c.method, c.token, a.StatusCode, b)
			}
		}
		n.stop()
	}
}

// Rule: a server that starts while `parley state` has the folder waits for that, and stores what is durable then; one that finds another server does not wait.
func TestServerWaitsForCommand(t *testing.T) {
	data := t.TempDir()
	store, err := nats.Open(stateFolder(data))
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { _ = store.Close() })
	n := startNode(t, "--data", data)
	if !n.durable {
		t.Error("it stores nothing")
	}
	if other := startNode(t, "--data", data); other.durable {
		t.Error("two servers store in one folder")
	} else {
		other.stop()
	}
	if got := serverAt(stateFolder(data)); got != n.port.Local().String() {
		t.Errorf("the server is said to be at %q", got)
	}
	n.stop()
	if left, err := os.ReadFile(filepath.Join(stateFolder(data), "address")); err == nil {
		t.Errorf("%s is left", left)
	}
}
