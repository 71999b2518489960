# Parley. `make help` lists what there is.
# Every target installs what it needs first; nothing asks anything, so all of it runs without a terminal.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

export GOTOOLCHAIN := local
export DEBIAN_FRONTEND := noninteractive

STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT     := go run mvdan.cc/gofumpt@v0.12.0
PASSED      := go run ./internal/tools/passed

# Programs that the browser tests drive; only these are installed, and only when missing.
APT      := chromium firefox-esr ffmpeg coturn iproute2 nftables conntrack ethtool strace pulseaudio fonts-dejavu-core fonts-noto-color-emoji
# The race detector wants a C compiler; nothing else does.
APT_RACE := gcc libc6-dev
# Folders with a package-lock.json get their modules by npm ci.
WEB      := $(patsubst %/package-lock.json,%,$(wildcard web/*/package-lock.json))
STAMPS   := $(addsuffix /node_modules/.stamp,$(WEB))
GO_FILES := $$(git ls-files --cached --others --exclude-standard -- '*.go')

ARGS     ?=
PKG      ?= ./...
FUZZTIME ?= 10s
SOAK     ?= 10m
ROUNDS   ?= 20

.PHONY: help deps deps-web deps-apt deps-race run build test need-root test-unit test-scenario test-web test-browser check race fuzz e2e e2e-network soak kill bench sfubench bench-state bench-turn bench-go gen bin/board bin/link

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

deps: deps-apt deps-web ## install what the tests need and this machine lacks
	@go mod download

deps-apt:
	@scripts/apt-install $(APT)

deps-race:
	@scripts/apt-install $(APT_RACE)

deps-web: $(STAMPS)

%/node_modules/.stamp: %/package-lock.json
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
	@touch $@

build: ## build bin/parley
	@mkdir -p bin
	@CGO_ENABLED=0 go build -trimpath -o bin/parley ./cmd/parley

# What tests drive beside the server.
bin/board bin/link: bin/%:
	@mkdir -p bin
	@CGO_ENABLED=0 go build -trimpath -o $@ ./internal/tools/$*

run: build ## build and start the server; ARGS="--listen :9443" and the like
	@exec bin/parley $(ARGS)

test: need-root deps ## unit, scenario and browser tests; each suite ends with "N passed, M failed", what failed is told again at the end
	@failed=; export FAILED=$$(mktemp); trap 'rm -f "$$FAILED"' EXIT; for suite in test-unit test-scenario test-web test-browser; do \
		told=$$(wc -c <"$$FAILED"); \
		$(MAKE) --no-print-directory $$suite || { failed="$$failed $$suite"; [ "$$(wc -c <"$$FAILED")" -gt "$$told" ] || echo "$$suite: outside its tests" >>"$$FAILED"; }; \
	done; if [ -n "$$failed" ]; then echo "failed:$$failed"; cat "$$FAILED"; exit 1; fi

test-unit:
	@$(PASSED) -suite unit -- -skip '^TestScenario' $(PKG)

# Better told at once than after half an hour.
need-root:
	@[ "$$(id -u)" -eq 0 ] || { echo "make test needs root: the browsers get a network namespace. Without: make test-unit test-scenario test-web" >&2; exit 1; }

# Whole-node tests: every test whose name begins with TestScenario. Some measure, so packages do not compete for this machine.
test-scenario:
	@$(PASSED) -suite scenario -- -p 1 -run '^TestScenario' $(PKG)

# TypeScript unit tests, by Node's own runner.
test-web: deps-web
	@failed=; for d in $(filter-out web/e2e,$(WEB)); do \
		echo "$$d"; \
		(cd $$d && NODE_OPTIONS="--test-reporter=$(CURDIR)/web/e2e/reporter.mjs --test-reporter-destination=stdout" \
			npm test --silent </dev/null) || failed="$$failed $$d"; \
	done; [ -z "$$failed" ]

test-browser: deps build bin/board
	@cd web/e2e && npm test --silent </dev/null

e2e: test-browser ## only the browser tests

e2e-network: deps build bin/link ## real browsers whose network changes (some minutes)
	@cd web/e2e && NODE_TLS_REJECT_UNAUTHORIZED=0 NODE_NO_WARNINGS=1 node run.mjs network/*.test.mjs </dev/null

soak: build ## rooms full of people for SOAK (10m), others coming and going, and then nothing may be left of them
	@go run ./internal/tools/soak -binary bin/parley -duration $(SOAK)

kill: ## kill -9 the server ROUNDS (20) times while sessions write: nothing that it acknowledged may be lost
	@KILL_ROUNDS=$(ROUNDS) go test ./internal/host -run '^TestScenarioKilled$$' -count=1 -v

check: deps-web ## formatting, vet, staticcheck, generated files up to date
	@out=$$($(GOFUMPT) -l $(GO_FILES)); if [ -n "$$out" ]; then echo "not formatted (gofumpt -w):"; echo "$$out"; exit 1; fi
	@go vet ./...
	@$(STATICCHECK) ./...
	@go run ./internal/tools/wiregen -check
	@go run ./internal/tools/webbuild -check
	@for d in $(filter-out web/e2e,$(WEB)); do (cd $$d && npm run check --silent </dev/null); done

race: deps-race ## the Go tests under the race detector
	@CGO_ENABLED=1 $(PASSED) -suite race -- -race $(PKG)

fuzz: ## every fuzz target for FUZZTIME (10s)
	@for p in $$(go list $(PKG)); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done

# sfubench, which loads servers side by side, is no part of this repository: this is where its source is.
SFUBENCH_SOURCE ?= ../shared/bench

bench: sfubench bench-state ## Parley, Janus and others under the same loads, as in bench/README.md; and bench-state
	@scripts/apt-install janus
	@SFUBENCH=bin/bench/sfubench BENCHTAB=bin/bench/benchtab PIONSFU=bin/bench/pionsfu bench/bench.sh

bench-state: build ## shared state: deliveries, writes, memory of idle sessions, start (some minutes)
	@CGO_ENABLED=0 go build -o bin/bench/statebench ./internal/tools/statebench
	@STATEBENCH=bin/bench/statebench bench/state.sh

sfubench:
	@bench/tools $(SFUBENCH_SOURCE) bin/bench

bench-turn: build sfubench ## Parley's TURN server, coturn and pion/turn under the same loads
	@scripts/apt-install coturn
	@TURNBENCH=bin/bench/turnbench PIONTURN=bin/bench/pionturn bench/turn.sh

bench-go: ## Go benchmarks with allocations
	@go test -run '^$$' -bench . -benchmem $(PKG) | grep -E '^(Benchmark|pkg:|FAIL|---|panic)'

gen: deps-web ## write generated files: TypeScript types, protocol tables, web assets
	@go run ./internal/tools/wiregen
	@go run ./internal/tools/webbuild
