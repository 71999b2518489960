package host

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/parley-rtc/parley/internal/obs"
)

// program is the command line. Serving is what happens without a verb.
type program struct {
	Serve  serveCommand  `cmd:"" default:"withargs" help:"Run the server. This is the default."`
	Token  tokenCommand  `cmd:"" help:"Make a token that lets someone into a room."`
	Turn   turnCommand   `cmd:"" help:"Run a STUN and TURN server alone, without rooms."`
	Load   loadCommand   `cmd:"" help:"Try out how many people a server of yours carries."`
	Doctor doctorCommand `cmd:"" help:"Say what is wrong, why, and what to do about it."`
	State  stateCommand  `cmd:"" help:"Look what is stored of rooms, and remove it."`
	Config struct {
		Show showCommand `cmd:"" help:"Show the settings as a YAML file."`
	} `cmd:"" help:"Look at the configuration."`
	Version versionCommand `cmd:"" help:"Show the version."`

	ShowVersion kong.VersionFlag `name:"version" help:"Show the version."`
}

type serveCommand struct {
	Config `embed:""`
}

type showCommand struct {
	Config `embed:""`
	Origin bool `help:"Say where each value comes from."`
}

type versionCommand struct{}

// process is what a verb gets from the outside.
type process struct {
	env            environment
	variables      []string // all of them, as NAME=VALUE
	stdout, stderr io.Writer
	stdin          io.Reader
}

// Main runs the command line and returns the exit status: 0, 1 when something failed, 2 when it was asked wrongly.
func Main(args []string) int {
	p := process{env: os.LookupEnv, variables: os.Environ(), stdout: os.Stdout, stderr: os.Stderr, stdin: os.Stdin}
	return p.main(args)
}

func (p process) main(args []string) int {
	var cli program
	ctx, origins, exit, err := p.parse(&cli, args)
	if exit >= 0 {
		return exit
	}
	if err == nil {
		err = p.run(&cli, ctx.Command(), origins)
	}
	if fault := new(settingsError); len(args) > 0 && args[0] == "doctor" && errors.As(err, &fault) {
		err = p.misconfigured(errors.New(origins.blame(err.Error())), args)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFaults):
		return 1
	}
	fmt.Fprintf(p.stderr, "parley: %s\n", origins.blame(err.Error()))
	if usage := new(usageError); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// usageError is a fault of the settings.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// settingsError is a usageError of the settings of a server, and not of how a verb was called.
type settingsError struct{ error }

func (e *settingsError) Unwrap() error { return e.error }

// parse reads the command line, environment and file. exit is not negative when kong has said all there is to say (--help).
func (p process) parse(cli *program, args []string) (ctx *kong.Context, o Origins, exit int, err error) {
	exit = -1
	s := &sources{env: p.env, origins: Origins{}}
	k, err := kong.New(cli,
		kong.Name("parley"),
		kong.Description("Parley is the server side of WebRTC in one program: rooms in the browser, with signalling and media on one port."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(code int) { exit = code; panic(exited{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Resolvers(s),
		kong.Vars{"version": "parley " + Version()},
		kong.KindMapper(reflect.Int, mapper("a whole number", strconv.Atoi)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), mapper("a duration, such as 30s, 5m or 720h", time.ParseDuration)),
		kong.TypeMapper(reflect.TypeFor[slog.Level](), mapper("a level: debug, info, warn or error", parseLevel)),
		kong.TypeMapper(reflect.TypeFor[netip.Addr](), mapper("an IP address, such as 203.0.113.7; a name will not do", netip.ParseAddr)),
		kong.TypeMapper(reflect.TypeFor[netip.Prefix](), mapper("a network, such as 10.0.0.0/8 or 127.0.0.1/32", netip.ParsePrefix)),
	)
	if err != nil {
		return nil, nil, exit, err
	}
	s.known = flagNames(settings(k.Model))
	tellVariables(k.Model.Node, s)
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exited); !ok {
				panic(r)
			}
		}
	}()
	ctx, err = k.Parse(args)
	if s.failed != nil {
		err = s.failed
	}
	if err != nil {
		err = missing(unknownCommand(err, args, k.Model))
		if s.failed != nil || s.origins.blame(err.Error()) != err.Error() {
			err = &settingsError{err}
		}
		return nil, s.origins, exit, &usageError{err}
	}
	if err := checkVariables(p.variables, settings(k.Model), ownVariables(k.Model)); err != nil && ctx.Command() != "version" {
		return nil, s.origins, exit, &usageError{&settingsError{err}}
	}
	for _, path := range ctx.Path {
		if path.Flag != nil && !path.Resolved && s.isSetting(path.Flag.Name) {
			s.origins[path.Flag.Name] = "flag --" + path.Flag.Name
		}
	}
	return ctx, s.origins, exit, nil
}

// unknownCommand says more of the fault where the first argument was meant for a command.
func unknownCommand(fault error, args []string, app *kong.Application) error {
	if len(args) == 0 || !strings.HasPrefix(fault.Error(), "unexpected argument "+args[0]) {
		return fault
	}
	var commands []string
	for _, n := range app.Children {
		commands = append(commands, n.Name)
	}
	if best := nearest(args[0], commands); best != "" {
		return fmt.Errorf("unknown command %q; did you mean %q?", args[0], best)
	}
	return fmt.Errorf("unknown command %q: there are %s; `parley --help` tells more", args[0], strings.Join(commands, ", "))
}

// missingValue is how kong tells of what stands where a value is expected.
var missingValue = regexp.MustCompile(`^(--[a-z-]+): expected \w+ value but got "([^"]*)"`)

// missing says what is wrong in place of how to write it: what is taken for the next flag may be a negative number, which no value may be.
func missing(fault error) error {
	m := missingValue.FindStringSubmatch(fault.Error())
	switch {
	case m == nil:
		return fault
	case negativeNumber.MatchString(m[2]):
		return fmt.Errorf("%s: %s is negative", m[1], m[2])
	case strings.HasPrefix(m[2], "-"):
		return fmt.Errorf("%s: its value is missing: %s is the next flag", m[1], m[2])
	}
	return fmt.Errorf("%s: its value is missing", m[1])
}

var negativeNumber = regexp.MustCompile(`^-[0-9]`)

func parseLevel(text string) (level slog.Level, err error) {
	err = level.UnmarshalText([]byte(text))
	return level, err
}

// mapper reads a value of a setting, and says what it must be.
func mapper[T any](what string, parse func(string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("value", &text); err != nil {
			return err
		}
		v, err := parse(text)
		if err != nil {
			return fmt.Errorf("%q is not %s", text, what)
		}
		target.Set(reflect.ValueOf(v))
		return nil
	}
}

// exited unwinds kong once it has printed help.
type exited struct{}

// ownVariables are those of flags that are no settings.
func ownVariables(app *kong.Application) (names []string) {
	for _, n := range app.Children {
		for _, f := range n.Flags {
			names = append(names, f.Envs...)
		}
	}
	return names
}

// tellVariables adds to each setting's help which environment variable it is.
func tellVariables(n *kong.Node, s *sources) {
	for _, f := range n.Flags {
		if s.isSetting(f.Name) {
			f.Help += " (" + variable(f.Name) + ")"
		}
	}
	for _, c := range n.Children {
		tellVariables(c, s)
	}
}

func (p process) run(cli *program, verb string, origins Origins) error {
	switch verb {
	case "serve":
		if err := cli.Serve.complete(p.env); err != nil {
			return &usageError{err}
		}
		return p.serve(&cli.Serve.Config)
	case "token":
		return p.token(&cli.Token)
	case "turn":
		return p.turn(&cli.Turn)
	case "load":
		return p.load(&cli.Load)
	case "doctor":
		if err := cli.Doctor.complete(p.env); err != nil {
			return &usageError{&settingsError{err}}
		}
		return p.doctor(&cli.Doctor, origins)
	case "state ls":
		return forPeople(p.listStored(&cli.State.Ls))
	case "state rm <room>":
		return forPeople(p.removeStored(&cli.State.Rm))
	case "config show":
		if err := cli.Config.Show.complete(p.env); err != nil {
			return &usageError{err}
		}
		return p.show(&cli.Config.Show, origins)
	case "version":
		fmt.Fprintln(p.stdout, "parley", Version())
	}
	return nil
}

// show writes the settings in the form that --config reads, with what the server makes of those that nobody has set.
func (p process) show(c *showCommand, origins Origins) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	raiseFileLimit(slog.New(slog.DiscardHandler)) // as the server does: a default depends on it
	var cli program
	cli.Config.Show = *c
	cli.Config.Show.fill()
	k, err := kong.New(&cli)
	if err != nil {
		return err
	}
	for _, n := range k.Model.Children {
		if n.Name != "config" {
			continue
		}
		for _, f := range n.Children[0].Flags {
			origin, ok := origins[f.Name]
			if !ok || f.Name == "config" {
				continue
			}
			text, err := yaml.MarshalWithOptions(shown(f.Target.Interface()), yaml.Flow(true))
			if err != nil {
				return err
			}
			value := strings.TrimSpace(string(text))
			line := f.Name + ": " + value
			if c.Origin {
				line += "\t# " + origin
			}
			if told := toldDefault.FindStringSubmatch(f.Help); c.Origin && origin == "default" && told != nil && slices.Contains(noValues, value) {
				line += ": " + told[1]
			}
			fmt.Fprintln(w, line)
		}
	}
	return w.Flush()
}

// noValues are those in place of which something is done that the help of a flag tells.
var (
	noValues    = []string{`""`, "[]", "null", "0"}
	toldDefault = regexp.MustCompile(`Default: (.+)\.$`)
)

// shown is a value as a file would have it.
func shown(v any) any {
	switch v := v.(type) {
	case obs.Secret:
		if v.Reveal() == "" {
			return nil
		}
	case fmt.Stringer:
		return v.String()
	}
	return v
}
