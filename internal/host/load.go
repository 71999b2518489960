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
func settings(app *kong.Application) []*kong.Flag {
	i := slices.IndexFunc(app.Children, func(n *kong.Node) bool { return n.Name == "serve" })
	return app.Children[i].Flags
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
	s.read, s.path = true, s.filePath(ctx, parent)
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

// filePath returns which file was given; empty: none, or the verb reads none.
func (s *sources) filePath(ctx *kong.Context, parent *kong.Path) string {
	i := slices.IndexFunc(parent.Flags, func(f *kong.Flag) bool { return f.Name == "config" })
	if i < 0 {
		return ""
	}
	if path, _ := ctx.FlagValue(parent.Flags[i]).(string); path != "" {
		return path
	}
	path, _ := s.env(variable("config"))
	return path
}

// parseSettings reads a configuration file. Its keys are the names of settings; any other is refused.
func parseSettings(path string, b []byte, known []string) (map[string]entry, error) {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	entries := map[string]entry{}
	for _, doc := range file.Docs {
		pairs, ok := mapping(doc.Body)
		if !ok {
			return nil, fmt.Errorf("%s line %d: settings are lines of `name: value`", path, doc.Body.GetToken().Position.Line)
		}
		for _, p := range pairs {
			key := p.Key.GetToken()
			if err := readSetting(entries, key.Value, key.Position.Line, p.Value, known); err != nil {
				return nil, fmt.Errorf("%s line %d: %w", path, key.Position.Line, err)
			}
		}
	}
	return entries, nil
}

// mapping returns the pairs of a document, of which an empty one has none.
func mapping(n ast.Node) (pairs []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	case nil, *ast.CommentGroupNode, *ast.NullNode:
		return nil, true
	}
	return nil, false
}

// readSetting adds a setting to the entries, unless its value is null.
func readSetting(entries map[string]entry, name string, line int, n ast.Node, known []string) error {
	switch {
	case name == "config":
		return fmt.Errorf("a file names no other file: config is for the command line and %s", variable(name))
	case !slices.Contains(known, name):
		return fmt.Errorf("there is no setting %q%s", name, suggestion(name, known))
	}
	value, set, err := settingValue(n, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if set {
		entries[name] = entry{value, line}
	}
	return nil
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

// listValue writes a list: with commas, or in lines where it is of ICE servers.
func listValue(n *ast.SequenceNode, name string) (value string, set bool, err error) {
	servers := name == "ice-server"
	var items []string
	for _, v := range n.Values {
		item, ok, err := itemValue(v, servers)
		if err != nil || !ok {
			return "", false, errors.Join(err, errors.New("a list holds plain values"))
		}
		items = append(items, item)
	}
	separator := ","
	if servers {
		separator = "\n"
	}
	return strings.Join(items, separator), len(items) > 0, nil
}

// itemValue writes an item of a list. It may be a map where it is an ICE server.
func itemValue(n ast.Node, server bool) (value string, ok bool, err error) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		if !server {
			return "", false, nil
		}
		pairs, _ := mapping(n)
		value, err = iceServerText(pairs)
		return value, err == nil, err
	}
	value, ok, err = settingValue(n, "")
	if !server {
		value = strings.ReplaceAll(value, ",", `\,`)
	}
	return value, ok, err
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
