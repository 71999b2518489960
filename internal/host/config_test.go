package host

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/turn"
)

// run starts the command line with a table for an environment.
func run(env map[string]string, args ...string) (stdout, stderr string, exit int) {
	var out, err bytes.Buffer
	p := process{env: func(k string) (string, bool) { v, ok := env[k]; return v, ok }, stdout: &out, stderr: &err}
	for k, v := range env {
		p.variables = append(p.variables, k+"="+v)
	}
	exit = p.main(args)
	return out.String(), err.String(), exit
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Precedence is flag, environment, file, default; config show --origin tells which it was.
func TestPrecedence(t *testing.T) {
	file := writeFile(t, "parley.yaml", "# settings\nlisten: :7001\ndrain: 11s\n")
	env := map[string]string{"PARLEY_LISTEN": ":7002"}
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		want string
	}{
		{"default", nil, nil, `":8443" # default`},
		{"file", nil, []string{"--config", file}, `":7001" # ` + file + ` line 2`},
		{"environment over file", env, []string{"--config", file}, `":7002" # environment PARLEY_LISTEN`},
		{"flag over environment and file", env, []string{"--config", file, "--listen", ":7003"}, `":7003" # flag --listen`},
		{"file named by the environment", map[string]string{"PARLEY_CONFIG": file}, nil, `":7001" # ` + file + ` line 2`},
		{"flag that repeats the default", env, []string{"--listen", ":8443"}, `":8443" # flag --listen`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, stderr, exit := run(c.env, append([]string{"config", "show", "--origin"}, c.args...)...)
			got := ""
			for line := range strings.Lines(out) {
				if v, ok := strings.CutPrefix(line, "listen: "); ok {
					got = strings.Join(strings.Fields(v), " ")
				}
			}
			if got != c.want || exit != 0 {
				t.Errorf("listen: %s, exit %d, want %s; %s", got, exit, c.want, stderr)
			}
		})
	}
}

// Every kind of value means the same as a flag, as a variable and in the file.
func TestKindsOfValues(t *testing.T) {
	for _, c := range []struct{ name, flag, variable, yaml, want string }{
		{"advertise", "--advertise=192.0.2.1,2001:db8::1", "192.0.2.1,2001:db8::1", "[192.0.2.1, \"2001:db8::1\"]", `[192.0.2.1, "2001:db8::1"]`},
		{"behind-proxy", "--behind-proxy=10.0.0.0/8", "10.0.0.0/8", "\n  - 10.0.0.0/8", `[10.0.0.0/8]`},
		{"plain-http", "--plain-http", "true", "true", `true`},
		{"drain", "--drain=90s", "90s", "90s", `1m30s`},
		{"shards", "--shards=4", "4", "4", `4`},
		{"log-level", "--log-level=debug", "debug", "debug", `DEBUG`},
		{"auth", "--auth=token", "token", "token", `token`},
		{"origins", "--origins=https://a.example", "https://a.example", "[\"https://a.example\"]", `[https://a.example]`},
	} {
		file := writeFile(t, "c.yaml", c.name+": "+c.yaml+"\n")
		for how, out := range map[string]string{
			"flag":     stdout(t, nil, "config", "show", c.flag),
			"variable": stdout(t, map[string]string{variable(c.name): c.variable}, "config", "show"),
			"file":     stdout(t, nil, "config", "show", "--config", file),
		} {
			if want := "\n" + c.name + ": " + c.want + "\n"; !strings.Contains(out, want) {
				t.Errorf("%s by %s: no %q in\n%s", c.name, how, want, out)
			}
		}
	}
}

func stdout(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	out, stderr, exit := run(env, args...)
	if exit != 0 {
		t.Errorf("%v: exit %d: %s", args, exit, stderr)
	}
	return out
}

// What config show writes, config show reads.
func TestShowIsAFile(t *testing.T) {
	args := []string{"config", "show", "--listen=127.0.0.1:9", "--advertise=192.0.2.1", "--drain=1m", "--origins=https://a.example,https://b.example"}
	first := stdout(t, nil, args...)
	if second := stdout(t, nil, "config", "show", "--config", writeFile(t, "c.yaml", first)); second != first {
		t.Errorf("written:\n%s\nread:\n%s", first, second)
	}
}

// A default is shown as what the server makes of it: as many media loops as cores, as many relayed addresses as there may be; and where there is
// no value, what is done without one.
func TestShownDefaults(t *testing.T) {
	for _, c := range []struct {
		args []string
		want map[string]string
	}{
		{nil, map[string]string{
			"shards":                  fmt.Sprintf("%d # default", min(runtime.GOMAXPROCS(0), ice.MaxShards)),
			"turn-allocations":        fmt.Sprintf("%d # default", halfOf(fileLimit(), turn.DefaultLimits.Allocations)),
			"turn-user-allocations":   fmt.Sprintf("%d # default", turn.DefaultLimits.PerUser),
			"turn-source-allocations": fmt.Sprintf("%d # default", turn.DefaultLimits.PerSource),
			"turn-allocation-rate":    "0 # default: no limit",
			"turn-user-rate":          "0 # default: no limit",
			"turn-dtls":               "[] # default: none",
			"acme-ca":                 `"" # default: Let's Encrypt`,
			"drain":                   "30s # default",
			"log-level":               "INFO # default",
		}},
		{[]string{"--turn-user-rate=0", "--drain=0s"}, map[string]string{"turn-user-rate": "0 # flag --turn-user-rate", "drain": "0s # flag --drain"}},
	} {
		got := map[string]string{}
		for line := range strings.Lines(stdout(t, nil, append([]string{"config", "show", "--origin"}, c.args...)...)) {
			name, text, _ := strings.Cut(line, ": ")
			got[name] = strings.Join(strings.Fields(text), " ")
		}
		for name, want := range c.want {
			if got[name] != want {
				t.Errorf("%v: %s: %s, want %s", c.args, name, got[name], want)
			}
		}
	}
}

// Settings that do not exist, or contradict each other, are refused by name and with a next step; the exit status is 2.
func TestRefusedSettings(t *testing.T) {
	for _, c := range []struct {
		yaml string
		env  map[string]string
		args []string
		want string
	}{
		{yaml: "lisen: :1\n", want: `line 1: there is no setting "lisen"; did you mean "listen"?`},
		{yaml: "drain: 1s\nlog_level: debug\n", want: `line 2: there is no setting "log_level"; did you mean "log-level"?`},
		{yaml: "parsnips: 3\n", want: `there is no setting "parsnips"; ` + "`parley config show` lists them"},
		{yaml: "config: other.yaml\n", want: "line 1: a file names no other file: config is for the command line and PARLEY_CONFIG"},
		{yaml: "confg: other.yaml\n", want: `there is no setting "confg"; ` + "`parley config show` lists them"},
		{yaml: "- listen\n", want: "settings are lines of `name: value`"},
		{yaml: "listen: [a: b]\n", want: "a list holds plain values"},
		{yaml: "listen: :1\nlisten: :2\n", want: "already defined"},
		{yaml: "listen: [\n", want: "c.yaml"},
		{yaml: "drain: soon\n", want: "drain"},
		{args: []string{"--config", "/does/not/exist.yaml"}, want: "read configuration: open /does/not/exist.yaml"},
		{args: []string{"--lisen", ":1"}, want: "unknown flag --lisen"},
		{args: []string{"--listen", "8443"}, want: "give [HOST]:PORT"},
		{args: []string{"--listen", "example.org:1"}, want: "must be an IP address of this machine"},
		{args: []string{"--listen", ":70000"}, want: "give [HOST]:PORT"},
		{args: []string{"--cert", "a.pem"}, want: "--cert and --key belong together"},
		{args: []string{"--cert", "a", "--key", "b", "--domain", "a.example"}, want: "give one of them"},
		{args: []string{"--acme-email", "a@example.org"}, want: "without --domain"},
		{args: []string{"--domain", "192.0.2.1:8"}, want: "give a public name"},
		{args: []string{"--domain", "localhost"}, want: "give a public name"},
		{args: []string{"--drain", "25h"}, want: "--drain 25h0m0s"},
		{args: []string{"--shards", "65"}, want: "--shards 65: give a number from 1 to 64"},
		{args: []string{"--shards=-1"}, want: "--shards -1"},
		{args: []string{"--linger=-1s"}, want: "--linger -1s"},
		{args: []string{"--rpc-accept", "6s"}, want: "--rpc-accept 6s"},
		{args: []string{"--rpc-answer", "1ms"}, want: "--rpc-answer 1ms"},
		{yaml: "listen: {a: b}\n", want: "is not possible here"},
		{args: []string{"--advertise", "0.0.0.0"}, want: "not an address that a client could send to"},
		{args: []string{"--advertise", "my.example.org"}, want: "advertise"},
		{args: []string{"--advertise", strings.Repeat("192.0.2.1,", maxAdvertised) + "192.0.2.1"}, want: "enough for anyone"},
		{args: []string{"--origins", "https://a.example/page"}, want: "--origins: allowed origin"},
		{args: []string{"--auth", "maybe"}, want: "--auth"},
		{env: map[string]string{"PARLEY_AUTH": "maybe"}, want: `PARLEY_AUTH must be one of open and token, and not "maybe"`},
		{env: map[string]string{"PARLEY_DRAIN": "soon"}, want: `PARLEY_DRAIN: "soon" is not a duration, such as 30s`},
		{args: []string{"--drain", "30"}, want: `--drain: "30" is not a duration, such as 30s`},
		{args: []string{"--drain", "-5s"}, want: "--drain: -5s is negative"},
		{args: []string{"--shards", "-1"}, want: "--shards: -1 is negative"},
		{args: []string{"--shards", "many"}, want: `--shards: "many" is not a whole number`},
		{args: []string{"--shards", "1.5"}, want: `--shards: "1.5" is not a whole number`},
		{args: []string{"--turn-allocations"}, want: "--turn-allocations: its value is missing\n"},
		{args: []string{"--drain", "--turn"}, want: "--drain: its value is missing: --turn is the next flag"},
		{env: map[string]string{"PARLEY_SHARDS": "two"}, want: `PARLEY_SHARDS: "two" is not a whole number`},
		{args: []string{"--log-level", "loud"}, want: `--log-level: "loud" is not a level: debug, info, warn or error`},
		{args: []string{"--domain", "10.1.2.3"}, want: "--domain 10.1.2.3: give a public name"},
		{env: map[string]string{"PARLEY_DRAIN": "25h"}, want: "PARLEY_DRAIN 25h0m0s: give"},
		{env: map[string]string{"PARLEY_CERT": "a.pem"}, want: "PARLEY_CERT and --key belong together"},
		{env: map[string]string{"PARLEY_ADVERTISE": "foo"}, want: `PARLEY_ADVERTISE: "foo" is not an IP address, such as`},
		{env: map[string]string{"PARLEY_LISTNE": ":1"}, want: "there is no setting PARLEY_LISTNE; did you mean PARLEY_LISTEN?"},
		{env: map[string]string{"PARLEY_PARSNIPS": "3"}, want: "there is no setting PARLEY_PARSNIPS; `parley serve --help` lists them"},
		{yaml: "drain: 25h\n", want: "c.yaml line 1: drain 25h0m0s: give"},
		{yaml: "\nbehind-proxy: 10.0.0.1\n", want: `c.yaml line 2: behind-proxy: "10.0.0.1" is not a network, such as`},
		{args: []string{"--advertise", "foo"}, want: `--advertise: "foo" is not an IP address, such as`},
		{env: map[string]string{"PARLEY_KEYS": "a=b", "PARLEY_KEYS_FILE": "/x"}, want: "both PARLEY_KEYS and PARLEY_KEYS_FILE are set"},
		{env: map[string]string{"PARLEY_KEYS_FILE": "/does/not/exist"}, want: "the file that PARLEY_KEYS_FILE names"},
	} {
		args := append([]string{"config", "show"}, c.args...)
		if c.yaml != "" {
			args = append(args, "--config", writeFile(t, "c.yaml", c.yaml))
		}
		_, stderr, exit := run(c.env, args...)
		if exit != 2 || !strings.Contains(stderr, c.want) {
			t.Errorf("%q %v %v: exit %d, %q, want %q", c.yaml, c.env, c.args, exit, stderr, c.want)
		}
	}
}

// A faulty variable or file is told of without a verb as well: so a container's server is started, which has its settings from the environment.
func TestFaultySettingsWithoutVerb(t *testing.T) {
	file := writeFile(t, "c.yaml", "listne: :1\n")
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"value":    {map[string]string{"PARLEY_SHARDS": "two"}, `PARLEY_SHARDS: "two" is not a whole number`},
		"variable": {map[string]string{"PARLEY_LISTNE": ":1"}, "there is no setting PARLEY_LISTNE; did you mean PARLEY_LISTEN?"},
		"file":     {map[string]string{"PARLEY_CONFIG": file}, `there is no setting "listne"; did you mean "listen"?`},
	} {
		if _, stderr, exit := run(c.env); exit != 2 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, %s", name, exit, stderr)
		}
	}
}

// A configuration file beyond the limit is refused.
func TestConfigFileLimit(t *testing.T) {
	file := writeFile(t, "c.yaml", "listen: :1\n#"+strings.Repeat("x", maxConfigBytes))
	if _, stderr, exit := run(nil, "config", "show", "--config", file); exit != 2 || !strings.Contains(stderr, "larger than") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
}

// Limit: a file that holds a secret has at most maxSecretBytes.
func TestSecretFileLimit(t *testing.T) {
	for size, want := range map[int]int{maxSecretBytes: 0, maxSecretBytes + 1: 2} {
		env := map[string]string{"PARLEY_METRICS_TOKEN_FILE": writeFile(t, "token", strings.Repeat("x", size))}
		if _, stderr, exit := run(env, "config", "show"); exit != want || want != 0 && !strings.Contains(stderr, "larger than") {
			t.Errorf("%d bytes: exit %d: %s", size, exit, stderr)
		}
	}
}

// Secrets come from a variable or from the file that the variable with _FILE names, and are never shown.
func TestSecretsFromFiles(t *testing.T) {
	file := writeFile(t, "token", "hunter2-hunter2\n")
	env := map[string]string{"PARLEY_METRICS_TOKEN_FILE": file, "PARLEY_KEYS": "ann: 0123456789abcdef0123456789abcdef"}
	out := stdout(t, env, "config", "show", "--origin")
	for _, want := range []string{"environment PARLEY_METRICS_TOKEN_FILE", "environment PARLEY_KEYS\n", "[redacted]"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") || strings.Contains(out, "0123456789") {
		t.Errorf("a secret is shown:\n%s", out)
	}
	var cli program
	p := process{env: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
	if _, _, _, err := p.parse(&cli, nil); err != nil || cli.Serve.MetricsKey.Reveal() != "hunter2-hunter2" {
		t.Errorf("read %q, %v", cli.Serve.MetricsKey.Reveal(), err)
	}
	// A setting that is no secret has no _FILE form.
	if _, stderr, exit := run(map[string]string{"PARLEY_LISTEN_FILE": file}, "config", "show"); exit != 2 || !strings.Contains(stderr, "no setting PARLEY_LISTEN_FILE") {
		t.Error(exit, stderr)
	}
}

// Defaults that depend: a domain listens on 443, and whatever strangers will find wants tokens.
func TestDependentDefaults(t *testing.T) {
	for _, c := range []struct {
		args         []string
		listen, auth string
	}{
		{nil, ":8443", "open"},
		{[]string{"--domain", "meet.example.org"}, ":443", "token"},
		{[]string{"--domain", "meet.example.org", "--listen", ":8443", "--auth", "open"}, ":8443", "open"},
		{[]string{"--cert", "c", "--key", "k"}, ":8443", "token"},
		{[]string{"--behind-proxy", "127.0.0.1/32"}, ":8443", "token"},
	} {
		var cli program
		p := process{env: func(string) (string, bool) { return "", false }}
		_, _, _, err := p.parse(&cli, c.args)
		if err == nil {
			err = cli.Serve.complete(p.env)
		}
		s := &cli.Serve.Config
		if err != nil || s.Listen != c.listen || s.Auth != c.auth || s.Data != "data" || s.Drain != 30*time.Second {
			t.Errorf("%v: %+v, %v", c.args, s, err)
		}
	}
}

// The data folder does not depend on the folder of the start, as long as there is a home.
func TestDefaultData(t *testing.T) {
	home := t.TempDir()
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"XDG_DATA_HOME": "/x", "HOME": home}, "/x/parley"},
		{map[string]string{"XDG_DATA_HOME": "x", "HOME": home}, home + "/.local/share/parley"},
		{map[string]string{"HOME": "/does/not/exist"}, "data"},
		{nil, "data"},
	} {
		if got := defaultData(func(k string) (string, bool) { v, ok := c.env[k]; return v, ok }); got != c.want {
			t.Errorf("%v: %s, want %s", c.env, got, c.want)
		}
	}
}

// --listen names a port and perhaps an address, in any of the usual spellings.
func TestSplitListen(t *testing.T) {
	for in, want := range map[string]netip.AddrPort{
		":8443":          netip.MustParseAddrPort("[::]:8443"),
		"0.0.0.0:1":      netip.MustParseAddrPort("0.0.0.0:1"),
		"localhost:2":    netip.MustParseAddrPort("127.0.0.1:2"),
		"[::1]:0":        netip.MustParseAddrPort("[::1]:0"),
		"[::]:9":         netip.MustParseAddrPort("[::]:9"),
		"192.168.1.20:3": netip.MustParseAddrPort("192.168.1.20:3"),
	} {
		if a, port, err := splitListen(in); err != nil || netip.AddrPortFrom(a, port) != want {
			t.Errorf("%s: %v %d %v, want %v", in, a, port, err, want)
		}
	}
}

// What Kubernetes sets by itself for a service called parley is no fault of anybody's.
func TestServiceLinks(t *testing.T) {
	env := map[string]string{
		"PARLEY_SERVICE_HOST": "10.0.0.1", "PARLEY_SERVICE_PORT": "8443", "PARLEY_SERVICE_PORT_HTTPS": "8443", "PARLEY_PORT": "tcp://10.0.0.1:8443",
		"PARLEY_PORT_8443_TCP": "x", "PARLEY_PORT_8443_UDP_ADDR": "x", "PARLEY_MEDIA_PORT_8443_TCP_PROTO": "tcp", "PARLEY_MEDIA_SERVICE_HOST": "x",
	}
	stdout(t, env, "config", "show")
}

// A command that does not exist is refused by name; what was probably meant is named.
func TestUnknownCommand(t *testing.T) {
	for arg, want := range map[string]string{
		"confg": `unknown command "confg"; did you mean "config"?`,
		"sreve": `unknown command "sreve"; did you mean "serve"?`, "dance": `unknown command "dance": there are serve, token, turn, load, doctor, state, config, version`,
	} {
		if _, stderr, exit := run(nil, arg); exit != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s", arg, exit, stderr)
		}
	}
}

// A port that may not be opened comes with what to do about it.
func TestPortHint(t *testing.T) {
	for err, want := range map[error]string{syscall.EACCES: "cap_net_bind_service", syscall.EADDRINUSE: "another server", syscall.EADDRNOTAVAIL: "one of this machine"} {
		if got := portHint("--listen", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", err)}); !strings.Contains(got, want) {
			t.Errorf("%v: %s", err, got)
		}
	}
}

// Help tells of each setting's variable, and asking for it is no fault.
func TestHelp(t *testing.T) {
	out, _, exit := run(nil, "serve", "--help")
	if exit != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), "(PARLEY_BEHIND_PROXY)") {
		t.Errorf("exit %d:\n%s", exit, out)
	}
	for _, verb := range []string{"version", "--version"} {
		if out, _, exit := run(nil, verb); exit != 0 || out != "parley "+Version()+"\n" {
			t.Errorf("%s: exit %d: %s", verb, exit, out)
		}
	}
	for _, setting := range []string{"drain", "linger"} {
		if _, help, _ := strings.Cut(out, "--"+setting+"="); !strings.Contains(help[:min(200, len(help))], "30s") {
			t.Errorf("no default of --%s in\n%s", setting, out)
		}
	}
}

// Whatever a configuration file holds, it gives values of known settings, each with its line, or a refusal that names the file.
func FuzzSettings(f *testing.F) {
	known := []string{"listen", "advertise", "keys", "config", "drain", "ice-server"}
	for _, s := range []string{
		"listen: :1\n", "advertise: [a, 'b,c']\n", "keys:\n  a: b\n", "drain: |\n  1s\n", "listen: [\n", "- x", "a: b: c", "lisen: 1", "---\nlisten: 1\n---\nlisten: 2\n",
		"ice-server:\n  - url: stun:a\n  - turn:b,c,d\n", "listen: &a x\ndrain: *a\n", "? a\n: b\n", "<<: {listen: x}\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := parseSettings("c.yaml", []byte(text), known)
		if err != nil {
			if !strings.Contains(err.Error(), "c.yaml") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		for name, e := range entries {
			if !slices.Contains(known, name) || name == "config" || e.line < 1 {
				t.Errorf("%q: %s line %d", text, name, e.line)
			}
		}
	})
}
