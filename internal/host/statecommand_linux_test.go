package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/wire"
)

// command runs the program in another process, and returns what it prints and how it ends.
func (k *killing) command(args ...string) (printed string, status int) {
	k.t.Helper()
	cmd := child(childOrder{Main: append(args, "--data", k.data)})
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // the status says more
	return out.String(), cmd.ProcessState.ExitCode()
}

// stored is what `parley state ls` lists.
func (k *killing) stored() (rooms []string) {
	k.t.Helper()
	printed, status := k.command("state", "ls", "--json")
	var s api.Stored
	if err := json.Unmarshal([]byte(printed), &s); err != nil || status != 0 {
		k.t.Fatalf("%s, %d, %v", printed, status, err)
	}
	for _, r := range s.Rooms {
		rooms = append(rooms, r.Room)
	}
	slices.Sort(rooms)
	return rooms
}

// removes removes a room, as soon as nobody is in it.
func (k *killing) removes(room string) {
	k.t.Helper()
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		printed, status := k.command("state", "rm", "--yes", room)
		if status == 0 && strings.HasPrefix(printed, "removed "+room+": ") {
			return
		}
		if !strings.Contains(printed, "somebody is in the room") || time.Now().After(until) {
			k.t.Fatalf("%d: %s", status, printed)
		}
	}
}

// creates lets somebody write a durable record of a room that has none, and say something, and returns the record's incarnation.
func (k *killing) creates(v *visit) uint64 {
	k.t.Helper()
	durable := true
	m, err := v.ask(wire.TypeRecordWrite, wire.RecordWrite{
		Name: "board", Durable: &durable, Operations: []wire.Operation{{Op: wire.OperationSet, Path: "n", Value: []byte(`1`)}},
	})
	var w wire.Written
	if err == nil {
		err = json.Unmarshal(m.Body, &w)
	}
	if err == nil {
		_, err = v.ask(wire.TypeChat, wire.Chat{Text: "hello"})
	}
	if err != nil || w.Version != 1 {
		k.t.Fatalf("%s, %v", m.Body, err)
	}
	return w.Incarnation
}

// wantsNew lets somebody come to a room who has kept a record of before: it is not there, nothing that was made for it applies, and nothing of before is in the log.
func (k *killing) wantsNew(s *mortal, identity string, kept uint64) (v *visit) {
	k.t.Helper()
	v = k.join(s, k.t.Context(), identity)
	m, err := v.ask(wire.TypeRecordSubscribe, wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "board", Incarnation: kept, Version: 1}}})
	var got wire.Records
	if err == nil {
		err = json.Unmarshal(m.Body, &got)
	}
	if err != nil || len(got.Results) != 1 || got.Results[0].Record == nil || got.Results[0].Record.Version != 0 || got.Results[0].Record.Same {
		k.t.Errorf("who kept version 1 of %d is told %s, %v", kept, m.Body, err)
	}
	write := wire.RecordWrite{Name: "board", Incarnation: kept, Operations: []wire.Operation{{Op: wire.OperationSet, Path: "n", Value: []byte(`2`)}}}
	if m, err := v.ask(wire.TypeRecordWrite, write); err == nil || !strings.Contains(err.Error(), string(wire.CodeConflict)) && !bytes.Contains(m.Body, []byte(`"conflict"`)) {
		k.t.Errorf("a write that has waited: %s, %v", m.Body, err)
	}
	if m, err = v.ask(wire.TypeLogRead, wire.LogRead{}); err != nil || bytes.Contains(m.Body, []byte("hello")) || bytes.Contains(m.Body, []byte("board")) {
		k.t.Errorf("the log has %s, %v", m.Body, err)
	}
	return v
}

// `parley state` lists and removes what is stored of rooms where the server runs, where it was killed, and where it has ended: with the data folder alone. A room in which somebody is stays as it is, and one that was removed
// is empty for whoever comes to it, also if he kept what there was.
func TestScenarioStateCommand(t *testing.T) {
	k := &killing{t: t, data: t.TempDir()}
	serve := func(more ...string) *mortal {
		address, cmd := startKilled(t, child(childOrder{Main: append([]string{"serve", "--listen", "127.0.0.1:0", "--linger", "1s", "--drain", "0s", "--data", k.data}, more...)}))
		return &mortal{&churn{address: address}, cmd}
	}
	s := serve()
	v := k.join(s, t.Context(), "ann")
	first := k.creates(v)
	if printed, status := k.command("state", "rm", "--yes", "tea"); status != 1 || !strings.Contains(printed, "somebody is in the room") || !strings.Contains(printed, "--linger") {
		t.Errorf("with somebody in it: %d: %s", status, printed)
	}
	if printed, status := k.command("state", "rm", "--yes", "milk"); status != 1 || !strings.Contains(printed, "nothing is stored of milk") {
		t.Errorf("a room that never was: %d: %s", status, printed)
	}
	if printed, status := k.command("state", "ls"); status != 0 || !strings.Contains(printed, "open  tea\n") {
		t.Errorf("%d: %s", status, printed)
	}
	if _, err := v.ask(wire.TypeLeave, wire.Leave{}); err != nil {
		t.Fatal(err)
	}
	k.removes("tea")
	if rooms := k.stored(); len(rooms) != 0 {
		t.Errorf("there is %q", rooms)
	}

	v = k.wantsNew(s, "ann", first)
	second := k.creates(v)
	s.kill()
	if rooms := k.stored(); second <= first || !slices.Equal(rooms, []string{"tea"}) {
		t.Errorf("incarnation %d after %d, there is %q", second, first, rooms)
	}
	k.removes("tea")

	s = serve()
	v = k.wantsNew(s, "ann", second)
	if third := k.creates(v); third <= second {
		t.Errorf("incarnation %d after %d", third, second)
	}
	s.end()
	s = serve("--behind-proxy", "127.0.0.1/32") // who asks from this machine is the proxy, and has to say that he needs no TLS
	if rooms := k.stored(); !slices.Equal(rooms, []string{"tea"}) {
		t.Errorf("there is %q", rooms)
	}
	s.end()
	k.removesAsRoot()
}

// end lets a server end in order.
func (s *mortal) end() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// removesAsRoot removes a room from the folder of another user, who does not get there: all that is there then is his still.
func (k *killing) removesAsRoot() {
	k.t.Helper()
	const user = 54321
	if os.Geteuid() != 0 {
		k.removes("tea")
		return
	}
	private := filepath.Join(k.t.TempDir(), "private")
	data := filepath.Join(private, "parley")
	err := os.Mkdir(private, 0o700)
	if err == nil {
		err = os.Rename(k.data, data)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.data = data
	each := func(visit func(path string, info fs.FileInfo) error) {
		k.t.Helper()
		err := filepath.Walk(data, func(path string, info fs.FileInfo, err error) error {
			if err == nil {
				err = visit(path, info)
			}
			return err
		})
		if err != nil {
			k.t.Error(err)
		}
	}
	each(func(path string, _ fs.FileInfo) error { return os.Lchown(path, user, user) })
	k.removes("tea")
	if rooms := k.stored(); len(rooms) != 0 {
		k.t.Errorf("there is %q", rooms)
	}
	each(func(path string, info fs.FileInfo) error {
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != user {
			return fmt.Errorf("%s is of user %d", path, owner)
		}
		return nil
	})
}
