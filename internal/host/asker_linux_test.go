package host

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// asker is a TURN client that does what it is told and nothing by itself, least of all what is sensible.
type asker struct {
	conn               net.Conn
	below              net.PacketConn // DTLS's; nil: there is none
	frames             *bufio.Reader  // of a stream; nil: each read is a datagram
	username, password string

	realm, nonce string
	ids          uint64
	relayed      []netip.AddrPort // of the allocation
	sent         []byte           // the last message
}

// stunAttribute adds itself to a message.
type stunAttribute func(w *stun.Builder)

func bytesOf(t stun.Attr, v ...byte) stunAttribute { return func(w *stun.Builder) { w.Bytes(t, v) } }

// toward is an XOR-PEER-ADDRESS in the family in which the address is written: the Builder would unmap a v4-mapped one.
func toward(p netip.AddrPort) stunAttribute {
	return func(w *stun.Builder) {
		key := w.Message()[4:stun.HeaderLen]
		v := binary.BigEndian.AppendUint16([]byte{0, stun.IPv4}, p.Port()^binary.BigEndian.Uint16(key))
		if p.Addr().Is6() {
			v[1] = stun.IPv6
		}
		for i, x := range p.Addr().AsSlice() {
			v = append(v, x^key[i])
		}
		w.Bytes(stun.XORPeerAddress, v)
	}
}

// dialAsker connects by UDP, TCP, TLS or DTLS.
func dialAsker(how string, at netip.AddrPort, username, password string) (*asker, error) {
	a := &asker{username: username, password: password}
	var err error
	switch how {
	case "udp", "tcp":
		a.conn, err = net.DialTimeout(how, at.String(), askPatience)
	case "tls":
		a.conn, err = tls.DialWithDialer(&net.Dialer{Timeout: askPatience}, "tcp", at.String(), &tls.Config{InsecureSkipVerify: true})
	case "dtls":
		if a.below, err = net.ListenPacket("udp", ":0"); err == nil {
			a.conn, err = dtls.ClientWithOptions(a.below, net.UDPAddrFromAddrPort(at), dtls.WithInsecureSkipVerify(true))
		}
	}
	if err != nil {
		a.close()
		return nil, fmt.Errorf("%s to %v: %w", how, at, err)
	}
	if how == "tcp" || how == "tls" {
		a.frames = bufio.NewReader(a.conn)
	}
	return a, nil
}

const (
	askPatience = 10 * time.Second
	askAgain    = 500 * time.Millisecond // of a datagram that nothing answers, which may be lost in a flood
)

func (a *asker) close() {
	if a.conn != nil {
		_ = a.conn.Close()
	}
	if a.below != nil {
		_ = a.below.Close()
	}
}

// message builds one, with credentials where it is a request and the realm is known, and sends it.
func (a *asker) message(t stun.Type, attributes ...stunAttribute) (id [stun.IDLen]byte, err error) {
	a.ids++
	binary.BigEndian.PutUint64(id[4:], a.ids)
	w := stun.Begin(nil, t, id[:])
	for _, add := range attributes {
		add(&w)
	}
	if t.Class() == stun.Request && a.nonce != "" {
		w.Text(stun.Username, a.username)
		w.Text(stun.Realm, a.realm)
		w.Text(stun.Nonce, a.nonce)
		w.Integrity(hmac.New(sha1.New, stun.AppendLongTermKey(nil, stun.MD5, a.username, a.realm, a.password)))
	}
	a.sent = w.Message()
	_, err = a.conn.Write(a.sent)
	return id, err
}

// ask sends a request and returns its answer, and the code of an error; a challenge is met once.
func (a *asker) ask(m stun.Method, attributes ...stunAttribute) (answer stun.Message, code stun.Code, err error) {
	for range 2 {
		id, err := a.message(stun.TypeOf(m, stun.Request), attributes...)
		if err != nil {
			return answer, 0, err
		}
		if answer, err = a.answer(id); err != nil {
			return answer, 0, fmt.Errorf("method %#x: %w", m, err)
		}
		value, _ := answer.Find(stun.ErrorCode)
		code = stun.CodeIn(value)
		if code != stun.Unauthenticated && code != stun.StaleNonce {
			break
		}
		realm, _ := answer.Find(stun.Realm)
		nonce, _ := answer.Find(stun.Nonce)
		a.realm, a.nonce = string(realm), string(nonce)
	}
	return answer, code, nil
}

// allocate gets relayed addresses, of one family or of both, or the code of the refusal.
func (a *asker) allocate(attributes ...stunAttribute) (stun.Code, error) {
	answer, code, err := a.ask(stun.Allocate, attributes...)
	for at := answer.Attributes(); err == nil && code == 0 && at.Next(); {
		if p, ok := stun.Address(at.Value, answer.ID()); ok && at.Type == stun.XORRelayedAddress {
			a.relayed = append(a.relayed, p)
		}
	}
	return code, err
}

var (
	askUDP  = bytesOf(stun.RequestedTransport, 17, 0, 0, 0)
	askTCP  = bytesOf(stun.RequestedTransport, 6, 0, 0, 0)
	askIPv6 = bytesOf(stun.RequestedAddressFamily, stun.IPv6, 0, 0, 0)
	askBoth = bytesOf(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0)
)

// send sends a Send indication.
func (a *asker) send(p netip.AddrPort, b []byte) error {
	_, err := a.message(stun.TypeOf(stun.Send, stun.Indication), toward(p), bytesOf(stun.DataValue, b...))
	return err
}

// bind is the attribute and the number of a channel.
func bind(number uint16) stunAttribute {
	return bytesOf(stun.ChannelNumber, byte(number>>8), byte(number), 0, 0)
}

// channelData sends on a channel, bound or not.
func (a *asker) channelData(number uint16, b []byte) error {
	frame := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, number), uint16(len(b)))
	frame = append(frame, b...)
	_, err := a.conn.Write(append(frame, make([]byte, -len(b)&3)...))
	return err
}

// answer waits for the answer to the last request; what else comes is lost.
func (a *asker) answer(id [stun.IDLen]byte) (m stun.Message, err error) {
	for end := time.Now().Add(askPatience); ; {
		patience := askPatience
		if a.frames == nil {
			patience = askAgain
		}
		b, err := a.next(patience)
		switch {
		case err == nil && m.Parse(b) == drop.None && m.Type.Class()&stun.Success != 0 && string(m.ID()) == string(id[:]):
			return m, nil
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end):
			_, err = a.conn.Write(a.sent)
		}
		if err != nil {
			return m, err
		}
	}
}

// next reads a STUN message or ChannelData.
func (a *asker) next(patience time.Duration) ([]byte, error) {
	if err := a.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if a.frames == nil {
		b := make([]byte, 2048)
		n, err := a.conn.Read(b)
		return b[:n], err
	}
	head, err := a.frames.Peek(4)
	if err != nil {
		return nil, err
	}
	n := stun.HeaderLen + int(binary.BigEndian.Uint16(head[2:]))
	if head[0]>>6 == 1 {
		n = 4 + (int(binary.BigEndian.Uint16(head[2:]))+3)&^3
	}
	b := make([]byte, n)
	_, err = io.ReadFull(a.frames, b)
	return b, err
}
