package host

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Incarnation and version of a write: in a commit on its way to the disk, and in what leaves by a socket.
var (
	storedWrite = regexp.MustCompile(`\\"i\\":(\d+),\\"v\\":(\d+)`)
	shownWrite  = regexp.MustCompile(`\\"incarnation\\":(\d+),\\"version\\":(\d+)`)
	onState     = regexp.MustCompile(`^(pwrite64|fsync|fdatasync)\(\d+<([^>]*/STATE/[^>]*)>`) // what other streams write and sync is no matter
	onSocket    = regexp.MustCompile(`^(?:write|writev|sendto|sendmsg|sendmmsg)\(\d+<(?:TCP|socket)`)
)

// As the kernel sees it, no socket is given anything about a write to a durable record, be it the reply or what subscribers are told, before a
// sync has ended that began after the write's commit was written to the disk.
func TestScenarioNothingLeavesBeforeTheSync(t *testing.T) {
	const writes, underway = 300, 32
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	cmd := child(childOrder{Main: []string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data")}})
	cmd.Path = strace
	cmd.Args = append([]string{
		strace, "-f", "-yy", "-e", "trace=fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg,sendmmsg", "-s", "1048576", "-o", trace,
	}, cmd.Args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // strace and the server end together
	address, cmd := startKilled(t, cmd)
	end := func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
	}
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	k := &killing{t: t}
	s := &mortal{&churn{address: address}, cmd}
	for _, v := range []*visit{k.join(s, ctx, "reader"), k.join(s, ctx, "writer")} {
		for _, scope := range []wire.Scope{wire.ScopeServer, wire.ScopeRoom} {
			if _, err := v.ask(wire.TypeRecordSubscribe, wire.RecordSubscribe{Scope: scope, Records: []wire.RecordHave{{Name: "n0"}, {Name: "n1"}}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.writeDurably(writes, underway); err != nil {
			t.Fatal(err)
		}
		go func() { // what the other one's writes tell it
			for {
				if _, _, err := v.socket.Read(ctx); err != nil {
					return
				}
			}
		}()
	}
	end()
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x := kernel{writing: map[string]entries{}, written: map[string][]string{}, syncing: map[string][]string{}, synced: map[string]bool{}, shown: map[string]bool{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		x.line(t, lines.Text())
	}
	t.Logf("%d writes were shown, %d times, after %d syncs", len(x.shown), x.leaves, x.syncs)
	if len(x.shown) < 2*writes || x.leaves < 4*writes || x.syncs == 0 || x.syncs > 2*writes || lines.Err() != nil {
		t.Errorf("which is not what was asked for: %v", lines.Err())
	}
}

// writeDurably writes to records of both scopes, so many requests under way at once.
func (v *visit) writeDurably(writes, underway int) error {
	durable, sent := true, 0
	for replies := 0; replies < writes; {
		for ; sent < writes && sent-replies < underway; sent++ {
			v.id++
			write := wire.RecordWrite{
				Scope: []wire.Scope{wire.ScopeServer, wire.ScopeRoom}[sent%2], Name: fmt.Sprint("n", sent/2%2), Durable: &durable,
				Operations: []wire.Operation{{Op: wire.OperationSet, Path: "n", Value: json.RawMessage(`1`)}},
			}
			if err := put(v.ctx, v.socket, v.id, wire.TypeRecordWrite, write); err != nil {
				return err
			}
		}
		_, b, err := v.socket.Read(v.ctx)
		if err != nil {
			return err
		}
		var m wire.Message
		switch _ = json.Unmarshal(b, &m); {
		case m.Type == wire.TypeError:
			return fmt.Errorf("write: %s", b)
		case m.Type == wire.TypeWritten:
			replies++
		}
	}
	return nil
}

// kernel follows the calls of the server. A call that another thread interrupts in the trace has two lines.
type kernel struct {
	writing map[string]entries  // by thread
	written map[string][]string // by file
	syncing map[string][]string // by thread: what was written to the file when its sync began
	synced  map[string]bool
	shown   map[string]bool

	leaves, syncs int
}

// entries are being written to a file.
type entries struct {
	file string
	all  []string
}

func (k *kernel) line(t *testing.T, text string) {
	thread, call, _ := strings.Cut(text, " ")
	call = strings.TrimSpace(call)
	unfinished := strings.HasSuffix(call, "<unfinished ...>")
	m := onState.FindStringSubmatch(call)
	switch {
	case m != nil && m[1] == "pwrite64":
		k.writing[thread] = entries{m[2], pairs(storedWrite, call)}
		if !unfinished {
			k.wrote(thread)
		}
	case strings.HasPrefix(call, "<... pwrite64"):
		k.wrote(thread)
	case m != nil:
		k.syncing[thread] = slices.Clone(k.written[m[2]])
		if !unfinished {
			k.sync(thread)
		}
	case strings.HasPrefix(call, "<... fsync"), strings.HasPrefix(call, "<... fdatasync"):
		k.sync(thread)
	case onSocket.MatchString(call):
		for _, w := range pairs(shownWrite, call) {
			if w == "0 0" { // there is no such record
				continue
			}
			k.leaves++
			k.shown[w] = true
			if !k.synced[w] {
				t.Errorf("%s has left by a socket before it was synced", w)
			}
		}
	}
}

func (k *kernel) wrote(thread string) {
	w := k.writing[thread]
	delete(k.writing, thread) // the next line of the thread may end a call about another file
	k.written[w.file] = append(k.written[w.file], w.all...)
}

func (k *kernel) sync(thread string) {
	written, ours := k.syncing[thread]
	delete(k.syncing, thread)
	if ours {
		k.syncs++
	}
	for _, w := range written {
		k.synced[w] = true
	}
}

// pairs are the writes that a call has in it.
func pairs(of *regexp.Regexp, call string) (all []string) {
	for _, m := range of.FindAllStringSubmatch(call, -1) {
		all = append(all, m[1]+" "+m[2])
	}
	return all
}
