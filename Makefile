# Everything a contributor runs. `make` lists the targets; `make test` is the one
# that has to pass, and sets up what it needs.

GO ?= go
# Recipes stop at the first failing command, in pipes too.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Tools are built from source at pinned versions into .tools/bin. The version is
# part of the file's name, so that a new pin is a new file.
TOOLS := $(CURDIR)/.tools/bin
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.8.0
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOVULNCHECK := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)
WITH_POSTGRES := $(TOOLS)/withpostgres

PACKAGES ?= ./...
TEST_TIMEOUT ?= 20m
TEST_FLAGS ?=
BENCH ?= .
BENCH_TIMEOUT ?= 60m
BENCH_FLAGS ?=

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
VERSION_FLAG := -X github.com/signalbox/signalbox/cmd.version=$(VERSION)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: generate vet lint unit ## Run everything: generate, vet, lint, and all tests with the race detector

# The tests in a browser come last, one package at a time: they take both processors.
# How fast a large inbox is can only be told without the race detector.
.PHONY: unit
unit: $(WITH_POSTGRES) browser ## Run all tests with the race detector, on SQLite and on a private PostgreSQL
	$(WITH_POSTGRES) -- $(GO) test -race -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) $$($(GO) list $(PACKAGES) | grep -v '/e2e/page$$\|/e2e/bell$$')
	$(if $(filter ./...,$(PACKAGES)),$(GO) test -race -p 1 -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) ./e2e/page ./e2e/bell)
	$(if $(filter ./...,$(PACKAGES)),$(GO) test -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) -run '^TestBigInbox$$' ./e2e/page)

# The tests of the web page need a browser: the one named by CHROMIUM, or one that is
# installed. Where there is none, root has Debian's installed.
.PHONY: browser
browser:
	@[ -n "$${CHROMIUM:-}" ] || command -v chromium chromium-browser google-chrome >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || \
			{ echo "no browser: install Chromium, or name one with CHROMIUM=/path/to/it" >&2; exit 1; }; \
		echo "installing Chromium (only the first time)"; \
		apt-get install -y --no-install-recommends chromium || { apt-get update && apt-get install -y --no-install-recommends chromium; }; }

.PHONY: screenshots
screenshots: browser ## Make the pictures of the web page for the documentation
	$(GO) test ./e2e/page ./e2e/bell -p 1 -count=1 -run '^TestScreenshots$$' -args -screenshots $(CURDIR)/docs/images

.PHONY: bench
bench: $(WITH_POSTGRES) ## Run the benchmarks, on SQLite and on a private PostgreSQL
	$(WITH_POSTGRES) -- $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -timeout $(BENCH_TIMEOUT) $(BENCH_FLAGS) $(PACKAGES)

.PHONY: e2e-backstage
e2e-backstage: $(WITH_POSTGRES) ## Run the tests with a real Backstage backend (needs Node.js 20)
	GO=$(GO) $(WITH_POSTGRES) -- e2e/backstage/run

.PHONY: generate
generate: ## Run the generators
	$(GO) generate ./...

.PHONY: vet
vet: ## Run go vet
	$(GO) vet ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run golangci-lint
	$(GOLANGCI_LINT) run

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code with gofumpt and sort its imports
	$(GOLANGCI_LINT) fmt

.PHONY: vuln
vuln: $(GOVULNCHECK) ## Look up known vulnerabilities in the code that is used (needs the network)
	$(GOVULNCHECK) ./...

.PHONY: build
build: ## Build ./signalbox
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w $(VERSION_FLAG)' -o signalbox ./cmd/signalbox

.PHONY: run
run: ## Run the router with its defaults (ARGS="serve --help" for others)
	$(GO) run -ldflags '$(VERSION_FLAG)' ./cmd/signalbox $(or $(ARGS),serve)

.PHONY: clean
clean: ## Remove what was built, tools included
	rm -rf signalbox .tools e2e/backstage/node_modules e2e/backstage/.build

# Building the linter takes a few minutes, once.
$(GOLANGCI_LINT):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION))

$(GOVULNCHECK):
	$(call install,golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION))

# Not `go run`: it would hide the exit code and not pass signals on. The compiler's
# cache decides what there is to do.
.PHONY: $(WITH_POSTGRES)
$(WITH_POSTGRES):
	@mkdir -p $(TOOLS)
	@$(GO) build -o $@ ./storage/storagetest/withpostgres

# install builds a tool in a directory of its own and moves it into place, so that
# an interrupted build leaves no file behind that looks complete.
define install
@echo "building $(1) (only the first time)"
@mkdir -p $(TOOLS) && dir="$$(mktemp -d $(TOOLS)/build.XXXXXX)" && trap 'rm -rf "$$dir"' EXIT && \
	GOBIN="$$dir" GOFLAGS= $(GO) install $(1) && mv "$$dir"/* $@
endef
