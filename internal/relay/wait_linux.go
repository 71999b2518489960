package relay

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wait waits until there is something to do. Where there is already, it costs one call. Otherwise Go's own poller waits for ours: with epoll_wait
// as a system call the scheduler takes this thread's P away and gives it back each time, which was measured to cost a third more for each packet;
// and a call that keeps the P has to be short, where each timer may cost as much as three packets.
func (l *loop) wait() {
	l.asleep.Store(true)
	defer l.asleep.Store(false)
	if len(l.more) > 0 || l.inbox.waits() {
		l.ready = epollReady(l.ep, l.events[:])
		return
	}
	_ = l.raw.Read(l.step) // without deadlines it fails only when it is closed
}

// rest waits a moment for more. Go's timers round up to a millisecond, and the kernel adds 50 µs of slack, which is per thread. The raw calls keep
// this thread and its P for the time: giving them away would cost more than the wait.
func (l *loop) rest() {
	l.stats.Rests++
	before := threadTime()
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0)
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&l.restFor)), 0, 0)
	l.gathering.took(threadTime() - before)
	l.ready = epollReady(l.ep, l.events[:])
}

// threadTime is the processor time of this thread.
func threadTime() time.Duration {
	var t unix.Timespec
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}

// poll reports whether there is something to do: it runs inside RawConn.Read, which waits where there is not.
func (l *loop) poll(uintptr) bool {
	if l.ready = epollReady(l.ep, l.events[:]); l.ready == 0 {
		l.stats.Waits++
		return false
	}
	return true
}

// wake makes the loop look into its inbox. Any goroutine may call it.
func (l *loop) wake() {
	if l.asleep.CompareAndSwap(true, false) {
		one := [8]byte{1}
		_, _ = unix.Write(l.wakeFD, one[:])
	}
}

// epollReady does not wait. The raw call keeps this thread and its P.
func epollReady(ep int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0 // EINTR: the scheduler wants this thread
	}
	return int(n)
}
