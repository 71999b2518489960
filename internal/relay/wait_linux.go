package relay

import "golang.org/x/sys/unix"

// wait waits until there is something to do. Where there is already, it costs one call. Otherwise Go's own poller waits for ours: with epoll_wait
// as a system call the scheduler takes this thread's P away and gives it back each time, which was measured to cost a third more for each packet.
func (l *loop) wait() {
	if l.ready = epollWait(l.ep, l.events[:], 0); l.ready > 0 || len(l.more) > 0 {
		return
	}
	l.asleep.Store(true)
	defer l.asleep.Store(false)
	if l.inbox.waits() {
		return
	}
	l.stats.Waits++
	_ = l.raw.Read(l.step) // without deadlines it fails only when it is closed
}

// poll reports whether there is something to do: it runs inside RawConn.Read.
func (l *loop) poll(uintptr) bool {
	l.ready = epollWait(l.ep, l.events[:], 0)
	return l.ready > 0
}

// wake makes the loop look into its inbox. Any goroutine may call it.
func (l *loop) wake() {
	if l.asleep.CompareAndSwap(true, false) {
		one := [8]byte{1}
		_, _ = unix.Write(l.wakeFD, one[:])
	}
}
