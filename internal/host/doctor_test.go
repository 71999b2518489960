package host

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/doctor"
)

// tell is a finding as people read it, without its line breaks.
func tell(f doctor.Finding) string {
	var b strings.Builder
	_ = f.Write(&b)
	return strings.Join(strings.Fields(b.String()), " ")
}

// check compares a finding with what is to be found.
func check(t *testing.T, f doctor.Finding, level doctor.Level, text string) {
	t.Helper()
	if got := tell(f); f.Level != level || !strings.Contains(got, text) {
		t.Errorf("%v %s; want %v with %q", f.Level, got, level, text)
	}
	if (f.Level == doctor.Warning || f.Level == doctor.Fault) && (f.Cause == "" || f.Next == "") {
		t.Errorf("%s: no cause, or no next step", tell(f))
	}
}

// issue is a certificate with its key in two files, signed by itself where there is no authority.
func issue(t *testing.T, template x509.Certificate, by *authority, chain ...[]byte) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	parent, signer := &template, private
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, private.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	text := encodeCert(der)
	for _, c := range chain {
		text = append(text, encodeCert(c)...)
	}
	keyText, err := encodeKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if os.WriteFile(cert, text, 0o600) != nil || os.WriteFile(key, keyText, 0o600) != nil {
		t.Fatal("cannot write")
	}
	return cert, key
}

// What is wrong with --cert is found: its time, its names, its chain, its key, and who may read that.
func TestDoctorLooksAtCert(t *testing.T) {
	ca, err := makeAuthority(t.TempDir(), start, names())
	if err != nil {
		t.Fatal(err)
	}
	year := x509.Certificate{
		Subject: pkix.Name{CommonName: "desk"}, DNSNames: []string{"desk.lan"}, IPAddresses: []net.IP{lan.AsSlice()}, NotBefore: start, NotAfter: start.AddDate(1, 0, 0),
	}
	nameless := year
	nameless.DNSNames, nameless.IPAddresses = nil, nil
	alone, aloneKey := issue(t, year, nil)
	for _, c := range []struct {
		name     string
		template x509.Certificate
		by       *authority
		chain    [][]byte
		at       time.Time
		level    doctor.Level
		text     string
	}{
		{"expired", year, nil, nil, start.AddDate(1, 0, 1), doctor.Fault, "expired on 2027-11-01"},
		{"too early", year, nil, nil, start.AddDate(0, 0, -1), doctor.Fault, "not valid before"},
		{"soon over", year, nil, nil, start.AddDate(1, 0, -13), doctor.Warning, "expires on 2027-11-01"},
		{"no names", nameless, nil, nil, start.AddDate(0, 0, 1), doctor.Fault, "subject alternative names"},
		{"of itself", year, nil, nil, start.AddDate(0, 0, 1), doctor.Warning, "signed by itself"},
		{"without intermediate", year, ca, nil, start.AddDate(0, 0, 1), doctor.Warning, "fullchain.pem"},
		{"of a stranger", year, ca, [][]byte{ca.cert.Raw}, start.AddDate(0, 0, 1), doctor.Warning, "does not know its authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert, key := issue(t, c.template, c.by, c.chain...)
			check(t, certFinding(cert, key, c.at), c.level, c.text)
		})
	}
	_, otherKey := issue(t, year, nil)
	check(t, certFinding(alone, otherKey, start), doctor.Fault, "private key does not match")
	check(t, certFinding(alone+"x", aloneKey, start), doctor.Fault, "no such file")
	check(t, certFinding(alone, aloneKey, start.AddDate(0, 0, 1)), doctor.Warning, "desk.lan, 192.168.1.20 valid until 2027-11-01")
}

// The private authority, and public certificates, are found in the data folder, and nothing is made there.
func TestDoctorLooksAtOwnCertificates(t *testing.T) {
	dir := t.TempDir()
	check(t, authorityFinding(dir, start), doctor.Note, "none yet")
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("the doctor made %v", left)
	}
	if _, err := loadAuthority(dir, start, names()); err != nil {
		t.Fatal(err)
	}
	check(t, authorityFinding(dir, start), doctor.OK, "valid until 2036")
	check(t, authorityFinding(dir, start.AddDate(20, 0, 0)), doctor.Fault, "expired")
	if err := os.WriteFile(filepath.Join(dir, authorityCert), []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, authorityFinding(dir, start), doctor.Fault, "no PEM")

	acme := t.TempDir()
	check(t, acmeFinding(acme, "meet.example.org", start), doctor.Note, "asks for it when it starts")
	cert, _ := issue(t, x509.Certificate{DNSNames: []string{"meet.example.org"}, NotBefore: start, NotAfter: start.AddDate(0, 3, 0)}, nil)
	b, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(acme, "certificates", "authority", "meet.example.org")
	if os.MkdirAll(at, 0o700) != nil || os.WriteFile(filepath.Join(at, "meet.example.org.crt"), b, 0o600) != nil {
		t.Fatal("cannot write")
	}
	check(t, acmeFinding(acme, "meet.example.org", start.AddDate(0, 1, 0)), doctor.OK, "valid until 2027-02-01")
	check(t, acmeFinding(acme, "meet.example.org", start.AddDate(0, 4, 0)), doctor.Fault, "its log says why")
}

// A name must lead to this machine, or to what is advertised.
func TestDoctorLooksAtNames(t *testing.T) {
	to := func(all ...netip.Addr) lookup {
		return func(context.Context, string, string) ([]netip.Addr, error) { return all, nil }
	}
	c := &doctorCommand{}
	c.Advertise = []netip.Addr{public}
	check(t, c.nameFinding(t.Context(), "meet.example.org", to(public, netip.MustParseAddr("127.0.0.1"))), doctor.OK, "leads to 203.0.113.7 127.0.0.1")
	check(t, c.nameFinding(t.Context(), "meet.example.org", to(public, other)), doctor.Warning, "198.51.100.1: no address of this machine")
	none := func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	check(t, c.nameFinding(t.Context(), "meet.example.org", none), doctor.Fault, "A and AAAA")
}

// A port is free, or a server's of ours, or taken by somebody who is named.
func TestDoctorLooksAtPorts(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	own := n.port.Local().String()
	f, running := portFinding(t.Context(), own)
	check(t, f, doctor.OK, "Parley "+Version()+" is running")
	if !running {
		t.Error("a running server is not found")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, running = portFinding(t.Context(), l.Addr().String())
	check(t, f, doctor.Fault, fmt.Sprintf("TCP %d is taken", l.Addr().(*net.TCPAddr).Port))
	if running {
		t.Error("whatever listens is taken for a server")
	}
	l.Close()
	f, _ = portFinding(t.Context(), l.Addr().String())
	check(t, f, doctor.OK, "are free")
	f, _ = portFinding(t.Context(), "192.0.2.99:8443")
	check(t, f, doctor.Fault, "one of this machine")
}

// Ports of STUN and TURN are free, or a running server's that answers there, or taken; the usual one the server can do without.
func TestDoctorLooksAtPortsOfTURN(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at, udp := c.LocalAddr().String(), []string{"udp"}
	check(t, turnPort{at, udp, false}.finding(t.Context(), "udp", false), doctor.Fault, "is taken")
	check(t, turnPort{at, udp, true}.finding(t.Context(), "udp", false), doctor.Warning, "at the one port alone")
	c.Close()
	check(t, turnPort{at, udp, true}.finding(t.Context(), "udp", true), doctor.OK, "is free")
	check(t, turnPort{at, udp, false}.finding(t.Context(), "udp", true), doctor.Warning, "other settings")

	n := startNode(t)
	defer n.stop()
	own := n.port.Local().String()
	for _, network := range []string{"udp", "tcp"} {
		check(t, turnPort{own, []string{network}, false}.finding(t.Context(), network, true), doctor.OK, "answers")
	}
	for text, cfg := range map[string]Config{
		"[{[::]:3478 [udp] true}]":      {Listen: ":8443", TURN: true},
		"[]":                            {Listen: ":3478", TURN: true},
		"[{:5000 [tcp udp] false}]":     {Listen: ":8443", TURN: true, TURNListen: []string{":5000"}},
		"[{127.0.0.1:3478 [udp] true}]": {Listen: "localhost:8443", TURN: true},
	} {
		if got := fmt.Sprint(cfg.turnPorts()); got != text {
			t.Errorf("%s, want %s", got, text)
		}
	}
	for _, cfg := range []Config{{Listen: ":8443"}, {Listen: ":0", TURN: true}} {
		if got := cfg.turnPorts(); got != nil {
			t.Errorf("%+v: %v", cfg, got)
		}
	}
}

// A port that a Parley has is no other program's: the doctor says which one it is, and does not advise to end it.
func TestDoctorRecognisesParley(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at := turnPort{c.LocalAddr().String(), []string{"udp"}, true}
	check(t, at.finding(t.Context(), "udp", false), doctor.Warning, fmt.Sprintf("(process %d) listens there next end it", os.Getpid()))

	n := startNode(t) // in this process: the port is now one of a server's
	defer n.stop()
	f := at.finding(t.Context(), "udp", false)
	check(t, f, doctor.Warning, fmt.Sprintf("why Parley %s, which is running on port %d, listens there", Version(), n.port.Local().Port()))
	check(t, f, doctor.Warning, fmt.Sprintf("give the doctor its settings, --listen :%d", n.port.Local().Port()))
	check(t, f, doctor.Warning, "choose another port with --turn-listen; without, STUN and TURN answer at the one port alone")
	at.usual = false
	f = at.finding(t.Context(), "udp", false)
	if check(t, f, doctor.Fault, "give the doctor its settings"); strings.Contains(f.Next, "end it") {
		t.Error(f.Next)
	}
}

// Whoever names no server that can be asked is told before anything else is looked at.
func TestDoctorWantsServer(t *testing.T) {
	for want, args := range map[string][]string{
		"--nat: name a STUN server with two addresses": {"--nat"},
		"that is a URL; give HOST or HOST:PORT":        {"--server", "https://127.0.0.1:8443"},
		"--server 127.0.0.1:nothing":                   {"--server", "127.0.0.1:nothing"},
	} {
		out, stderr, exit := run(nil, append([]string{"doctor"}, args...)...)
		if exit != 2 || out != "" || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit %d, %q, %q", args, exit, out, stderr)
		}
	}
}

// The data folder can be written to, or it is said why not; keys that others may read are told of.
func TestDoctorLooksAtDataFolder(t *testing.T) {
	dir := t.TempDir()
	check(t, dataFinding(filepath.Join(dir, "new", "folder"), keysFile), doctor.OK, "which the server will make")
	check(t, dataFinding(dir, keysFile), doctor.OK, dir)
	file := filepath.Join(dir, keysFile)
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	check(t, dataFinding(dir, keysFile), doctor.Warning, "chmod 600")
	check(t, dataFinding(filepath.Join(file, "data"), keysFile), doctor.Fault, "is no folder")
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("the doctor left something: %v", left)
	}
}

// examine runs the doctor as the command line does.
func examine(t *testing.T, env map[string]string, args ...string) (r doctor.Report, exit int, stderr string) {
	t.Helper()
	out, stderr, exit := run(env, append([]string{"doctor", "--json"}, args...)...)
	if out != "" {
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return r, exit, stderr
}

// Settings that a server would refuse are a finding with its place, and the machine is looked at nevertheless; a wrong call of the doctor is
// refused.
func TestDoctorLooksAtSettings(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"unknown key":      {nil, []string{"--config", writeFile(t, "a.yaml", "listne: :1\n")}, `a.yaml line 1: there is no setting "listne"; did you mean "listen"?`},
		"wrong value":      {nil, []string{"--config", writeFile(t, "b.yaml", "auth: open\ndrain: soon\n")}, `b.yaml line 2: drain: "soon" is not a duration`},
		"unknown variable": {map[string]string{"PARLEY_LISTNE": ":1"}, nil, "did you mean PARLEY_LISTEN?"},
		"contradiction":    {map[string]string{"PARLEY_CERT": "x"}, nil, "belong together"},
	} {
		r, exit, _ := examine(t, c.env, c.args...)
		if exit != 1 || r.OK || len(r.Findings) < 4 || r.Findings[0].Area != areaSettings {
			t.Errorf("%s: exit %d, %+v", name, exit, r)
			continue
		}
		check(t, r.Findings[0], doctor.Fault, c.want)
	}
	if _, exit, stderr := examine(t, nil, "--nothing"); exit != 2 || stderr == "" {
		t.Errorf("exit %d, %q", exit, stderr)
	}
}

// Where nothing is wrong the report says of everything that it was looked at, settings with where they come from, and the exit status is 0.
func TestDoctorOnThisMachine(t *testing.T) {
	r, exit, stderr := examine(t, map[string]string{"PARLEY_DATA": t.TempDir()}, "--listen", "127.0.0.1:0", "--no-loopback")
	if exit != 0 || !r.OK || r.Version != Version() {
		t.Errorf("exit %d, %+v, %s", exit, r, stderr)
	}
	for _, area := range []string{areaSettings, "port", "addresses", areaCertificate, "data folder", "shared state", "buffers", "open files", "clock", "processor"} {
		if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.Area == area }) {
			t.Errorf("nothing about %s", area)
		}
	}
	if more := r.Findings[0].More; !slices.Contains(more, "data: environment PARLEY_DATA") || !slices.Contains(more, "listen: flag --listen") {
		t.Errorf("%v", more)
	}
}
