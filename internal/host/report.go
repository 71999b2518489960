package host

import (
	"context"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/internal/port"
)

// report gathers the metrics of everything that runs, for one scrape.
func (n *node) report(s *obs.Samples) {
	s.Gauge("draining", "1 while nobody new is taken.", boolean(n.draining.Load()))
	if leaf := n.certs.leaf.Load(); leaf != nil && leaf.Leaf != nil {
		s.Gauge("certificate_expiry_timestamp_seconds", "When the private certificate, or that of --cert, ends.", float64(leaf.Leaf.NotAfter.Unix()))
	}
	n.reportPort(s)
	if n.turn != nil {
		reportRelay(s, n.turn.relay)
	}
	n.reportMedia(s)
	n.reportSessions(s)
}

// counter is a metric that only grows.
type counter struct {
	name, help string
	value      uint64
}

func counters(s *obs.Samples, all []counter) {
	for _, c := range all {
		s.Counter(c.name, c.help, float64(c.value))
	}
}

func (n *node) reportPort(s *obs.Samples) {
	p := n.port.Stats()
	u := &p.UDP
	counters(s, []counter{
		{"udp_received_datagrams_total", "Datagrams received.", u.Received},
		{"udp_received_bytes_total", "Bytes of datagrams received.", u.ReceivedBytes},
		{"udp_sent_datagrams_total", "Datagrams sent.", u.Sent},
		{"udp_sent_bytes_total", "Bytes of datagrams sent.", u.SentBytes},
		{"udp_sent_messages_total", "Messages in which datagrams were sent: a run to one destination is one.", u.Messages},
		{"udp_send_full_datagrams_total", "Datagrams dropped because the socket's send buffer was full.", u.SendFull},
		{"udp_send_failed_datagrams_total", "Datagrams that the kernel refused to send.", u.SendFailed},
		{"udp_gso_fallbacks_total", "Runs that the kernel refused as one message.", u.GSOFallbacks},
		{"udp_kernel_dropped_datagrams_total", "Datagrams that the kernel dropped because the receive buffer was full.", u.KernelDrops},
		{"udp_read_errors_total", "Errors of the UDP socket.", p.ReadErrors},
		{"tcp_accepted_connections_total", "TCP connections accepted.", p.Accepted},
		{"tcp_refused_connections_total", "TCP connections refused by a limit.", p.Refused},
		{"tcp_evicted_connections_total", "TCP connections closed unidentified, to make room.", p.Evicted},
		{"tcp_unclassified_connections_total", "TCP connections that spoke no protocol of ours.", p.Unclassified},
		{"tls_failed_handshakes_total", "TLS handshakes that failed.", p.Insecure},
	})
	s.Gauge("udp_receive_buffer_bytes", "Receive buffer that the kernel granted.", float64(u.ReceiveBuffer))
	s.Gauge("udp_send_buffer_bytes", "Send buffer that the kernel granted.", float64(u.SendBuffer))
	s.Gauge("tcp_connections", "TCP connections now.", float64(p.Connections))
	s.Gauge("tcp_half_open_connections", "TCP connections now of which nothing is known yet.", float64(p.HalfOpen))
	s.Gauge("ice_tcp_connections", "TCP connections now that carry media.", float64(p.Streams))
	n.reportDrops(s, &p)
}

// reportDropsOf tells what an owner has discarded, by why. All reasons are there from the start, so that a rate can be computed over the
// first of each.
func reportDropsOf(s *obs.Samples, owner string, drops *drop.Counts) {
	for r := drop.None + 1; r < drop.NumReasons; r++ {
		s.Counter("dropped_datagrams_total", "Datagrams and packets discarded, by where and why.", float64(drops[r]), "owner", owner, "reason", r.String())
	}
}

// reportDrops tells what the port and the shards have discarded, and what else the shards know.
func (n *node) reportDrops(s *obs.Samples, p *port.Stats) {
	reportDropsOf(s, "port", &p.Drops)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := n.shards.Counts(ctx)
	if err != nil {
		return // a shard is overloaded; the other metrics show it
	}
	reportDropsOf(s, "shard", &c.Drops)
	s.Gauge("shards", "Shards that the media of all rooms is spread over.", float64(len(n.shards)))
	s.Counter("shard_received_datagrams_total", "Datagrams that reached a shard.", float64(c.Received))
	s.Counter("shard_sent_datagrams_total", "Datagrams that shards sent.", float64(c.Sent))
	s.Counter("shard_sent_bytes_total", "Bytes that shards sent.", float64(c.SentBytes))
	s.Counter("shard_piped_packets_total", "Packets that went from one shard to another.", float64(c.Piped))
	s.Counter("bandwidth_probes_total", "Tries of what a subscriber's network carries.", float64(c.Probes))
	s.Counter("bandwidth_padding_packets_total", "Packets of padding that were sent for such tries.", float64(c.Padding))
	s.Counter("bandwidth_paced_packets_total", "Packets of video that waited for room on a subscriber's network.", float64(c.Waited))
	s.Gauge("bandwidth_estimated_transports", "Transports now that send to a network of which something is known.", float64(c.Estimated))
	s.Gauge("bandwidth_estimated_bytes_per_second", "What these networks carry in all.", float64(c.Estimate)/8)
	s.Counter("data_messages_total", "Data channel messages passed on, once for each receiver.", float64(c.Data.Messages))
	const held = "Time for which senders of reliable data messages were held back, by why: they were too fast, or a receiver was behind."
	s.Counter("data_held_back_seconds_total", held, c.Data.HeldRate.Seconds(), "cause", "rate")
	s.Counter("data_held_back_seconds_total", held, c.Data.HeldReceiver.Seconds(), "cause", "receiver")
	s.Counter("data_slow_channels_total", "Reliable data channels closed because their client did not read them.", float64(c.SlowChannels))
	s.Counter("transport_faults_total", "Transports that ended by an internal fault.", float64(c.Panics))
	s.Gauge("transports", "Transports now.", float64(c.Transports))
	s.Gauge("producers", "Producers now.", float64(c.Producers))
	s.Gauge("mirrors", "Producers of one shard that fill slots on another now.", float64(c.Mirrors))
	const failures = "DTLS handshakes that failed, by why: the certificate was not the one of the offer, or there was none in time."
	s.Counter("dtls_failures_total", failures, float64(c.Strangers), "cause", "certificate")
	s.Counter("dtls_failures_total", failures, float64(c.Unfinished), "cause", "unfinished")
	s.Gauge("dtls_handshakes", "Transports now that were checked and have not finished their DTLS handshake.", float64(c.Handshakes))
	const evicted = "Transports that had to make way before their DTLS handshake was finished, where too many had not."
	s.Counter("evicted_transports_total", evicted, float64(c.Evicted))
}

// reportMedia tells what rooms there are.
func (n *node) reportMedia(s *obs.Samples) {
	r := n.rooms.Stats()
	s.Gauge("rooms", "Rooms now.", float64(r.Rooms))
	s.Gauge("participants", "Participants now, without hidden ones.", float64(r.Participants))
	s.Gauge("hidden_participants", "Hidden participants now, such as WHEP viewers.", float64(r.Hidden))
	s.Gauge("publications", "Publications now.", float64(r.Publications))
	s.Counter("room_joins_total", "Joins that succeeded.", float64(r.Joins))
	s.Counter("room_faults_total", "Rooms that ended by an internal fault.", float64(r.Panics))
	for code, count := range r.Refusals {
		s.Counter("room_refusals_total", "Requests that rooms refused, by code.", float64(count), "code", string(code))
	}
}

func (n *node) reportSessions(s *obs.Samples) {
	c := n.signal.Stats()
	s.Gauge("sessions", "Sessions now, also those waiting to be resumed.", float64(c.Sessions))
	s.Gauge("calls", "WHIP and WHEP calls now.", float64(c.Calls))
	s.Gauge("unauthenticated_connections", "Signalling connections now that have not joined.", float64(c.Unauthenticated))
	counters(s, []counter{
		{"session_joins_total", "Joins that succeeded.", c.Joins},
		{"session_refused_joins_total", "Joins that were refused.", c.JoinsRefused},
		{"session_resumes_total", "Sessions resumed over a new connection.", c.Resumes},
		{"session_refused_resumes_total", "Resumes that were refused.", c.ResumesRefused},
		{"session_requests_total", "Requests received.", c.Requests},
		{"session_repeated_requests_total", "Requests received again and answered again.", c.Repeated},
		{"session_malformed_messages_total", "Messages that could not be understood.", c.Malformed},
		{"session_oversized_messages_total", "Messages beyond the limit of size.", c.TooLarge},
		{"session_hasty_messages_total", "Messages beyond the limit of rate.", c.TooFast},
		{"session_resyncs_total", "Times that a slow reader got a snapshot instead of its backlog.", c.Resyncs},
		{"session_slow_readers_total", "Sessions that ended because they read too slowly.", c.SlowReaders},
		{"session_faults_total", "Sessions and calls that ended by an internal fault.", c.Panics},
		{"session_timeouts_total", "Sessions that nobody resumed in time.", c.Timeouts},
	})
	if n.scopes != nil {
		s.Gauge("state_durable", "1 while durable records are stored; 0 where they are refused, as the data folder cannot be used, or its disk takes nothing now.", boolean(n.durable && n.scopes.Stores()))
		counters(s, []counter{
			{"state_costly_rules_total", "Refusals in shared state because rules would have looked at too much for one request.", n.scopes.Costly()},
			{"state_crowded_total", "Requests about rooms' shared state that were refused as too many rooms have some.", n.scopes.Crowded()},
			{"state_unstored_total", "Commits of durable records that could not be stored: writes that were refused, or of which nobody knows.", n.scopes.Unstored()},
		})
	}
	if n.store != nil {
		c := n.store.Stats()
		s.Gauge("store_faulty", "1 while the disk of the data folder does not take what is written, and it is tried again.", boolean(c.Faulty))
		s.Gauge("store_damaged_blocks", "Files of rooms' logs that were found damaged, and set aside, since the server started.", float64(c.Damaged))
		counters(s, []counter{
			{"store_faults_total", "Times that the disk of the data folder did not take what was written.", c.Faults},
			{"store_unreadable_total", "Readings that failed, as the disk of the data folder did not give what it has.", c.Unreadable},
		})
	}
	if n.journal != nil {
		counters(s, []counter{{"room_log_dropped_entries_total", "Entries of rooms' logs that were not stored, as the disk did not keep up.", n.journal.Dropped()}})
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
