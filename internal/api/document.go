package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// object is a JSON object.
type object = map[string]any

// items are what a batch may have in it: the type of the request, its body, and the type and body of its reply.
var items = []struct {
	typ, does string
	body      any
	reply     string
	answer    any
}{
	{wire.TypeRecordRead, "reads records, or parts of them", wire.RecordRead{}, wire.TypeRecords, wire.Records{}},
	{wire.TypeRecordWrite, "writes a record or a list: all operations, or none", wire.RecordWrite{}, wire.TypeWritten, wire.Written{}},
	{wire.TypeRecordDelete, "deletes a record", wire.RecordDelete{}, wire.TypeOK, wire.OK{}},
	{wire.TypeEventPublish, "tells all who are subscribed to an event", wire.EventPublish{}, wire.TypeOK, wire.OK{}},
	{wire.TypeRPCRequest, "asks a provider, and answers when it has", wire.RPCRequest{}, wire.TypeRPCResult, wire.RPCResult{}},
	{wire.TypePresenceRead, "asks who is there", wire.PresenceRead{}, wire.TypePresent, wire.Present{}},
	{wire.TypeLogRead, "reads what has happened in the room", wire.LogRead{}, wire.TypeLog, wire.Log{}},
}

// enums are the types of text with few values.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[wire.Scope](): {string(wire.ScopeRoom), string(wire.ScopeServer)},
	reflect.TypeFor[wire.Source](): {
		string(wire.SourceMicrophone), string(wire.SourceCamera), string(wire.SourceScreen), string(wire.SourceScreenAudio), string(wire.SourceOther),
	},
	reflect.TypeFor[wire.OperationKind](): {
		string(wire.OperationSet), string(wire.OperationErase), string(wire.OperationInsert), string(wire.OperationRemove),
		string(wire.OperationMove), string(wire.OperationEntries),
	},
}

// needless are members of requests that always are written, and need not be there: docs/protocol.md, sections 18.8 and 18.10.
var needless = map[reflect.Type]string{
	reflect.TypeFor[wire.RPCRequest](): "call",
	reflect.TypeFor[wire.LogRead]():    "after",
}

// Document is the OpenAPI 3.1 document of this package.
func Document() []byte {
	s := schemas{}
	var requests, replies []any
	for _, i := range items {
		requests = append(requests, message(i.typ, i.does, s.of(reflect.TypeOf(i.body))))
		replies = append(replies, message(i.reply, "the reply to "+i.typ, s.of(reflect.TypeOf(i.answer))))
	}
	failed := object{"title": "refused", "type": "object", "required": []string{"error"}, "properties": object{"error": s.of(reflect.TypeFor[wire.Error]())}}
	s["Item"] = object{"oneOf": requests}
	s["Result"] = object{"oneOf": append(unique(replies), failed)}
	problem := object{"description": "what was wrong with the whole request (RFC 9457)", "content": object{"application/problem+json": object{"schema": object{
		"type": "object", "required": []string{"title", "status", "detail", "code"},
		"properties": object{
			"title": object{"type": "string"}, "status": object{"type": "integer"}, "detail": object{"type": "string"},
			"code": object{"type": "string"}, "next": object{"type": "string"},
		},
	}}}}
	results := answers("one result for each item, in the order of the request", reflect.TypeFor[Results](), s, problem, "400", "401", "403", "405", "413", "415", "422", "503")
	granted := answers("what the participant may do now", reflect.TypeFor[wire.GrantsChanged](), s, problem, "400", "401", "403", "404", "405", "413", "415", "429", "503")
	operator := []any{object{"operator": []string{}}}
	return encode(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Parley: for programs without a session", "version": "1",
			"description": "Items of a batch are the requests of docs/protocol.md, section 18, which says what their members mean.",
		},
		"paths": object{StatePath: object{"post": object{
			"operationId": "batch", "summary": "Carries out requests about shared state, one after the other, each by itself.",
			"security":    []any{object{}, object{"token": []string{}}},
			"requestBody": object{"required": true, "content": object{"application/json": object{"schema": s.of(reflect.TypeFor[Batch]())}}},
			"responses":   results,
		}}, GrantsPath: object{"post": object{
			"operationId": "grant", "summary": "Changes what a participant may do: docs/protocol.md, section 13.2. What is absent stays.",
			"security":    []any{object{"token": []string{}}},
			"requestBody": object{"required": true, "content": object{"application/json": object{"schema": s.of(reflect.TypeFor[rooms.Grant]())}}},
			"responses":   granted,
		}}, StoredPath: object{
			"get": object{
				"operationId": "listStored", "summary": "Lists the rooms of which something is stored, largest first: docs/protocol.md, section 13.3.", "security": operator,
				"parameters": []any{roomParameter(false, "Only these rooms.")},
				"responses":  answers("what is stored", reflect.TypeFor[Stored](), s, problem, "400", "401", "405", "422", "503"),
			},
			"delete": object{
				"operationId": "removeStored", "summary": "Removes all that is stored of a room in which nobody is: its durable records and its log.", "security": operator,
				"parameters": []any{roomParameter(true, "The room.")},
				"responses":  answers("what was removed", reflect.TypeFor[StoredRoom](), s, problem, "400", "401", "404", "405", "409", "422", "503"),
			},
		}},
		"components": object{
			"schemas": s,
			"securitySchemes": object{
				"token":    object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "In token mode: docs/protocol.md, section 4."},
				"operator": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An operator token: docs/protocol.md, section 13.3."},
			},
		},
	})
}

// answers are what a request may be answered with: the type of what it asks for, and problems by status.
func answers(what string, t reflect.Type, s schemas, problem object, statuses ...string) object {
	all := object{"200": object{"description": what, "content": object{"application/json": object{"schema": s.of(t)}}}}
	for _, status := range statuses {
		all[status] = problem
	}
	return all
}

// roomParameter is the room, or are the rooms, of a query.
func roomParameter(one bool, what string) object {
	schema := object{"type": "string"}
	if !one {
		schema = object{"type": "array", "items": schema, "maxItems": MaxNamedRooms}
	}
	return object{"name": "room", "in": "query", "description": what, "required": one, "schema": schema}
}

// message is the schema of a type with its body.
func message(typ, does string, body object) object {
	return object{
		"title": typ, "description": does, "type": "object", "required": []string{"type"},
		"properties": object{"type": object{"const": typ}, "body": body},
	}
}

// unique leaves out replies that are the same but for what they answer.
func unique(all []any) []any {
	var kept []any
	seen := map[string]bool{}
	for _, m := range all {
		o := m.(object)
		delete(o, "description")
		if title := o["title"].(string); !seen[title] {
			seen[title] = true
			kept = append(kept, o)
		}
	}
	return kept
}

// schemas of Go types, by name.
type schemas map[string]any

// of is the schema of a type: of a struct a reference, whose target is made with it.
func (s schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return object{} // any JSON
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		if values := enums[t]; values != nil {
			return object{"type": "string", "enum": values}
		}
		return object{"type": "string"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Struct:
		if s[t.Name()] == nil {
			s[t.Name()] = true // it may be part of itself
			s[t.Name()] = s.structOf(t)
		}
		return object{"$ref": "#/components/schemas/" + t.Name()}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		o := object{"type": "integer"}
		if t.Kind() == reflect.Uint64 {
			o["minimum"] = 0
		}
		return o
	}
	panic("api: no schema for " + t.String())
}

func (s schemas) structOf(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		properties[name] = s.of(t.Field(i).Type)
		if !strings.Contains(options, "omitempty") && needless[t] != name {
			required = append(required, name)
		}
	}
	o := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic("api: " + err.Error()) // all of it is ours
	}
	return b.Bytes()
}

// ServeDocument serves DocumentPath: to pages of every origin, as it says nothing that is secret.
func ServeDocument() http.Handler {
	document := Document()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			signal.WriteProblem(w, http.StatusMethodNotAllowed, wire.NewError(wire.CodeBadRequest, "the method is not for this resource", "use GET"))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write(document) // a client that has gone needs no answer
	})
}
