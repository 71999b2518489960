package local_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
)

// Rule: the local bus is a bus.
func TestConformance(t *testing.T) {
	bustest.Run(t, func(*testing.T) bus.Bus { return local.New() })
}

// Rule: the local log is a log.
func TestLog(t *testing.T) {
	bustest.RunLog(t, func(_ *testing.T, l bus.Limits) bus.Log { return local.NewLogWithin(l) })
	synctest.Test(t, func(t *testing.T) {
		bustest.ForgetsByAge(t, local.NewLogWithin(bus.Limits{MaxBytes: 1 << 20, MaxAge: time.Hour}), time.Hour)
	})
}

// Rule: nothing of the local bus outlives its use: a bubble ends only when every goroutine in it has.
func TestRunsUnderSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := local.New()
		s, err := b.Subscribe("session.a", 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Publish("session.a", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if m, ok := bustest.Receive(s); !ok || string(m) != "x" {
			t.Errorf("got %q", m)
		}
	})
}
