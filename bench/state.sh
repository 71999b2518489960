#!/usr/bin/env bash
# Prints the figures of shared state beside what is to be reached (docs: the head of internal/tools/statebench/main.go): the real server on
# core 0, the load on core 1, over loopback in a namespace of their own, in three to four minutes. Arguments are statebench's.
#
# Needs: statebench (STATEBENCH: its path), two cores, some 12,000 open files for each of the two processes.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${BENCH_NAMESPACE:-}" ]; then
	BENCH_NAMESPACE=1 exec unshare --net "$0" "$@"
fi
ip link set lo up
ulimit -n 20000 2>/dev/null || true
exec nice -n -15 taskset -c "${LOAD_CORES:-1}" "${STATEBENCH:?path of the statebench binary}" -binary "${PARLEY:-bin/parley}" -server-core "${SERVER_CORES:-0}" "$@"
