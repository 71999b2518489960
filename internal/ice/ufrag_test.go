package ice_test

import (
	"testing"

	"github.com/parley-rtc/parley/internal/ice"
)

// The first letter of a user fragment tells the shard; what cannot be one tells none.
func TestShardOfUfrag(t *testing.T) {
	for shard := range ice.MaxShards {
		if got, ok := ice.Shard([]byte{ice.ShardLetter(shard), 'x'}); !ok || got != shard {
			t.Errorf("shard %d: got %d, %v", shard, got, ok)
		}
	}
	for _, ufrag := range []string{"", "-abc", "\x00", "\xffabc", ":abc"} {
		if got, ok := ice.Shard([]byte(ufrag)); ok {
			t.Errorf("%q: got %d", ufrag, got)
		}
	}
}
