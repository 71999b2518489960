#!/usr/bin/env bash
# Puts Parley and others under the same loads in turn and prints a table of CPU per forwarded packet.
#
# Needs: sfubench and benchtab (SFUBENCH, BENCHTAB: their paths), two cores; Debian's janus and pionsfu (PIONSFU) where SERVERS has
# them. The server gets core 0, the load core 1.
# Everything runs in a namespace, every round ends by itself, and only processes that this script started are ended.
set -euo pipefail
cd "$(dirname "$0")/.."
# A network namespace of our own, with one address that every server is willing to offer; nothing leaves it.
if [ -z "${BENCH_NAMESPACE:-}" ]; then
	BENCH_NAMESPACE=1 exec unshare --net "$0" "$@"
fi
address=10.77.0.1
ip link set lo up
ip link add bench0 type veth peer name bench1
ip address add "$address/24" dev bench0
ip link set bench0 up
ip link set bench1 up
SFUBENCH=${SFUBENCH:?path of the sfubench binary}
BENCHTAB=${BENCHTAB:-}
ROUNDS=${ROUNDS:-3}
WINDOW=${WINDOW:-10s}
# Loads are arguments of sfubench, joined by commas. Those with feedback or data channels are for Parley alone, to compare with its other figures.
LOADS=${LOADS:-"-subs=10 -subs=50 -subs=200,-par=4 -conf=8 -subs=50,-srtp=cm80
	-subs=50,-feedback -subs=200,-par=4,-feedback -conf=8,-feedback -subs=200,-par=4,-data"}
SERVERS=${SERVERS:-"parley janus janus-event-loops pionsfu"}
PARLEY=${PARLEY:-bin/parley}
OUT=${OUT:-bin/bench/out.jsonl}
work=$(mktemp -d)
server=
stop() { [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; server=; }; }
trap 'stop; rm -rf "$work"' EXIT

# on_core_0 starts a server; $server is its process.
on_core_0() { nice -n -15 taskset -c "${SERVER_CORES:-0}" "$@" >"$work/log" 2>&1 & server=$!; }
# listening waits until something accepts connections on a port.
listening() {
	for _ in $(seq 100); do
		(exec 3<>"/dev/tcp/$address/$1") 2>/dev/null && return
		sleep 0.1
	done
	echo "nothing listens on port $1:" >&2; cat "$work/log" >&2; exit 1
}
load() { nice -n -15 taskset -c "${LOAD_CORES:-1}" "$SFUBENCH" -ip "$address" -pid "$server" -window "$WINDOW" "$@" | tee -a "$OUT"; }

parley() {
	on_core_0 "$PARLEY" serve --listen $address:18443 --data "$work/data" --log-level warn
	listening 18443
	load -server whip -label parley -url http://$address:18443/whip/{stream} -whep http://$address:18443/whep/{stream} "$@"
	stop
}

# pionsfu is the least forwarding unit that one writes with pion/webrtc.
pionsfu() {
	on_core_0 "${PIONSFU:?path of the pionsfu binary}" -addr $address:18080 -ip $address
	listening 18080
	load -server whip -label pionsfu -url http://$address:18080/whip/{stream} -whep http://$address:18080/whep/{stream} "$@"
	stop
}

# idle prints what a server that nobody uses costs: the threads' run time in 10 s.
idle() {
	on_core_0 "$PARLEY" serve --listen $address:18443 --data "$work/data" --log-level warn
	listening 18443
	sleep 2
	local before after
	before=$(run_time); sleep 10; after=$(run_time)
	echo "idle: $(((after - before) / 10000)) µs of CPU a second"
	stop
}
run_time() { cat /proc/"$server"/task/*/schedstat | awk '{ ns += $1 } END { printf "%d", ns }'; }

# janus runs Debian's package with the videoroom plugin and the WebSocket transport only.
janus() {
	local loops=$1; shift
	mkdir -p "$work/janus" "$work/plugins" "$work/transports"
	ln -sf /usr/lib/*/janus/plugins/libjanus_videoroom.so "$work/plugins/"
	ln -sf /usr/lib/*/janus/transports/libjanus_websockets.so "$work/transports/"
	cat >"$work/janus/janus.jcfg" <<-JCFG
		general: { configs_folder = "$work/janus"; plugins_folder = "$work/plugins"; transports_folder = "$work/transports"; debug_level = 2; $loops }
		media: { rtp_port_range = "20000-40000" }
		nat: { ice_enforce_list = "$address"; ice_ignore_list = "vmnet" }
	JCFG
	echo 'general: { }' >"$work/janus/janus.plugin.videoroom.jcfg"
	echo 'general: { ws = true; ws_port = 18188; ws_ip = "$address"; }' >"$work/janus/janus.transport.websockets.jcfg"
	on_core_0 /usr/bin/janus -F "$work/janus" -C "$work/janus/janus.jcfg"
	listening 18188
	load -server janus -url ws://$address:18188 "$@"
	stop
}

[ -n "${APPEND:-}" ] || : >"$OUT"
runs=0 total=$((ROUNDS * $(wc -w <<<"$SERVERS") * $(wc -w <<<"$LOADS")))
for round in $(seq "$ROUNDS"); do
	for l in $LOADS; do
		for s in $SERVERS; do
			runs=$((runs + 1))
			[[ $s = parley || $l != *-feedback* && $l != *-data* ]] || continue
			echo "[$runs/$total] round $round: $s $l" >&2
			IFS=, read -ra arguments <<<"$l"
			case $s in
			parley) parley "${arguments[@]}" ;;
			pionsfu) pionsfu "${arguments[@]}" ;;
			janus) janus "" -label janus "${arguments[@]}" ;;
			janus-event-loops) janus "event_loops = 1;" -label janus-event-loops "${arguments[@]}" ;;
			esac
		done
	done
done
[[ " $SERVERS " != *" parley "* ]] || idle
[ -z "$BENCHTAB" ] || "$BENCHTAB" "$OUT"
