package state

import (
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// Rule: a bulk request that lists nothing is told where it should: members of other names are ignored, as those of later versions are.
func TestNothingListed(t *testing.T) {
	c := room(t, "ann1")
	for member, command := range map[string]Command{
		"records": RecordRead{c.by("ann1"), wire.RecordRead{}},
		"names":   EventSubscribe{c.by("ann1"), wire.EventNames{}},
	} {
		if refused := c.refused(wire.CodeBadRequest, command); !strings.Contains(refused.Next, member) {
			t.Errorf("%s: %+v", member, refused)
		}
	}
}
