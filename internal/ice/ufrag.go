package ice

// Letters are what user fragments and passwords are made of (RFC 8839 §5.4: ice-char).
const Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// MaxShards is how many shards a user fragment can tell apart.
const MaxShards = len(Letters)

// ShardLetter begins every user fragment of a Transport that lives on this shard, so that whoever sees a check knows where it
// belongs without a table: a client's first check comes when nothing else is known of it.
func ShardLetter(shard int) byte { return Letters[shard] }

// Shard tells to which shard a user fragment of ShardLetter belongs. Others can make up any, so it proves nothing.
func Shard(ufrag []byte) (shard int, ok bool) {
	if len(ufrag) == 0 {
		return 0, false
	}
	n := int(shards[ufrag[0]])
	return n - 1, n > 0
}

// shards is the inverse of Letters, plus 1; 0: no letter.
var shards = func() (t [256]uint8) {
	for i := range len(Letters) {
		t[Letters[i]] = uint8(i + 1)
	}
	return t
}()
