# make lists what there is to do. Only Go is needed; nothing here asks the
# network but the first download of the modules.

GO       ?= go
BIN      := bin/vedette
FUZZTIME ?= 60s
ROUNDS   ?= 100
export CGO_ENABLED ?= 0

# the data folder of `make run`, made anew each time
SAMPLE := data/sample

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/vedette, a static binary
	@mkdir -p bin
	$(GO) build -trimpath -o $(BIN) ./cmd/vedette

.PHONY: run
run: sample ## print the join of the sample world, then show the demo on http://127.0.0.1:8080
	$(BIN) demo

.PHONY: sample
sample: build ## import the sample world and print the join for one exploited CVE
	@rm -rf $(SAMPLE)
	$(BIN) --data $(SAMPLE) constituent apply sample/constituency.yaml
	@echo
	$(BIN) --data $(SAMPLE) import sample/inventory.csv sample/scan.xml sample/cve.jsonl sample/kev.json \
		sample/epss-2026-11-09.csv sample/epss-2026-11-10.csv sample/debian.json sample/exploited-by.csv
	@echo
	$(BIN) --data $(SAMPLE) cve show CVE-2026-90417
	@echo
	@echo "Go on with: $(BIN) --data $(SAMPLE) finding list"

.PHONY: assets
assets: ## fetch what the pages embed (htmx) with npm; without it every page works plain
	npm ci --ignore-scripts --no-audit --no-fund
	cp node_modules/htmx.org/dist/htmx.min.js face/web/static/

.PHONY: generate
generate: ## write the Go of the templates anew
	$(GO) tool templ generate -path face/web

.PHONY: test
test: ## vet and test everything: offline, on the embedded store
	$(GO) vet ./...
	$(GO) test $(TESTFLAGS) ./...

.PHONY: check
check: ## what a change must pass: format, vet, race, shuffle, staticcheck, short fuzzing
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w $$unformatted"; exit 1; }
	$(GO) vet ./...
	@if command -v gcc >/dev/null || command -v clang >/dev/null; then \
		echo "go test -race -shuffle=on ./..."; CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 60m $(TESTFLAGS) ./...; \
	else echo "no C compiler: without -race"; $(GO) test -shuffle=on -timeout 60m $(TESTFLAGS) ./...; fi
	@if command -v staticcheck >/dev/null; then staticcheck ./...; else echo "staticcheck is not installed: left out"; fi
	$(MAKE) fuzz FUZZTIME=5s

.PHONY: bench
bench: ## measure ingest and matching at the size of the estate
	$(GO) run ./bench

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (60s)
	@set -e; for pkg in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
		targets=$$($(GO) test -list '^Fuzz' $$pkg); \
		for target in $$(echo "$$targets" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: browser
browser: assets ## walk through the pages in Chromium, check them with axe, try injections (needs Chromium and npm)
	VEDETTE_TEST_BROWSER="$${VEDETTE_TEST_BROWSER:-$$(command -v chromium || command -v chromium-browser || command -v google-chrome)}" \
		$(GO) test -tags long -count=1 -v -timeout 20m ./browser

.PHONY: daemons
daemons: ## survey 20 real daemons on loopback beside nmap -sV (installs Debian packages; needs root)
	@daemons/install.sh && $(GO) run ./daemons || { r=$$?; test $$r = 3; }

.PHONY: soak
soak: ## kill -9 during an import ROUNDS (100) times, and fail every store call, on both engines where VEDETTE_TEST_PG is set
	VEDETTE_SOAK_ROUNDS=$(ROUNDS) $(GO) test -count=1 -timeout 8h -v -run 'Kill|Faults' ./app ./store/...
