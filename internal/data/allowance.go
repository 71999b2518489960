package data

import (
	"sync"
	"time"
)

const (
	perDelivery = time.Second / DeliveriesPerSecond
	burst       = DeliveryBurst * perDelivery
)

// allowance limits deliveries: a token bucket, as the time until which what was spent is paid for.
type allowance struct {
	// guarded by mu
	mu   sync.Mutex
	paid time.Time
}

// spend takes deliveries, also more than there are left, since one message is never too many. Where there are none at all it takes none,
// and returns how long that lasts.
func (a *allowance) spend(now time.Time, deliveries int) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if wait := a.paid.Sub(now); wait > 0 {
		return wait
	}
	if saved := now.Add(-burst); a.paid.Before(saved) {
		a.paid = saved
	}
	a.paid = a.paid.Add(time.Duration(deliveries) * perDelivery)
	return 0
}

// deliveries is what a message counts.
func deliveries(receivers, length int) int {
	return max(1, receivers) * max(1, (length+deliveryBytes-1)/deliveryBytes)
}
