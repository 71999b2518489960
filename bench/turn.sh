#!/usr/bin/env bash
# Puts Parley and other TURN servers under the same loads in turn and prints CPU microseconds per relayed packet: median (least–most), and beside it
# the loss and the memory of an allocation.
#
# Needs: turnbench (TURNBENCH: its path), two cores; Debian's coturn and pionturn (PIONTURN) where SERVERS has them. The server gets core 0, the
# load core 1. Everything runs in a namespace of its own, servers in turn in each round, and only processes that this script started are ended.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${BENCH_NAMESPACE:-}" ]; then
	BENCH_NAMESPACE=1 exec unshare --net "$0" "$@"
fi
ip link set lo up
TURNBENCH=${TURNBENCH:?path of the turnbench binary}
ROUNDS=${ROUNDS:-3}
WINDOW=${WINDOW:-8s}
# Loads are arguments of turnbench, joined by commas.
LOADS=${LOADS:-"-size=1200 -size=160 -size=1200,-burst=5"}
SERVERS=${SERVERS:-"parley coturn pionturn"}
PARLEY=${PARLEY:-bin/parley}
OUT=${OUT:-bin/bench/turn.jsonl}
work=$(mktemp -d)
declare -A pids=() ports=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# on_core_0 NAME PORT COMMAND…: starts a server.
on_core_0() {
	local name=$1
	ports[$name]=$2
	shift 2
	nice -n -15 taskset -c 0 "$@" >"$work/$name.log" 2>&1 &
	pids[$name]=$!
}

parley() {
	on_core_0 parley 3478 "$PARLEY" turn --listen 127.0.0.1:3478 --realm bench --user bench:bench --allow-peer 127.0.0.0/8 \
		--user-allocations 20000 --source-allocations 20000
}
coturn() {
	on_core_0 coturn 3479 turnserver -n -a -u bench:bench -r bench --allow-loopback-peers --no-tls --no-dtls --no-cli -L 127.0.0.1 -p 3479 \
		--log-file=/dev/null --pidfile="$work/coturn.pid"
}
# pionturn is the least server that one writes with pion/turn.
pionturn() { on_core_0 pionturn 3480 "${PIONTURN:?path of the pionturn binary}" -addr 127.0.0.1:3480; }

mkdir -p "$(dirname "$OUT")"
: >"$OUT"
for server in $SERVERS; do $server; done
sleep 2
for round in $(seq "$ROUNDS"); do
	for load in $LOADS; do
		for server in $SERVERS; do
			IFS=, read -ra arguments <<<"$load"
			# Its clients leave their allocations behind, and now and then one gets a port that such an allocation is still of (437).
			for try in 1 2 3; do
				nice -n -15 taskset -c 1 "$TURNBENCH" -label "$server" -pid "${pids[$server]}" -addr "127.0.0.1:${ports[$server]}" \
					-window "$WINDOW" "${arguments[@]}" >>"$OUT" && break
				[ "$try" -lt 3 ]
			done
		done
	done
done

# One line for each server and load, in the order in which they came.
awk '
function field(name) { return match($0, "\"" name "\":[^,}]*") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) : "" }
{
	key = field("server") "  size " field("size") "  burst " field("burst")
	gsub(/"/, "", key)
	if (!(key in n)) order[++keys] = key
	cpu[key, ++n[key]] = field("cpu_us_per_relayed_packet") + 0
	loss[key] += field("loss_pct")
	if (!(key in rss)) rss[key] = field("rss_kib_per_allocation")
}
END {
	for (k = 1; k <= keys; k++) {
		key = order[k]
		for (i = 1; i <= n[key]; i++) {
			x = cpu[key, i]
			for (j = i; j > 1 && sorted[j - 1] > x; j--) sorted[j] = sorted[j - 1]
			sorted[j] = x
		}
		printf "%-36s %5.2f µs (%.2f–%.2f)  loss %.2f %%  %.0f KiB\n", key, sorted[int((n[key] + 1) / 2)], sorted[1], sorted[n[key]], loss[key] / n[key], rss[key]
	}
}' "$OUT"
