package data

import (
	"testing"
	"time"
)

// Limit: DeliveryBurst deliveries after a pause, however long, and DeliveriesPerSecond afterwards. One message of any cost is taken when there
// is anything left, and what it takes beyond that has to be waited for.
func TestAllowance(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, cost := range []int{1, 3, 400, DeliveryBurst, 3 * DeliveryBurst} {
		var a allowance
		for range 2 {
			taken := 0
			for a.spend(now, cost) == 0 {
				taken += cost
			}
			if taken < DeliveryBurst || taken > DeliveryBurst+cost {
				t.Errorf("cost %d: %d deliveries at once", cost, taken)
			}
			start := now
			for range 100 {
				wait := a.spend(now, cost)
				if wait <= 0 {
					t.Fatalf("cost %d: nothing to wait for", cost)
				}
				now = now.Add(wait - 1)
				if a.spend(now, cost) != 1 {
					t.Fatalf("cost %d: not the time that was told", cost)
				}
				now = now.Add(1)
				for a.spend(now, cost) == 0 {
					taken += cost
				}
			}
			rate := float64(taken-DeliveryBurst) / now.Sub(start).Seconds()
			if rate < DeliveriesPerSecond || rate > DeliveriesPerSecond*1.02 {
				t.Errorf("cost %d: %.0f deliveries a second", cost, rate)
			}
			now = now.Add(time.Hour)
		}
	}
}

// A message counts one for each receiver and each KiB begun of it, and one without receivers.
func TestDeliveries(t *testing.T) {
	for _, c := range []struct{ receivers, length, want int }{
		{0, 0, 1},
		{0, 5000, 5},
		{1, 2, 1},
		{3, 1024, 3},
		{3, 1025, 6},
		{100, 65536, 6400},
	} {
		if got := deliveries(c.receivers, c.length); got != c.want {
			t.Errorf("%d bytes for %d: %d", c.length, c.receivers, got)
		}
	}
}
