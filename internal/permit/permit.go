// Package permit decides what the rules of an operator allow in shared state.
//
// Rules are patterns of names, and for each an expression for each action:
//
//	server:
//	  record:
//	    "*":        {read: "true"}
//	    "user/$id": {read: "true", create: "vars.id == user.identity", write: "vars.id == user.identity"}
//
// In a pattern * stands for any text and $name for text without a slash, which the expression finds in vars. Of the patterns that match
// a name, the one with the most characters that are neither decides alone: what it does not name is denied, and so is what cannot
// be evaluated. For a kind of a scope that is not named at all Default holds. The language is that of expr (decision 23).
package permit

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Rules of all scopes, as they are written: by scope, kind, pattern and action.
type Rules map[wire.Scope]map[state.Kind]map[string]map[state.Action]string

// actions that each kind has, and what an expression can ask about there beside what it always can: docs/hosting.md has this table.
var actions = map[state.Kind]map[state.Action][]string{
	state.Records: {
		state.Create:    {"durable", "new"},
		state.Read:      {"durable", "old", "path"},
		state.Write:     {"durable", "new", "old"},
		state.Delete:    {"durable", "old"},
		state.Listening: nil,
	},
	state.Events:   {state.Publish: {"new"}, state.Subscribe: nil, state.Listening: nil},
	state.RPCs:     {state.Provide: nil, state.Request: {"new"}},
	state.Presence: {state.Read: nil, state.Subscribe: nil},
}

// partial is what expressions can ask about in some actions only, and always what they can in all.
var (
	partial = []string{"durable", "new", "old", "path"}
	always  = []string{"name", "record", "room", "user", "vars"}
)

// Set is compiled rules. It does not change and may be used by several scopes at once.
type Set struct {
	rules map[wire.Scope]map[state.Kind][]rule // the most particular first
}

type rule struct {
	pattern string
	weight  int
	names   *regexp.Regexp
	actions map[state.Action]condition
}

// condition is a compiled expression, and what it looks at.
type condition struct {
	program           *vm.Program
	old, new, durable bool
	name              bool // or what of it stands for a part of the pattern
	identity          bool // of the caller
}

// Compile checks and compiles rules.
func Compile(r Rules) (*Set, error) {
	s := &Set{rules: map[wire.Scope]map[state.Kind][]rule{}}
	count := 0
	for scope, kinds := range r {
		if scope != wire.ScopeRoom && scope != wire.ScopeServer {
			return nil, fmt.Errorf("rules for %q: there are rules for room and server", scope)
		}
		s.rules[scope] = map[state.Kind][]rule{}
		for kind, patterns := range kinds {
			if actions[kind] == nil {
				return nil, fmt.Errorf("rules of %s for %q: there are rules for %v", scope, kind, slices.Sorted(maps.Keys(actions)))
			}
			s.rules[scope][kind] = nil // it is named
			for pattern, conditions := range patterns {
				if count++; count > MaxRules {
					return nil, fmt.Errorf("more than %d rules", MaxRules)
				}
				made, err := newRule(kind, pattern, conditions)
				if err != nil {
					return nil, fmt.Errorf("rules of %s, %s %q: %w", scope, kind, pattern, err)
				}
				s.rules[scope][kind] = append(s.rules[scope][kind], made)
			}
			slices.SortFunc(s.rules[scope][kind], func(a, b rule) int {
				return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.pattern, b.pattern))
			})
		}
	}
	return s, nil
}

// wildcard is what stands for other text in a pattern.
var wildcard = regexp.MustCompile(`\*|\$[A-Za-z_][A-Za-z0-9_]*`)

func newRule(kind state.Kind, pattern string, conditions map[state.Action]string) (rule, error) {
	r := rule{pattern: pattern, actions: map[state.Action]condition{}}
	if pattern == "" || len(pattern) > wire.MaxStateNameBytes {
		return r, fmt.Errorf("a pattern has 1 to %d bytes", wire.MaxStateNameBytes)
	}
	var b strings.Builder
	b.WriteString("(?s)^")
	rest, seen := 0, map[string]bool{}
	for _, at := range wildcard.FindAllStringIndex(pattern, -1) {
		b.WriteString(regexp.QuoteMeta(pattern[rest:at[0]]))
		r.weight += at[0] - rest
		if name := pattern[at[0]+1 : at[1]]; name == "" {
			b.WriteString(".*")
		} else if seen[name] {
			return r, fmt.Errorf("$%s stands twice in the pattern", name)
		} else {
			seen[name] = true
			b.WriteString("(?P<" + name + ">[^/]+)")
		}
		rest = at[1]
	}
	b.WriteString(regexp.QuoteMeta(pattern[rest:]) + "$")
	r.weight += len(pattern) - rest
	var err error
	if r.names, err = regexp.Compile(b.String()); err != nil {
		return r, err
	}
	for action, text := range conditions {
		has, ok := actions[kind][action]
		if !ok {
			return r, fmt.Errorf("there is no action %q, but %v", action, slices.Sorted(maps.Keys(actions[kind])))
		}
		if r.actions[action], err = compile(text, has, seen); err != nil {
			return r, fmt.Errorf("%s: %w", action, err)
		}
	}
	return r, nil
}

// facts is what an expression can ask about.
type facts struct {
	User    user              `expr:"user"`
	Room    string            `expr:"room"` // whose scope it is; empty: the server's
	Name    string            `expr:"name"`
	Path    string            `expr:"path"`
	Vars    map[string]string `expr:"vars"`
	Old     any               `expr:"old"` // nil: there is none
	New     any               `expr:"new"`
	Durable bool              `expr:"durable"`
	// Record returns the document of another record of the scope; nil: there is none.
	Record func(name string) (any, error) `expr:"record"`
	// Over is put around what an expression is about to go over, so many times: it returns that, if it is not too much.
	Over func(x any, times int) (any, error) `expr:"__over"`
}

type user struct {
	Identity    string `expr:"identity"`
	Room        string `expr:"room"` // where it is; empty: a service that is in none
	Admin       bool   `expr:"admin"`
	Publish     bool   `expr:"publish"`
	Subscribe   bool   `expr:"subscribe"`
	PublishData bool   `expr:"publishData"`
	Hidden      bool   `expr:"hidden"`
}

// uses notes what an expression asks about: to unfold a document takes time, and not all is there in every action.
type uses struct{ names, members []string }

// Visit implements ast.Visitor.
func (u *uses) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		u.names = append(u.names, n.Value)
	case *ast.MemberNode:
		of, isName := n.Node.(*ast.IdentifierNode)
		if key, isText := n.Property.(*ast.StringNode); isName && isText {
			u.members = append(u.members, of.Value+"."+key.Value)
		}
	}
}

// check refuses what is never there: a comparison with it is always the same, and what was meant to deny may allow. has is what the action has
// beside what all have, and vars what the pattern names.
func (u *uses) check(has []string, vars map[string]bool) error {
	for _, name := range u.names {
		if slices.Contains(partial, name) && !slices.Contains(has, name) {
			return fmt.Errorf("there is no %s in this action: ask about %s", name, strings.Join(slices.Concat(has, always), ", "))
		}
	}
	for _, member := range u.members {
		if name, ok := strings.CutPrefix(member, "vars."); ok && !vars[name] {
			return fmt.Errorf("there is no vars.%s: write $%s in the pattern", name, name)
		}
	}
	return nil
}

// counted has an expression say what it goes over, wherever it does: expr has a limit for what it makes, but none for how long it goes on, and
// one loop in another over a document that a client has written is quadratic.
type counted struct{}

// matchTimes is how many times longer a regular expression takes for a text than to look for another text in it, about.
const matchTimes = 16

// Visit implements ast.Visitor.
func (counted) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BuiltinNode:
		if len(n.Arguments) > 0 && n.Name != "len" {
			count(&n.Arguments[0], 1)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "in":
			count(&n.Right, 1)
		case "contains", "startsWith", "endsWith":
			count(&n.Left, 1)
		case "matches":
			count(&n.Left, matchTimes)
		}
	}
}

// count puts __over around what may be long: not around what stands in the expression, nor around names and other facts about the caller.
func count(node *ast.Node, times int) {
	switch (*node).(type) {
	case *ast.ArrayNode, *ast.ConstantNode, *ast.StringNode, *ast.MapNode, *ast.PredicateNode:
		return
	}
	if t := (*node).Type(); t != nil && (t.Kind() == reflect.String || t.Kind() == reflect.Bool) {
		return
	}
	*node = &ast.CallNode{Callee: &ast.IdentifierNode{Value: "__over"}, Arguments: []ast.Node{*node, &ast.IntegerNode{Value: times}}}
}

// length is how many elements there are to go over.
func length(x any) int {
	switch x := x.(type) {
	case []any:
		return len(x)
	case map[string]any:
		return len(x)
	case []int:
		return len(x)
	case string:
		return len(x) / 16
	}
	return 1
}

func compile(text string, has []string, vars map[string]bool) (condition, error) {
	var u uses
	// Rules decide by what they are given, so there is no clock; $env would give everything at once.
	program, err := expr.Compile(text, expr.Env(facts{}), expr.AsBool(), expr.MaxNodes(MaxNodes), expr.DisableBuiltin("now"), expr.Patch(&u), expr.Patch(counted{}))
	if err != nil {
		return condition{}, err
	}
	if slices.Contains(u.names, "$env") {
		return condition{}, fmt.Errorf("$env cannot be used")
	}
	if err := u.check(has, vars); err != nil {
		return condition{}, err
	}
	asks := func(name string) bool { return slices.Contains(u.names, name) }
	return condition{program, asks("old"), asks("new"), asks("durable"), asks("name") || asks("vars"), slices.Contains(u.members, "user.identity")}, nil
}

// Unnamed returns the kinds of which the rules say nothing, with their scopes: for these Default holds.
func (s *Set) Unnamed() (unnamed []string) {
	for _, scope := range []wire.Scope{wire.ScopeRoom, wire.ScopeServer} {
		for _, kind := range slices.Sorted(maps.Keys(actions)) {
			if _, named := s.rules[scope][kind]; !named {
				unnamed = append(unnamed, fmt.Sprint(scope, " ", kind))
			}
		}
	}
	return unnamed
}

// AsksIdentity tells whether any rule decides by who somebody is.
func (s *Set) AsksIdentity() bool {
	for _, kinds := range s.rules {
		for _, rules := range kinds {
			for _, r := range rules {
				for _, c := range r.actions {
					if c.identity {
						return true
					}
				}
			}
		}
	}
	return false
}

// May returns what state.Config needs, for a scope and the room whose it is. open: everybody may join any room.
func (s *Set) May(scope wire.Scope, room string, open bool) func(state.Access) *wire.Error {
	kinds, otherwise := s.rules[scope], Default(scope, open)
	return func(a state.Access) *wire.Error {
		rules, named := kinds[a.Kind]
		if !named {
			return otherwise(a)
		}
		if alike(rules, a.Action) {
			a.Alike()
		}
		for _, r := range rules {
			if m := r.names.FindStringSubmatch(a.Name); m != nil {
				return r.decide(a, room, m)
			}
		}
		return denied(a, "no rule is about it")
	}
}

// alike tells whether the name makes no difference.
func alike(rules []rule, action state.Action) bool {
	return len(rules) == 0 || len(rules) == 1 && strings.Trim(rules[0].pattern, "*") == "" && !rules[0].actions[action].name
}

func (r *rule) decide(a state.Access, room string, match []string) *wire.Error {
	c, ok := r.actions[a.Action]
	if !ok {
		return denied(a, "the rule about it does not name this")
	}
	lookups := 0
	var beyond *wire.Error // of what may be looked at
	f := facts{
		User: user{
			a.By.Identity, a.By.Room, a.By.Grants.Admin, a.By.Grants.Publish, a.By.Grants.Subscribe, a.By.Grants.PublishData, a.By.Grants.Hidden,
		},
		Room: room, Name: a.Name, Path: a.Path, Vars: map[string]string{}, Durable: a.Durable,
		Record: func(name string) (any, error) {
			if lookups++; lookups > MaxLookups {
				return nil, fmt.Errorf("more than %d look-ups", MaxLookups)
			}
			document, refused := a.Unfold(a.Lookup(name))
			if refused != nil {
				beyond = refused
				return nil, refused
			}
			return document, nil
		},
	}
	f.Over = func(x any, times int) (any, error) {
		if refused := a.Step(times * length(x)); refused != nil {
			beyond = refused
			return nil, refused
		}
		return x, nil
	}
	for i, name := range r.names.SubexpNames() {
		if name != "" {
			f.Vars[name] = match[i]
		}
	}
	if c.old || c.durable {
		a.Depends()
	}
	if c.old {
		f.Old, beyond = a.Unfold(a.Old)
	}
	if c.new && beyond == nil {
		f.New, beyond = a.Unfold(a.New)
	}
	if beyond != nil {
		return beyond
	}
	machine := vm.VM{MemoryBudget: MaxMemory}
	allowed, err := machine.Run(c.program, f)
	switch {
	case beyond != nil:
		return beyond
	case err != nil:
		return denied(a, "the rule about it cannot be evaluated")
	case allowed != true:
		return denied(a, "the rules do not allow it")
	}
	return nil
}

func denied(a state.Access, why string) *wire.Error {
	return wire.NewError(wire.CodeForbidden, fmt.Sprintf("%s %s %q: %s", a.Action, a.Kind, a.Name, why), "who runs the server can allow it: --state-rules")
}

// Default is what holds where the operator has no rules, or they say nothing of a kind. open: everybody may join any room.
func Default(scope wire.Scope, open bool) func(state.Access) *wire.Error {
	return func(a state.Access) *wire.Error {
		a.Alike()
		switch reads := a.Action == state.Read || a.Action == state.Subscribe; {
		case scope == wire.ScopeServer && !open:
			return denied(a, "the server has no rules for what is shared by all rooms")
		case reads, a.By.Grants.PublishData && !a.By.Grants.Hidden:
			return nil
		}
		return denied(a, "it needs the publishData grant, and to be visible")
	}
}
