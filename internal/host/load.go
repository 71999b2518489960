package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Origins tells where each setting's value comes from: "flag --listen", "environment PARLEY_LISTEN", "FILE line 3", "default".
type Origins map[string]string

// sources is a kong.Resolver: it is asked for every flag that the command line did not give, and answers from the environment,
// else from the configuration file. So the precedence is flag, environment, file, default, and it is decided here alone.
type sources struct {
	env     environment
	known   []string // names of settings
	origins Origins
	read    bool // the file was read, if there is one
	path    string
	file    map[string]entry
	failed  error // of the file: kong would tell it as a fault of whichever flag asked first
}

// entry is a key of the configuration file.
type entry struct {
	value string
	line  int
}

// settings are the fields of Config, as flags.
func settings(app *kong.Application) (flags []*kong.Flag) {
	for _, n := range app.Children {
		if n.Name == "serve" {
			flags = n.Flags
		}
	}
	return flags
}

func flagNames(flags []*kong.Flag) (names []string) {
	for _, f := range flags {
		names = append(names, f.Name)
	}
	return names
}

// Validate implements kong.Resolver. There is nothing to check before the file is known.
func (s *sources) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s *sources) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if !s.isSetting(flag.Name) {
		return nil, nil
	}
	value, origin, err := s.fromEnvironment(flag)
	if err != nil {
		return nil, err
	}
	if origin == "" && flag.Name != "config" {
		if err := s.readFile(ctx, parent); err != nil {
			return nil, err
		}
		if e, ok := s.file[flag.Name]; ok {
			value, origin = e.value, fmt.Sprintf("%s line %d", s.path, e.line)
		}
	}
	if origin == "" {
		s.origins[flag.Name] = "default"
		return nil, nil
	}
	s.origins[flag.Name] = origin
	return value, nil
}

func (s *sources) isSetting(name string) bool { return slices.Contains(s.known, name) }

// fromEnvironment returns the value of PARLEY_X, or for secrets the content of the file that PARLEY_X_FILE names. An empty
// origin says that neither is set.
func (s *sources) fromEnvironment(flag *kong.Flag) (value, origin string, err error) {
	name := variable(flag.Name)
	value, ok := s.env(name)
	if !mayBeFile(flag) {
		if ok {
			origin = "environment " + name
		}
		return value, origin, nil
	}
	path, okFile := s.env(name + "_FILE")
	switch {
	case ok && okFile:
		return "", "", fmt.Errorf("both %s and %s_FILE are set: unset one", name, name)
	case ok:
		return value, "environment " + name, nil
	case okFile:
		b, err := readLimited(path, maxSecretBytes)
		if err != nil {
			return "", "", fmt.Errorf("read the file that %s_FILE names: %w", name, err)
		}
		return strings.TrimRight(string(b), "\r\n"), "environment " + name + "_FILE", nil
	}
	return "", "", nil
}

// readFile reads the configuration file, once, when the first setting asks for it.
func (s *sources) readFile(ctx *kong.Context, parent *kong.Path) error {
	if s.read {
		return nil
	}
	s.read = true
	for _, f := range parent.Flags {
		if f.Name != "config" {
			continue
		}
		s.path, _ = ctx.FlagValue(f).(string)
		if s.path == "" {
			s.path, _ = s.env(variable("config"))
		}
	}
	if s.path == "" {
		return nil
	}
	b, err := readLimited(s.path, maxConfigBytes)
	if err != nil {
		s.failed = fmt.Errorf("read configuration: %w", err)
		return s.failed
	}
	s.file, s.failed = parseSettings(s.path, b, s.known)
	return s.failed
}

// parseSettings reads a configuration file. Its keys are the names of settings; any other is refused.
func parseSettings(path string, b []byte, known []string) (map[string]entry, error) {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	entries := map[string]entry{}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		var pairs []*ast.MappingValueNode
		switch n := doc.Body.(type) {
		case *ast.MappingNode:
			pairs = n.Values
		case *ast.MappingValueNode:
			pairs = []*ast.MappingValueNode{n}
		case *ast.CommentGroupNode, *ast.NullNode:
		default:
			return nil, fmt.Errorf("%s line %d: settings are lines of `name: value`", path, n.GetToken().Position.Line)
		}
		for _, p := range pairs {
			name, line := p.Key.GetToken().Value, p.Key.GetToken().Position.Line
			switch {
			case name == "config":
				return nil, fmt.Errorf("%s line %d: a file names no other file: config is for the command line and %s", path, line, variable(name))
			case !slices.Contains(known, name):
				return nil, fmt.Errorf("%s line %d: there is no setting %q%s", path, line, name, suggestion(name, known))
			}
			value, set, err := settingValue(p.Value, name)
			if err != nil {
				return nil, fmt.Errorf("%s line %d: %s: %w", path, line, name, err)
			}
			if set {
				entries[name] = entry{value, line}
			}
		}
	}
	return entries, nil
}

// settingValue writes a YAML value as the flag of this name would have it: lists with commas; key pairs, and ICE servers, in lines.
func settingValue(n ast.Node, name string) (value string, set bool, err error) {
	switch n := n.(type) {
	case *ast.NullNode:
		return "", false, nil
	case *ast.StringNode:
		return n.Value, true, nil
	case *ast.LiteralNode:
		return n.Value.Value, true, nil
	case *ast.SequenceNode:
		return listValue(n, name)
	case *ast.MappingNode, *ast.MappingValueNode:
		if name == "keys" {
			return n.String(), true, nil
		}
	case ast.ScalarNode:
		return n.GetToken().Value, true, nil
	}
	return "", false, fmt.Errorf("a %s is not possible here", strings.ToLower(n.Type().String()))
}

func listValue(n *ast.SequenceNode, name string) (value string, set bool, err error) {
	servers := name == "ice-server"
	var items []string
	for _, v := range n.Values {
		var item string
		ok := true
		switch m := v.(type) {
		case *ast.MappingNode:
			item, ok, err = mapValue(m.Values, servers)
		case *ast.MappingValueNode:
			item, ok, err = mapValue([]*ast.MappingValueNode{m}, servers)
		default:
			item, ok, err = settingValue(v, "")
		}
		if err != nil || !ok {
			return "", false, errors.Join(err, errors.New("a list holds plain values"))
		}
		if !servers {
			item = strings.ReplaceAll(item, ",", `\,`)
		}
		items = append(items, item)
	}
	if servers {
		return strings.Join(items, "\n"), len(items) > 0, nil
	}
	return strings.Join(items, ","), len(items) > 0, nil
}

// mapValue writes a map in a list, which only ICE servers can be.
func mapValue(pairs []*ast.MappingValueNode, server bool) (value string, ok bool, err error) {
	if !server {
		return "", false, nil
	}
	value, err = iceServerText(pairs)
	return value, err == nil, err
}

// suggestion names the setting of a file that was probably meant, or how to find it.
func suggestion(name string, known []string) string {
	inFile := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return k == "config" })
	if best := nearest(strings.ReplaceAll(name, "_", "-"), inFile); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; `parley config show` lists them"
}

// distance is the number of single-letter edits between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// readLimited reads a file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, err
}
