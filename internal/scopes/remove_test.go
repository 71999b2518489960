package scopes_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/scopes"
)

// removes removes what is stored of a room, and nothing else.
func (c *town) removes(room string) error {
	return c.Remove(c.t.Context(), room, func(context.Context) error { return nil })
}

// creates writes a durable record of a room that has none, and returns its incarnation.
func (c *town) creates(room string) (incarnation uint64) {
	c.t.Helper()
	got := c.ask(room, "", "record-write", `{"name":"board","durable":true,"operations":[{"op":"set","path":"n","value":1}]}`)
	if _, err := fmt.Sscanf(got, `written{"incarnation":%d,"version":1}`, &incarnation); err != nil {
		c.t.Fatalf("%s: %v", got, err)
	}
	return incarnation
}

func (c *town) board(room string) string {
	c.t.Helper()
	return c.ask(room, "", "record-read", `{"records":[{"name":"board"}]}`)
}

// Rule: a room whose state was removed is empty when it is opened again, whether it was open in memory or not, and no incarnation of before comes again. Other rooms and the server's
// scope stay as they are.
func TestRemoved(t *testing.T) {
	for _, after := range []time.Duration{time.Millisecond, linger + time.Second} { // in memory, and not any more
		synctest.Test(t, func(t *testing.T) {
			log := local.NewLog(1 << 20)
			c := newTown(t, log)
			before := c.creates("tea")
			c.creates("milk")
			c.ask("tea", "", "record-write", `{"scope":"server","name":"x","operations":[{"op":"set","path":"n","value":1}]}`)
			time.Sleep(after)
			synctest.Wait()
			if err := c.removes("tea"); err != nil {
				t.Fatal(err)
			}
			sizes, err := log.Sizes(t.Context())
			rooms := 0
			for subject := range sizes {
				if room, ok := scopes.RoomOf(subject); ok && room == "milk" {
					rooms++
				} else if subject != scopes.ServerSubject {
					t.Errorf("%s is left", subject)
				}
			}
			if err != nil || len(sizes) != 2 || rooms != 1 {
				t.Errorf("there is %v, %v", sizes, err)
			}
			if got := c.board("tea"); !strings.Contains(got, "not-found") {
				t.Errorf("tea: %s", got)
			}
			if got := c.board("milk"); strings.Contains(got, "error") {
				t.Errorf("milk: %s", got)
			}
			if again := c.creates("tea"); again <= before {
				t.Errorf("incarnation %d after %d", again, before)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Rule: while a room is there, or somebody uses its state, nothing of it is removed.
func TestNotRemovedInUse(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		c.creates("tea")
		refused := func(why string) {
			t.Helper()
			if err := c.removes("tea"); !errors.Is(err, scopes.ErrInUse) || !c.InUse("tea") || strings.Contains(c.board("tea"), "error") {
				t.Errorf("%s: %v, %s", why, err, c.board("tea"))
			}
		}
		c.Hold("tea")
		refused("the room is there")
		c.come("tea", "ann")
		c.Release("tea")
		refused("a session is attached")
		c.ask("tea", "ann", scopes.TypeDetach, "")
		if err := c.removes("tea"); err != nil || c.InUse("tea") {
			t.Errorf("nobody is there: %v", err)
		}
	})
}

// Rule: whoever asks for a scope while what is stored of it is removed waits, and finds nothing; where something else of the room could not be removed, all of the scope stays.
func TestRemovedMeanwhile(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		c.creates("tea")
		failed := errors.New("not now")
		if err := c.Remove(t.Context(), "tea", func(context.Context) error { return failed }); !errors.Is(err, failed) || strings.Contains(c.board("tea"), "error") {
			t.Errorf("%v, %s", err, c.board("tea"))
		}
		entered, leave, removed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			removed <- c.Remove(t.Context(), "tea", func(context.Context) error {
				close(entered)
				<-leave
				return nil
			})
		}()
		<-entered
		got := make(chan string, 1)
		go func() { got <- c.board("tea") }()
		synctest.Wait()
		select {
		case board := <-got:
			t.Errorf("read meanwhile: %s", board)
		default:
		}
		close(leave)
		if err, board := <-removed, <-got; err != nil || !strings.Contains(board, "not-found") {
			t.Errorf("%v, %s", err, board)
		}
	})
}

// unerasing is a log that ends with its process before it has erased anything, or all but the last message.
type unerasing struct {
	bus.Log
	some bool
}

var errEnded = errors.New("the process has ended")

func (l *unerasing) Erase(ctx context.Context, subject string) error {
	if l.some {
		last, _ := l.Last(ctx, subject)
		_ = l.Purge(ctx, subject, last.Number)
	}
	return errEnded
}

// Rule: where a removal is cut short, be nothing erased yet or nearly all, the scope is empty when it is opened again, and takes what is new.
func TestRemovalCutShort(t *testing.T) {
	for _, some := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			log := &unerasing{local.NewLog(1 << 20), some}
			c := newTown(t, log)
			before := c.creates("tea")
			c.ask("tea", "", "record-write", `{"name":"other","durable":true,"operations":[{"op":"set","path":"n","value":1}]}`)
			time.Sleep(time.Millisecond)
			if err := c.removes("tea"); !errors.Is(err, errEnded) {
				t.Fatal(err)
			}
			for range 2 { // and anew with what is stored then
				if got := c.board("tea"); !strings.Contains(got, "not-found") {
					t.Errorf("erased some: %v: %s", some, got)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				c = newTown(t, log)
			}
			if again := c.creates("tea"); again <= before {
				t.Errorf("incarnation %d after %d", again, before)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Rule: what is damaged can be removed; while the disk takes nothing, nothing is.
func TestRemovedDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bustest.FailingLog{Log: local.NewLog(64 << 20)}
		c := newTown(t, log)
		c.creates("tea")
		c.creates("milk")
		log.Fail(true)
		if got := c.ask("tea", "", "record-delete", `{"name":"board"}`); got != "internal" {
			t.Fatal(got)
		}
		if err := c.removes("milk"); !errors.Is(err, scopes.ErrShut) {
			t.Errorf("while nothing is stored: %v", err)
		}
		log.Fail(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, room := range []string{"tea", "milk"} {
			subject := "r" + base64.RawURLEncoding.EncodeToString([]byte(room))
			last, err := log.Last(t.Context(), subject)
			if err == nil {
				_, err = log.Append(t.Context(), subject, last.Number, []byte("no commit"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := c.board(room); got != "internal" {
				t.Fatalf("damaged: %s", got)
			}
			if err := c.removes(room); err != nil {
				t.Fatal(err)
			}
			if got := c.board(room); !strings.Contains(got, "not-found") {
				t.Errorf("%s: %s", room, got)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
