# All commands for work with this repository. `make help` lists them.

# A Go that can build this module. deploy/setup/go finds it, or fetches it where the system's is too old. It runs once, when needed.
ifeq ($(origin GO),undefined)
GO = $(eval GO := $(or $(shell deploy/setup/go),$(error no Go to build with)))$(GO)
endif
PREFIX   ?= /usr/local
DESTDIR  ?=
FUZZTIME ?= 30s
# More flags for go test, such as TESTFLAGS=-count=1 or TESTFLAGS='-run Resync -v'.
TESTFLAGS  ?=
BENCHFLAGS ?= -benchtime=1s
# What bench-compare compares.
BENCH         ?= Stages/^(steer|ring|decode|apply|whole)$$
BENCHPACKAGES ?= ./userspace/bench
COUNT         ?= 6

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# The version that the next tag will have: packages between tags are a pre-release of it.
NEXT    ?= 0.2.0
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.DEFAULT_GOAL := build
.PHONY: help build test demo generate generate-check reference fuzz chaos bench bench-go bench-compare lint notices deb rpm install uninstall clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile

build: ## build ./binrepd, a static binary; needs Go only
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o binrepd ./cmd/binrepd

# Packages whose tests use the kernel run one at a time: they measure and load the host, and would disturb each other. The
# other packages run in parallel. Only the race detector needs cgo, and so gcc. With atexit_sleep_ms=0 it doesn't sleep for
# a second at the end of each process.
KERNELTEST = {{$$p := .ImportPath}}{{range .TestImports}}{{if eq . "binrepd/bpf/bpftest"}}{{$$p}} {{end}}{{end}}{{range .XTestImports}}{{if eq . "binrepd/bpf/bpftest"}}{{$$p}} {{end}}{{end}}
# Tests run `go` themselves: they find this one first.
RACETEST   = PATH="$(dir $(GO)):$$PATH" CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 $(GO) test -race -timeout 15m
test: ## go vet and all tests with the race detector; as root the kernel tests, too
	@command -v gcc >/dev/null || deploy/setup/packages gcc libc6-dev # for the race detector
	$(GO) vet ./...
	@set -e; kernel=$$($(GO) list -f '$(KERNELTEST)' ./... | tr ' ' '\n' | sort -u); \
	others=$$($(GO) list ./... | grep -vxF "$$kernel"); set -x; \
	$(RACETEST) $(TESTFLAGS) $$others; \
	$(RACETEST) -p 1 $(TESTFLAGS) $$kernel

demo: build ## show the appliance at work: as root over XDP in namespaces, else on loopback; KEEP=1 leaves it running
	$(GO) run ./deploy/demo $(if $(KEEP),-keep)

# The compiler's version affects the result, so exactly these packages are required.
generate: ## rebuild the BPF object and its Go bindings (bpf/gen.go)
	@command -v clang-16 >/dev/null && command -v llvm-strip-16 >/dev/null && \
		[ -e /usr/include/bpf/bpf_helpers.h ] && [ -e /usr/include/linux/bpf.h ] || { \
		echo "make generate needs Debian's packages: apt-get install clang-16 llvm-16 libbpf-dev linux-libc-dev" >&2; exit 1; }
	$(GO) generate ./bpf/...

generate-check: generate ## fail if what is committed isn't what generate makes
	git diff --exit-code -- bpf
	@untracked=$$(git ls-files --others --exclude-standard -- bpf); \
		[ -z "$$untracked" ] || { echo "generated but not committed: $$untracked" >&2; exit 1; }

reference: ## rebuild manual page, completions and /etc/default/binrepd from the flags (deploy/reference)
	$(GO) test ./cmd/binrepd -run '^TestReferenceIsFresh$$' -count=1 -update

fuzz: ## run every fuzz target for FUZZTIME (30s)
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "== $$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

# Each test prints one line with what it tried and what was lost; RELIABILITY.md has the results of a run. make test runs
# a short form of each. CHAOS selects tests, as in make chaos CHAOS='Killed|Flood' TESTFLAGS=-count=3.
CHAOS ?= Killed|SyncAtFullRate|OverflowWhileAway|Restart|BadNetwork|Flood|SourceRate|Flapping|TinyRing|TwoOnOneInterface|MemoryGroup|FullTable|FullDisk|DamagedState|StuckSurroundings|Soak|SyncToOpenSIPS|FramesMutated|DamageIsFound|TheStandbyHasTheStateOfTheEnd|HashFlood|EachLinkCarries|TableOfACluster|NoFalseAlarm|AWeekOfFaults|Generation2InDatagrams|TooManyConnections
chaos: ## as root: the long form of tests of faults, such as 100 kills under load; a quarter of an hour
	BINREPD_CHAOS=1 BINREPD_REQUIRE_KERNEL=1 $(GO) test -p 1 -count=1 -timeout 60m -v -run '^Test($(CHAOS))' $(TESTFLAGS) ./cmd/binrepd ./userspace/appliance ./bpf ./userspace/out/egress ./userspace/out/resync ./userspace/out/savefile ./userspace/state/engine ./userspace/state/store ./userspace/cluster/donor ./userspace/cluster/member ./userspace/in/stream ./userspace/watch/restarts

bench: build ## the table of BENCHMARKS.md: as root ./binrepd bench BENCHARGS (--large, --stages ...)
	./binrepd bench $(BENCHARGS)

bench-go: ## run every Go benchmark; BENCHFLAGS='-benchtime=1x' for a smoke test
	$(GO) test -run '^$$' -bench . -benchmem -p 1 $(BENCHFLAGS) ./...

# The two revisions take turns, so that a disturbance affects both.
bench-compare: ## compare the benchmarks BENCH of revision BASE and of the working tree, COUNT runs each
	@[ -n "$(BASE)" ] || { echo "make bench-compare: say with which revision: BASE=main" >&2; exit 2; }
	@set -e; tmp=$$(mktemp -d); trap 'git worktree remove --force "$$tmp/base"; rm -rf "$$tmp"' EXIT; \
	git worktree add --quiet --detach "$$tmp/base" $(BASE); \
	for i in $$(seq $(COUNT)); do \
		echo "run $$i of $(COUNT)" >&2; \
		(cd "$$tmp/base" && $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 $(BENCHFLAGS) $(BENCHPACKAGES)) >>"$$tmp/base.txt"; \
		$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 $(BENCHFLAGS) $(BENCHPACKAGES) >>"$$tmp/new.txt"; \
	done; \
	$(GO) tool benchstat '$(BASE)'="$$tmp/base.txt" 'working tree'="$$tmp/new.txt"

notices: ## print the licences of everything that is linked into binrepd; packages and images have them
	@$(GO) run ./deploy/notices ./cmd/binrepd

lint: ## go vet, gofmt, staticcheck (pinned in go.mod)
	$(GO) vet ./...
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not as gofmt writes it: $$unformatted" >&2; exit 1; }
	$(GO) tool staticcheck ./...

# One package for each architecture, with the same bytes from the same commit. deploy/deb/version makes a version of it
# that sorts.
DIST       ?= dist
ARCHS      ?= amd64 arm64
PKGVERSION ?= $(shell deploy/deb/version '$(VERSION)' '$(NEXT)')
MAINTAINER ?= The maintainers of binrepd <binrepd@localhost.invalid>
NFPM        = $(GO) tool -modfile=deploy/deb/nfpm.mod nfpm
deb rpm: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
deb: PACKAGER = deb
deb: ## build Debian packages into dist/, for ARCHS (amd64 arm64)
rpm: PACKAGER = rpm
rpm: ## build RPM packages into dist/, for ARCHS (amd64 arm64)
deb rpm:
	@set -e; export PKGVERSION='$(PKGVERSION)' MAINTAINER='$(MAINTAINER)' ARCH STAGE; \
	for ARCH in $(ARCHS); do \
		STAGE='$(DIST)'/stage-$$ARCH; \
		rm -rf "$$STAGE"; mkdir -p "$$STAGE"; \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$ARCH $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o "$$STAGE"/binrepd ./cmd/binrepd; \
		gzip -9nc deploy/reference/binrepd.8 >"$$STAGE"/binrepd.8.gz; \
		$(GO) run ./deploy/notices -arch $$ARCH ./cmd/binrepd >"$$STAGE"/THIRD-PARTY-NOTICES; \
		deploy/deb/changelog "$$PKGVERSION" "$$MAINTAINER" "$$SOURCE_DATE_EPOCH" | gzip -9nc >"$$STAGE"/changelog.gz; \
		$(NFPM) package --config deploy/deb/nfpm.yaml --packager $(PACKAGER) --target '$(DIST)'; \
		rm -r "$$STAGE"; \
	done

install: build ## install binary, manual page and completions into DESTDIR PREFIX
	install -D -m 0755 binrepd "$(DESTDIR)$(PREFIX)/bin/binrepd"
	install -D -m 0644 deploy/reference/binrepd.8 "$(DESTDIR)$(PREFIX)/share/man/man8/binrepd.8"
	install -D -m 0644 deploy/reference/binrepd.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/binrepd"
	install -D -m 0644 deploy/reference/_binrepd "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_binrepd"

uninstall: ## remove what install made from DESTDIR PREFIX, with the folders that are empty then
	cd "$(DESTDIR)$(PREFIX)" 2>/dev/null || exit 0; \
	rm -f bin/binrepd share/man/man8/binrepd.8 share/bash-completion/completions/binrepd share/zsh/site-functions/_binrepd; \
	rmdir -p --ignore-fail-on-non-empty bin share/man/man8 share/bash-completion/completions share/zsh/site-functions 2>/dev/null || true

clean: ## remove what build made
	rm -rf binrepd dist
