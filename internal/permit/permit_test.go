package permit_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/permit"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

var now = time.Unix(1_800_000_000, 0)

func value(t *testing.T, text string) state.Value {
	t.Helper()
	if text == "" {
		return state.Value{}
	}
	v, refused := state.Parse([]byte(text))
	if refused != nil {
		t.Fatal(refused)
	}
	return v
}

// only makes rules for records of the room.
func only(t *testing.T, rules map[string]map[state.Action]string) func(state.Access) *wire.Error {
	t.Helper()
	s, err := permit.Compile(permit.Rules{wire.ScopeRoom: {state.Records: rules}})
	if err != nil {
		t.Fatal(err)
	}
	return s.May(wire.ScopeRoom, "tea", false)
}

// Rule: of the patterns that match, the one with the most literal characters decides alone; what it does not name is denied.
func TestMostParticularDecides(t *testing.T) {
	may := only(t, map[string]map[state.Action]string{
		"*":             {state.Read: "true", state.Write: "true"},
		"secret/*":      {state.Read: "false"},
		"secret/open":   {state.Read: "true"},
		"user/$id":      {state.Write: "vars.id == user.identity"},
		"user/$id/$key": {state.Write: `vars.id == user.identity && vars.key != "locked"`},
		"a.c":           {state.Read: "false"},
		"x*y*z":         {state.Read: "false"},
		"line\n*":       {state.Read: "false"},
	})
	for name, want := range map[string]string{
		"board": "rw", "secret/x": "", "secret/x/y": "", "secret/": "", "secret": "rw", "secret/open": "r", "secret/open2": "", "user/ann": "w", "user/bob": "",
		"user/ann/x": "w", "user/ann/locked": "", "user/ann/x/y": "rw", "user/": "rw", "a.c": "", "abc": "rw", "xyz": "", "x1y2z": "", "xz": "rw",
		"line\nanything\nmore": "", "Secret/x": "rw", "*": "rw", "$id": "rw",
	} {
		got := ""
		for _, action := range []state.Action{state.Read, state.Write} {
			if may(state.Access{By: state.Caller{Identity: "ann"}, Kind: state.Records, Action: action, Name: name}) == nil {
				got += string(action[0])
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if may(state.Access{By: state.Caller{Grants: wire.Grants{PublishData: true}}, Kind: state.Records, Action: state.Delete, Name: "board"}) == nil {
		t.Error("deletion is allowed, and no rule says so")
	}
}

// Rule: an expression decides by the caller, the room, the name, the path, both documents and others; what fails is a denial.
func TestExpressions(t *testing.T) {
	for _, c := range []struct {
		rule string
		want bool
	}{
		{"true", true},
		{"false", false},
		{`user.identity == "ann"`, true},
		{"user.admin", false},
		{"user.publishData && !user.hidden", true},
		{`room == "tea"`, true},
		{`user.room == "milk"`, true},
		{`name == "board"`, true},
		{"durable", true},
		{"old.owner == user.identity", true},
		{"new.n == old.n + 1", true},
		{"new.n > 2", false},
		{"len(new.list) == 2", true},
		{`new.list[0] == "x"`, true},
		{`all(new.list, # in ["x", "y"])`, true},
		{"new.none == nil", true},
		{"new?.none?.deeper == nil", true},
		{`record("roles").ann == "owner"`, true},
		{`record("none") == nil`, true},
		{`record("none").x == 1`, false},
		{`record("none")?.x == nil`, true},
		{"new.n.deeper == 1", false},
		{"new.list[9] == 1", false},
		{`new.n + "x" == 1`, false},
		{`old.owner matches "^a"`, true},
		{`new.text startsWith "é"`, true},
		{"new.yes", true},
		{"new.n", false},
		{strings.Repeat(`record("none") == nil && `, permit.MaxLookups-1) + `record("none") == nil`, true},
		{strings.Repeat(`record("none") == nil && `, permit.MaxLookups) + `record("none") == nil`, false},
		{fmt.Sprintf("len(1..%d) > 0", permit.MaxMemory/2), true},
		{fmt.Sprintf("len(1..%d) > 0", permit.MaxMemory*2), false},
	} {
		may := only(t, map[string]map[state.Action]string{"*": {state.Write: c.rule}})
		refused := may(state.Access{
			By:   state.Caller{Identity: "ann", Room: "milk", Grants: wire.Grants{PublishData: true}},
			Kind: state.Records, Action: state.Write, Name: "board", Durable: true,
			Old: value(t, `{"owner":"ann","n":1}`), New: value(t, `{"owner":"ann","n":2,"list":["x","y"],"text":"é","yes":true}`),
			Lookup: func(name string) state.Value {
				if name == "roles" {
					return value(t, `{"ann":"owner"}`)
				}
				return state.Value{}
			},
		})
		if (refused == nil) != c.want || refused != nil && refused.Code != wire.CodeForbidden {
			t.Errorf("%.80s: got %v, want %v", c.rule, refused, c.want)
		}
	}
	may := only(t, map[string]map[state.Action]string{"*": {state.Create: "new != nil"}})
	if refused := may(state.Access{Kind: state.Records, Action: state.Create, Name: "x", New: value(t, `[]`)}); refused != nil {
		t.Errorf("create: %v", refused)
	}
}

// Rule: rules that cannot be meant are refused when they are read, and the fault says where it is.
func TestCompileRefuses(t *testing.T) {
	for fault, r := range map[string]permit.Rules{
		"hall":             {"hall": nil},
		`"stream"`:         {wire.ScopeRoom: {"stream": nil}},
		`"publish"`:        {wire.ScopeRoom: {state.Records: {"*": {state.Publish: "true"}}}},
		"1 to 256":         {wire.ScopeRoom: {state.Records: {"": {state.Read: "true"}}}},
		"unknown name who": {wire.ScopeRoom: {state.Records: {"*": {state.Read: "who == 1"}}}},
		"unknown name now": {wire.ScopeRoom: {state.Records: {"*": {state.Read: "now() != nil"}}}},
		"expected bool":    {wire.ScopeRoom: {state.Records: {"*": {state.Read: "name"}}}},
		"$env":             {wire.ScopeRoom: {state.Records: {"*": {state.Read: `$env["old"] == nil`}}}},
		`server, rpc "a"`:  {wire.ScopeServer: {state.RPCs: {"a": {state.Request: "("}}}},
		"no vars.who":      {wire.ScopeRoom: {state.Records: {"user/$id": {state.Read: "vars.who == user.identity"}}}},
		"stands twice":     {wire.ScopeRoom: {state.Records: {"$a/$a": {state.Read: "true"}}}},
		"exceeds":          {wire.ScopeRoom: {state.Records: {"*": {state.Read: strings.Repeat("true || ", permit.MaxNodes) + "true"}}}},
	} {
		if _, err := permit.Compile(r); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("got %v, want something about %s", err, fault)
		}
	}
	many := map[string]map[state.Action]string{}
	for i := range permit.MaxRules + 1 {
		many[fmt.Sprint(i)] = nil
	}
	r := permit.Rules{wire.ScopeRoom: {state.Records: many}}
	if _, err := permit.Compile(r); err == nil {
		t.Error("too many rules were taken")
	}
	delete(many, "0")
	if _, err := permit.Compile(r); err != nil {
		t.Errorf("as many rules as may be: %v", err)
	}
}

// Rule: without rules, reading is for everybody in a room and the rest for those who may send; what all rooms share is for nobody
// where there are tokens.
func TestDefault(t *testing.T) {
	sender, listener := wire.Grants{PublishData: true}, wire.Grants{}
	hidden := wire.Grants{PublishData: true, Hidden: true}
	for _, c := range []struct {
		scope  wire.Scope
		open   bool
		grants wire.Grants
		reads  bool
		writes bool
	}{
		{wire.ScopeRoom, false, sender, true, true},
		{wire.ScopeRoom, false, listener, true, false},
		{wire.ScopeRoom, true, hidden, true, false},
		{wire.ScopeServer, true, sender, true, true},
		{wire.ScopeServer, true, listener, true, false},
		{wire.ScopeServer, false, sender, false, false},
	} {
		may := permit.Default(c.scope, c.open)
		for action, reads := range map[state.Action]bool{
			state.Read: true, state.Subscribe: true, state.Create: false, state.Write: false, state.Delete: false, state.Listening: false,
			state.Publish: false, state.Provide: false, state.Request: false,
		} {
			want := c.writes
			if reads {
				want = c.reads
			}
			if got := may(state.Access{By: state.Caller{Grants: c.grants}, Action: action}) == nil; got != want {
				t.Errorf("%s, open %v, %+v: %s is %v, want %v", c.scope, c.open, c.grants, action, got, want)
			}
		}
	}
}

// Rule: rules hold on every path of the core, also for an item of a bulk request.
func TestWithScope(t *testing.T) {
	set, err := permit.Compile(permit.Rules{wire.ScopeRoom: {state.Records: {
		"*":        {state.Create: "true", state.Read: "true"},
		"secret/*": {state.Create: "true", state.Read: "record('keys')?.holder == user.identity"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	s := state.New(state.Config{May: set.May(wire.ScopeRoom, "tea", false)})
	do := func(c state.Command) state.Reply {
		for _, e := range s.Apply(now, c) {
			if r, ok := e.(state.Reply); ok {
				return r
			}
		}
		t.Fatalf("%T has no reply", c)
		return state.Reply{}
	}
	write := func(name, json string) {
		if r := do(state.RecordWrite{RecordWrite: wire.RecordWrite{
			Name: name, Operations: []wire.Operation{{Op: wire.OperationSet, Value: []byte(json)}},
		}}); r.Error != nil {
			t.Fatal(r.Error)
		}
	}
	write("keys", `{"holder":"ann"}`)
	write("secret/y", `{}`)
	write("ok", `{}`)
	for identity, want := range map[string]string{"ann": "true true", "bob": "false true"} {
		r := do(state.RecordRead{By: state.Caller{Identity: identity}, RecordRead: wire.RecordRead{Records: []wire.RecordWanted{{Name: "secret/y"}, {Name: "ok"}}}})
		results := r.Body.(wire.Records).Results
		if got := fmt.Sprint(results[0].Record != nil, results[1].Record != nil); got != want {
			t.Errorf("%s reads: %s, want %s", identity, got, want)
		}
	}
}

// Rule: what rules would have to look at beyond what one request may have is a limit, and no denial, whichever way they look at it.
func TestTooMuchToLookAt(t *testing.T) {
	for _, rule := range []string{"old.text != ''", "durable or old.text != ''", `record(name).text != ""`, `(record(name)?.text ?? "") != ""`} {
		s := state.New(state.Config{May: only(t, map[string]map[state.Action]string{"*": {state.Create: "true", state.Read: rule}})})
		ask := state.RecordRead{}
		for i := range state.MaxUnfolded/wire.MaxRecordBytes + 1 {
			name := fmt.Sprint(i)
			s.Apply(now, state.RecordWrite{RecordWrite: wire.RecordWrite{Name: name, Operations: []wire.Operation{
				{Op: wire.OperationSet, Path: "text", Value: []byte(`"` + strings.Repeat("x", wire.MaxRecordBytes-100) + `"`)},
			}}})
			ask.Records = append(ask.Records, wire.RecordWanted{Name: name, Head: true})
		}
		results := s.Apply(now, ask)[0].(state.Reply).Body.(wire.Records).Results
		last := results[len(results)-1]
		if results[0].Error != nil || last.Error == nil || last.Error.Code != wire.CodeLimit {
			t.Errorf("%s: the first %v, the last %v", rule, results[0].Error, last.Error)
		}
	}
}

// Rule: somebody may read a record whatever it says iff the rule for reading allows it without looking at what any record says.
func TestReadsAny(t *testing.T) {
	for rule, want := range map[string]bool{
		"true":                              true,
		"false":                             false,
		"name == 'board' and room == 'tea'": true,
		"user.identity == 'ann'":            true,
		"user.identity == 'bob'":            false,
		"old == nil or old.public == true":  false,
		"old.public == true":                false,
		"durable or not durable":            false,
		"record('members') == nil":          false,
		"user.identity == 'ann' or record('members').ann == 1": true, // she may without
		"user.identity == 'bob' or record('members') == nil":   false,
	} {
		may := only(t, map[string]map[state.Action]string{"*": {state.Read: rule}})
		if got := state.ReadsAny(may, state.Caller{Identity: "ann"}, "board"); got != want {
			t.Errorf("%s: got %v", rule, got)
		}
	}
	may := only(t, map[string]map[state.Action]string{"*": {state.Write: "true"}})
	if state.ReadsAny(may, state.Caller{}, "board") {
		t.Error("no rule for reading, and it may be read")
	}
	if !state.ReadsAny(permit.Default(wire.ScopeRoom, false), state.Caller{}, "board") || !state.ReadsAny(nil, state.Caller{}, "board") {
		t.Error("without rules it may not be read")
	}
}

// Rule: what rules go over is counted, in whatever way they do, and is a limit beyond what one request may have; one loop over the widest list is not.
func TestTooMuchToGoOver(t *testing.T) {
	words := make([]string, wire.MaxElements)
	for i := range words {
		words[i] = fmt.Sprintf(`"%05d"`, i)
	}
	document := `{"list":[` + strings.Join(words, ",") + `],"text":"` + strings.Repeat("x", 90_000) + `"}`
	for rule, want := range map[string]wire.Code{
		`all(new.list, # != "")`:                                                                  "",
		`"99999" not in new.list`:                                                                 "",
		`all(new.list, # in ["x"] || true)`:                                                       "",
		`all(new.list, name + # != "")`:                                                           "",
		`new.text matches "^x" && new.text contains "x"`:                                          "",
		`len(filter(new.list, # == "00000")) == 1`:                                                "",
		`any(new.list, # == "16383")`:                                                             "",
		`all(new.list, # in new.list)`:                                                            wire.CodeLimit,
		`all(new.list, not (# not in new.list))`:                                                  wire.CodeLimit,
		`all(new.list, let x = #; any(new.list, # == x))`:                                         wire.CodeLimit,
		`all(new.list, new.text contains "x")`:                                                    wire.CodeLimit,
		`all(new.list, new.text matches "x+y" || # != "")`:                                        wire.CodeLimit,
		`all(1..len(new.list), len(sort(new.list)) > 0)`:                                          wire.CodeLimit,
		`all(new.list, "list" in new)`:                                                            "",
		`all(new.list, len(keys(new)) == 2)`:                                                      "",
		`reduce(new.list, # == "" ? #acc : #acc + 1, 0) == 16384`:                                 "",
		`new.list | filter(# > "16000") | map(# + "x") | all(# endsWith "x")`:                     "",
		`len(new.list) == 16384 && new.list[0] == "00000" && (new.list | first()) == new.list[0]`: "",
	} {
		s := state.New(state.Config{May: only(t, map[string]map[state.Action]string{"*": {state.Create: rule}})})
		reply := s.Apply(now, state.RecordWrite{RecordWrite: wire.RecordWrite{Name: "a", Operations: []wire.Operation{
			{Op: wire.OperationSet, Value: []byte(document)},
		}}})
		got := wire.Code("")
		for _, e := range reply {
			if r, ok := e.(state.Reply); ok && r.Error != nil {
				got = r.Error.Code
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", rule, got, want)
		}
	}
}

// Rule: about the presence of all, rules with one pattern that does not look at the name are asked once; all others about each.
func TestPresenceOfAll(t *testing.T) {
	const all, some = "[ann bob secret/x]", "[ann bob]"
	for _, c := range []struct {
		rules map[string]map[state.Action]string
		want  string
		times int // that somebody's right is asked for
	}{
		{map[string]map[state.Action]string{"*": {state.Read: "user.identity == 'ann'"}}, all, 1},
		{map[string]map[state.Action]string{"*": {state.Read: "not (name startsWith 'secret/')"}}, some, 4},
		{map[string]map[state.Action]string{"*": {state.Read: "true"}, "secret/*": {state.Read: "false"}}, some, 4},
		{map[string]map[state.Action]string{"*": {state.Read: "true"}, "secret/*": {state.Subscribe: "true"}}, some, 4},
		{map[string]map[state.Action]string{"$who": {state.Read: "vars.who != 'bob'"}}, "[ann]", 4},
	} {
		set, err := permit.Compile(permit.Rules{wire.ScopeRoom: {state.Presence: c.rules}})
		if err != nil {
			t.Fatal(err)
		}
		may, times := set.May(wire.ScopeRoom, "tea", false), 0
		s := state.New(state.Config{May: func(a state.Access) *wire.Error {
			times++
			return may(a)
		}})
		for _, identity := range []string{"ann", "bob", "secret/x"} {
			s.Apply(now, state.Attach{By: state.Caller{Session: identity, Identity: identity}})
		}
		reply := s.Apply(now, state.PresenceRead{By: state.Caller{Session: "ann"}})[0].(state.Reply)
		if got := fmt.Sprint(reply.Body.(wire.Present).Identities); got != c.want || times != c.times {
			t.Errorf("%v: %s, asked %d times; want %s, %d", c.rules, got, times, c.want, c.times)
		}
	}
}

// Rule: rules tell whether they decide by who somebody is.
func TestAsksIdentity(t *testing.T) {
	for rule, want := range map[string]bool{
		"true": false, "user.admin": false, "name == 'user.identity'": false, "user.identity == 'ann'": true, "old.by == user['identity']": true,
		"any(old.all, # == user.identity)": true,
	} {
		set, err := permit.Compile(permit.Rules{wire.ScopeServer: {state.Records: {"*": {state.Read: "true"}, "a": {state.Write: rule}}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := set.AsksIdentity(); got != want {
			t.Errorf("%s: %v", rule, got)
		}
	}
}

// Rule: for a kind of a scope of which the rules say nothing the default holds, whatever they say of others; one that is named, if only by name,
// is for nobody but whom its rules let.
func TestUnnamed(t *testing.T) {
	set, err := permit.Compile(permit.Rules{
		wire.ScopeRoom:   {state.Records: {"board": {state.Read: "true"}}, state.Presence: nil},
		wire.ScopeServer: {state.RPCs: {"*": {state.Request: "true"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(set.Unnamed()); got != "[room event room rpc server event server presence server record]" {
		t.Errorf("unnamed: %s", got)
	}
	sender, listener := wire.Grants{PublishData: true}, wire.Grants{}
	for _, c := range []struct {
		scope  wire.Scope
		open   bool
		kind   state.Kind
		action state.Action
		grants wire.Grants
		want   bool
	}{
		{wire.ScopeRoom, false, state.Records, state.Read, sender, true},
		{wire.ScopeRoom, false, state.Records, state.Write, sender, false},
		{wire.ScopeRoom, false, state.Events, state.Publish, sender, true},
		{wire.ScopeRoom, false, state.Events, state.Publish, listener, false},
		{wire.ScopeRoom, false, state.Events, state.Subscribe, listener, true},
		{wire.ScopeRoom, true, state.Presence, state.Read, sender, false},
		{wire.ScopeServer, false, state.Records, state.Read, sender, false},
		{wire.ScopeServer, true, state.Records, state.Write, sender, true},
		{wire.ScopeServer, false, state.RPCs, state.Request, listener, true},
		{wire.ScopeServer, true, state.RPCs, state.Provide, sender, false},
	} {
		a := state.Access{By: state.Caller{Grants: c.grants}, Kind: c.kind, Action: c.action, Name: "board"}
		if got := set.May(c.scope, "tea", c.open)(a) == nil; got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Rule: what an expression can ask about in an action is what docs/hosting.md says and what the scope tells there; all else is refused when the rules
// are read, with what there is.
func TestFactsOfActions(t *testing.T) {
	text, err := os.ReadFile("../../docs/hosting.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, words := map[string]string{}, regexp.MustCompile("`([a-z]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(line, "| `") || words.FindString(cells[2]) == "" {
			continue
		}
		var facts []string
		for _, m := range words.FindAllStringSubmatch(cells[3], -1) {
			facts = append(facts, m[1])
		}
		for _, kind := range words.FindAllStringSubmatch(cells[1], -1) {
			for _, action := range words.FindAllStringSubmatch(cells[2], -1) {
				documented[kind[1]+" "+action[1]] = fmt.Sprint(facts)
			}
		}
	}
	compiled := map[string]string{}
	for _, kind := range []state.Kind{state.Records, state.Events, state.RPCs, state.Presence} {
		for _, action := range []state.Action{
			state.Create, state.Read, state.Write, state.Delete, state.Listening, state.Publish, state.Subscribe, state.Provide, state.Request,
		} {
			compile := func(condition string) error {
				_, err := permit.Compile(permit.Rules{wire.ScopeRoom: {kind: {"*": {action: condition}}}})
				return err
			}
			if compile(`name != "" and room != "" and user.admin and vars != nil and record("x") == nil`) != nil {
				continue // there is no such action
			}
			var facts []string
			for _, fact := range []string{"durable", "new", "old", "path"} {
				if err := compile("[" + fact + "] != [nil]"); err == nil {
					facts = append(facts, fact)
				} else if !strings.Contains(err.Error(), "there is no "+fact+" in this action: ask about ") {
					t.Errorf("%s %s, %s: %v", kind, action, fact, err)
				}
			}
			compiled[fmt.Sprint(kind, " ", action)] = fmt.Sprint(facts)
		}
	}
	if told := factsTold(); !maps.Equal(documented, compiled) || !maps.Equal(told, compiled) {
		t.Errorf("documented %v\ncompiled   %v\ntold       %v", documented, compiled, told)
	}
}

// factsTold are the facts that a scope tells in each action, when somebody does all that there is.
func factsTold() map[string]string {
	seen := map[string]map[string]bool{}
	s := state.New(state.Config{Durable: true, May: func(a state.Access) *wire.Error {
		key := fmt.Sprint(a.Kind, " ", a.Action)
		if seen[key] == nil {
			seen[key] = map[string]bool{}
		}
		for fact, is := range map[string]bool{"durable": a.Durable, "new": a.New.Exists(), "old": a.Old.Exists(), "path": a.Path != ""} {
			if is {
				seen[key][fact] = true
			}
		}
		return nil
	}})
	by := state.Caller{Session: "ann1", Identity: "ann"}
	write := state.RecordWrite{By: by, RecordWrite: wire.RecordWrite{
		Name: "x", Operations: []wire.Operation{{Op: wire.OperationSet, Path: "a", Value: []byte("1")}}, TTLSeconds: new(60),
	}}
	shorter := write
	shorter.TTLSeconds = new(1)
	for _, c := range []state.Command{
		state.Attach{By: by},
		write,
		shorter,
		state.RecordSubscribe{By: by, RecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "x"}, {Name: "x", Path: "a"}}}},
		state.RecordRead{By: by, RecordRead: wire.RecordRead{Records: []wire.RecordWanted{{Name: "x", Version: 1, Path: "a"}}}},
		state.Listen{By: by, Listen: wire.Listen{Kind: wire.ListenRecords, Pattern: "*"}},
		state.Listen{By: by, Listen: wire.Listen{Kind: wire.ListenEvents, Pattern: "*"}},
		state.EventSubscribe{By: by, EventNames: wire.EventNames{Names: []string{"x"}}},
		state.EventPublish{By: by, EventPublish: wire.EventPublish{Name: "x", Value: []byte("1")}},
		state.RPCProvide{By: by, RPCNames: wire.RPCNames{Names: []string{"x"}}},
		state.RPCRequest{By: by, RPCRequest: wire.RPCRequest{Name: "x", Call: 1, Value: []byte("1")}},
		state.PresenceSubscribe{By: by},
		state.PresenceRead{By: by},
		state.RecordDelete{By: by, RecordDelete: wire.RecordDelete{Name: "x"}},
	} {
		s.Apply(now, c)
	}
	told := map[string]string{}
	for key, facts := range seen {
		told[key] = fmt.Sprint(slices.Sorted(maps.Keys(facts)))
	}
	return told
}
