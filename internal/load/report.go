package load

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/load/meter"
	"github.com/parley-rtc/parley/wire"
)

// Report is the result of a run. Its JSON form is for programs: fields are only ever added.
type Report struct {
	Server      string  `json:"server"`
	Load        Load    `json:"load"`
	Interrupted bool    `json:"interrupted"`
	OK          bool    `json:"ok"` // everything that was asked for was done
	Seconds     float64 `json:"seconds"`

	Joins        Times  `json:"joins"`        // from the first byte to media that can flow
	FirstPicture Times  `json:"firstPicture"` // of each publication at each receiver, since the receiver began to join
	FirstSound   Times  `json:"firstSound"`
	Video        *Media `json:"video,omitempty"`
	Audio        *Media `json:"audio,omitempty"`
	Received     Spread `json:"received"` // by each client that receives
	Sent         Spread `json:"sent"`     // by each client that sends
	// RTT is the median round-trip time of connectivity checks, Ping that of requests over WebSocket, where it was asked for a Path.
	RTT    float64 `json:"rttMs,omitempty"`
	Ping   float64 `json:"pingMs,omitempty"`
	Frozen Frozen  `json:"frozen"`
	// Sizes are the encodings of simulcast, with how many frames of each could be shown.
	Sizes []Size `json:"sizes,omitempty"`
	// Withheld are subscriptions that the server does not serve at the end, by the reason.
	Withheld map[string]int `json:"withheld,omitempty"`
	Machine  Machine        `json:"machine"`
	Errors   []Cause        `json:"errors,omitempty"`
	Clients  []Client       `json:"clients"`
}

// Load is what was asked for.
type Load struct {
	Rooms       int     `json:"rooms"`
	Publishers  int     `json:"publishers"`  // in each room
	Subscribers int     `json:"subscribers"` // in each room
	Meeting     bool    `json:"meeting"`
	Video       string  `json:"video"`
	Audio       bool    `json:"audio"`
	Simulcast   bool    `json:"simulcast"`
	Bitrate     int64   `json:"bitrate"` // of a picture, bit/s
	FPS         int     `json:"fps"`
	Seconds     float64 `json:"seconds"`
	Ramp        float64 `json:"ramp"` // clients a second
}

// Times are of things that happen once each, in milliseconds.
type Times struct {
	Done   int     `json:"done"`
	Failed int     `json:"failed"`
	P50    float64 `json:"p50Ms"`
	P95    float64 `json:"p95Ms"`
	Max    float64 `json:"maxMs"`
}

// Media is what arrived of one kind at all clients.
type Media struct {
	Tracks      int     `json:"tracks"`
	Packets     int     `json:"packets"`
	Lost        int     `json:"lost"` // not repaired either
	LostPercent float64 `json:"lostPercent"`
	Repaired    int     `json:"repaired"`
	DelayP50    float64 `json:"delayP50Ms"` // from the sender's application to the receiver's
	DelayP95    float64 `json:"delayP95Ms"`
	DelayP99    float64 `json:"delayP99Ms"`
	DelayMax    float64 `json:"delayMaxMs"`
}

// Spread is of bitrates, in bit/s.
type Spread struct {
	Clients int   `json:"clients"`
	Lowest  int64 `json:"lowest"`
	Median  int64 `json:"median"`
	Highest int64 `json:"highest"`
}

// Frozen is about pictures that stood still, as W3C's webrtc-stats has it.
type Frozen struct {
	Times   int     `json:"times"`
	Seconds float64 `json:"seconds"`
	Watched float64 `json:"watchedSeconds"`
	Percent float64 `json:"percent"`
	Frames  int     `json:"frames"` // that could be shown
}

// Size is one encoding of simulcast.
type Size struct {
	Width  uint16 `json:"width"`
	Height uint16 `json:"height"`
	Frames int    `json:"frames"`
}

// Machine is the one that makes the load.
type Machine struct {
	Cores   int     `json:"cores"`
	Used    float64 `json:"usedCores"` // by this process; 0: unknown
	LateP99 float64 `json:"lateP99Ms"` // how late frames were sent
	Busy    bool    `json:"busy"`      // too late to measure well
}

// Cause is a kind of fault.
type Cause struct {
	Cause   string `json:"cause"`
	Count   int    `json:"count"`
	Example string `json:"example"`
	Next    string `json:"next,omitempty"`
}

// Client is what one participant had.
type Client struct {
	Room     string   `json:"room"`
	Identity string   `json:"identity"`
	JoinMs   float64  `json:"joinMs"`   // 0: has not joined
	Received int64    `json:"received"` // bit/s
	Sent     int64    `json:"sent"`
	Tracks   int      `json:"tracks"`
	Lost     int      `json:"lost"`
	Freezes  int      `json:"freezes"`
	Errors   []string `json:"errors,omitempty"`
}

// outcome is what one client leaves.
type outcome struct {
	room, identity      string
	publishes, receives bool
	took                time.Duration // to join; 0: it has not
	result              meter.Result
	sent                int64
	late                meter.Histogram
	faults              []fault
	statuses            map[string]string
	rtt, ping           time.Duration // 0: not measured
}

// circumstances are what a report needs to know besides outcomes.
type circumstances struct {
	server      string
	span        time.Duration
	processor   time.Duration
	cores       int
	interrupted bool
}

// summarize makes the report.
func summarize(p *Plan, all []outcome, c circumstances) *Report {
	r := &Report{
		Server: c.server, Interrupted: c.interrupted, Seconds: round(c.span.Seconds()),
		Load: Load{
			p.Rooms, p.Publishers, p.Subscribers, p.Meeting, p.Video, p.Audio, p.Simulcast, int64(p.Bitrate), p.FPS,
			p.Duration.Seconds(), float64(p.Ramp),
		},
		Machine: Machine{Cores: c.cores, Used: round(c.processor.Seconds() / max(c.span.Seconds(), 0.001))},
	}
	var joins, pictures, sounds, rtts, pings []time.Duration
	var received, sent []int64
	var video, audio meter.Media
	var late meter.Histogram
	t := tally{withheld: map[string]int{}}
	for i := range all {
		o := &all[i]
		if o.took > 0 {
			joins = append(joins, o.took)
		}
		pictures = append(pictures, o.result.FirstPictures...)
		sounds = append(sounds, o.result.FirstSounds...)
		r.FirstPicture.Failed += o.result.Unseen
		if o.isDeaf() {
			r.FirstSound.Failed += o.result.Unheard
		} else if o.result.Unheard > 0 {
			t.withheld[louder] += o.result.Unheard
		}
		video.Merge(&o.result.Video)
		audio.Merge(&o.result.Sound)
		late.Merge(&o.late)
		rtts, pings = measured(rtts, o.rtt), measured(pings, o.ping)
		client := o.client()
		if o.receives && o.took > 0 {
			received = append(received, client.Received)
		}
		if o.publishes && o.took > 0 {
			sent = append(sent, client.Sent)
		}
		t.add(o)
		r.Clients = append(r.Clients, client)
	}
	r.Joins.fill(joins)
	r.Joins.Failed = t.unjoined
	r.FirstPicture.fill(pictures)
	r.FirstSound.fill(sounds)
	r.Received, r.Sent = spread(received), spread(sent)
	slices.Sort(rtts)
	slices.Sort(pings)
	r.RTT, r.Ping = milliseconds(rank(rtts, 0.5)), milliseconds(rank(pings, 0.5))
	if p.Video != "none" {
		r.Video = media(&video)
		r.Frozen = frozen(&video)
		r.Sizes = p.sizes(&video)
	}
	if p.Audio {
		r.Audio = media(&audio)
	}
	r.Withheld = t.withheld
	r.Machine.LateP99 = milliseconds(late.Quantile(0.99))
	r.Machine.Busy = late.Quantile(0.99) > lateSending
	r.Errors = t.sorted()
	r.OK = len(r.Errors) == 0
	return r
}

// client is the part of an outcome that is told of each client.
func (o *outcome) client() Client {
	span := o.result.Span
	c := Client{
		Room: o.room, Identity: o.identity, JoinMs: milliseconds(o.took), Tracks: o.result.Video.Tracks + o.result.Sound.Tracks,
		Received: perSecond(o.result.Video.Bytes+o.result.Sound.Bytes, span), Sent: perSecond(o.sent, span),
		Lost: o.result.Video.Lost + o.result.Sound.Lost, Freezes: o.result.Video.Freezes,
	}
	for _, f := range o.troubles() {
		c.Errors = append(c.Errors, f.cause+": "+f.err.Error())
	}
	return c
}

// troubles are the faults of a client, and what it did not get.
func (o *outcome) troubles() []fault {
	all := slices.Clone(o.faults)
	m := o.result
	if m.Unseen > 0 {
		all = append(all, fault{"no picture", errors.New("publications were forwarded by name, but never a whole picture")})
	}
	if o.isDeaf() {
		all = append(all, fault{"no sound", errors.New("publications were forwarded by name, but nothing of them")})
	}
	if m.Misdirected > 0 {
		all = append(all, fault{"misdirected media", errors.New("packets came of another room, or of another participant than the slot was for")})
	}
	return all
}

// louder is why voices are withheld from who hears some: of many who speak a server may forward the loudest alone.
const louder = "others are louder"

// isDeaf reports whether a client has heard nobody, though somebody's sound was forwarded by name.
func (o *outcome) isDeaf() bool { return o.result.Unheard > 0 && len(o.result.FirstSounds) == 0 }

// tally counts what went wrong.
type tally struct {
	causes   []Cause
	unjoined int
	withheld map[string]int
}

func (t *tally) add(o *outcome) {
	if o.took == 0 && len(o.faults) > 0 {
		t.unjoined++
	}
	for _, status := range o.statuses {
		if status != wire.SubscriptionActive {
			t.withheld[status]++
		}
	}
	for _, f := range o.troubles() {
		t.count(f)
	}
}

func (t *tally) count(f fault) {
	c := Cause{Cause: f.cause, Count: 1, Example: f.err.Error()}
	var refused *wire.Error
	if errors.As(f.err, &refused) {
		c.Cause += ": " + string(refused.Code)
		c.Example, c.Next = refused.Message, refused.Next
		if refused.Code == wire.CodeUnauthorized { // whoever loads a server has its keys
			c.Next = "give the server's --data or --keys"
		}
	}
	i := slices.IndexFunc(t.causes, func(o Cause) bool { return o.Cause == c.Cause })
	switch {
	case i >= 0:
		t.causes[i].Count++
	case len(t.causes) < maxCauses:
		t.causes = append(t.causes, c)
	default:
		t.causes[maxCauses-1].Count++
	}
}

// sorted has the most frequent causes first.
func (t *tally) sorted() []Cause {
	slices.SortStableFunc(t.causes, func(a, b Cause) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Cause, b.Cause)) })
	return t.causes
}

func (t *Times) fill(all []time.Duration) {
	slices.Sort(all)
	t.Done = len(all)
	t.P50, t.P95, t.Max = milliseconds(rank(all, 0.5)), milliseconds(rank(all, 0.95)), milliseconds(rank(all, 1))
}

// rank is the element below which the part q lies; nothing if there is none.
func rank[T any](sorted []T, q float64) (v T) {
	if len(sorted) > 0 {
		v = sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
	}
	return v
}

// measured appends a duration unless there is none.
func measured(all []time.Duration, d time.Duration) []time.Duration {
	if d > 0 {
		all = append(all, d)
	}
	return all
}

func spread(all []int64) Spread {
	slices.Sort(all)
	return Spread{len(all), rank(all, 0), rank(all, 0.5), rank(all, 1)}
}

func media(m *meter.Media) *Media {
	return &Media{
		Tracks: m.Tracks, Packets: m.Packets, Lost: m.Lost, LostPercent: percent(m.Lost, m.Lost+m.Packets), Repaired: m.Repaired,
		DelayP50: milliseconds(m.Delay.Quantile(0.5)), DelayP95: milliseconds(m.Delay.Quantile(0.95)),
		DelayP99: milliseconds(m.Delay.Quantile(0.99)), DelayMax: milliseconds(m.Delay.Max()),
	}
}

func frozen(m *meter.Media) Frozen {
	return Frozen{m.Freezes, round(m.Frozen.Seconds()), round(m.Watched.Seconds()), percent(int(m.Frozen), int(m.Watched)), m.Frames}
}

// sizes are told where there are several.
func (p *Plan) sizes(m *meter.Media) []Size {
	if !p.Simulcast {
		return nil
	}
	var all []Size
	for i, e := range p.encodings() {
		all = append(all, Size{e.width, e.height, m.Sizes[i]})
	}
	return all
}

func perSecond(bytes int64, span time.Duration) int64 {
	return int64(float64(bytes*8)/max(span.Seconds(), 0.001) + 0.5)
}

func percent(n, of int) float64 { return round(100 * float64(n) / float64(max(of, 1))) }

func milliseconds(d time.Duration) float64 { return round(float64(d) / float64(time.Millisecond)) }

// round keeps two decimals.
func round(f float64) float64 { return math.Round(f*100) / 100 }

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// reasons lists what was withheld, by name.
func (r *Report) reasons() []string { return slices.Sorted(maps.Keys(r.Withheld)) }
