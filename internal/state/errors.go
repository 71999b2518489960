package state

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/parley-rtc/parley/wire"
)

func badRequest(message, next string) *wire.Error {
	return wire.NewError(wire.CodeBadRequest, message, next)
}

func tooLarge(what string, maxBytes int) *wire.Error {
	return wire.NewError(wire.CodeTooLarge, fmt.Sprintf("the %s is longer than %d bytes", what, maxBytes), "send less")
}

func tooDeep() *wire.Error {
	return wire.NewError(wire.CodeTooLarge, fmt.Sprintf("the document is nested deeper than %d levels", wire.MaxRecordDepth), "use several records")
}

func tooMany() *wire.Error {
	return wire.NewError(wire.CodeTooLarge, fmt.Sprintf("an object or array has more than %d elements", wire.MaxElements), "use several records")
}

func tooManyValues() *wire.Error {
	return wire.NewError(wire.CodeTooLarge, fmt.Sprintf("there are more than %d values", wire.MaxRecordValues), "use several records")
}

func beyond(limit int, what string) *wire.Error {
	return wire.NewError(wire.CodeLimit, fmt.Sprintf("more than %d %s", limit, what), "end some first, or ask for fewer at once")
}

func noRecord() *wire.Error {
	return wire.NewError(wire.CodeNotFound, "there is no such record", "create it by writing it")
}

// checkName is the rule for names of records, events and RPCs, and for patterns.
func checkName(name string) *wire.Error {
	switch {
	case len(name) > wire.MaxStateNameBytes:
		return tooLarge("name", wire.MaxStateNameBytes)
	case name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return badRequest("the name is empty or not text without control characters", "choose another one")
	}
	return nil
}

// checkCount is the rule for how many a bulk request may list, as the member of this name.
func checkCount(n int, member string) *wire.Error {
	switch {
	case n == 0:
		return badRequest("the request names nothing", "list in "+member+" what it is about")
	case n > wire.MaxBulkNames:
		return beyond(wire.MaxBulkNames, "items in one request")
	}
	return nil
}
