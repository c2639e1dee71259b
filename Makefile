# Shortcuts. Nothing here is needed: each line is a plain go command or a script of .ci.
include .ci/tools
FUZZTIME ?= 5s
BENCH    ?= .
FAULTS   ?= 56
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)

.PHONY: help build test pages dashboards check-dashboards race vet fmt lint fuzz bench peers e2e soak chaos upgrade bench-cluster pictures image compose check-deploy ci clean

help:
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' Makefile

build: ## the program, in dist/
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o dist/tocsin ./cmd/tocsin

test: ## all tests; TOCSIN_DATA=folder brings the data tests in
	go run ./cmd/test

pages: ## the status page in a headless browser; TOCSIN_PICTURES=folder writes pictures of it
	.ci/pages

race: ## all tests under the race detector, without the heavy ones
	go run ./cmd/test -race -short

vet: ## go vet
	go vet ./...

fmt: ## format every Go file
	go run $(GOFUMPT) -w .

lint: vet ## what CI asks of style: vet, staticcheck, gofumpt
	go run $(STATICCHECK) ./...
	@out=$$(go run $(GOFUMPT) -l .) && { test -z "$$out" || { echo "run make fmt on:"; echo "$$out"; exit 1; }; }

fuzz: ## every fuzz target for FUZZTIME each
	FUZZTIME=$(FUZZTIME) .ci/fuzz

bench: ## benchmarks whose name matches BENCH; TOCSIN_DATA=folder brings the data ones in
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...
	@if [ -n "$$TOCSIN_DATA" ] && /usr/bin/python3 -c 'import feedparser' 2>/dev/null; then /usr/bin/python3 fetcher/testdata/feedparser_bench.py; fi

peers: ## against aiosmtpd, dkimpy, openssl and Alertmanager of Debian
	.ci/peers

e2e: ## the program against its simulated newsroom
	go run ./cmd/tocsin demo --for 45s

soak: ## 100,000 deliveries, 30 kills, receivers that fail three times in ten: about an hour on two cores
	TOCSIN_SOAK=1 go test ./cmd/tocsin -run '^TestChaos$$' -v -timeout 3h

chaos: ## three NATS servers and two processes of each role, broken FAULTS times: about half an hour; TOCSIN_SEED repeats a run
	go vet -tags chaos ./cmd/tocsin
	TOCSIN_CHAOS=$(FAULTS) go test -tags chaos ./cmd/tocsin -count=1 -v -run '^TestClusterChaos$$' -timeout 90m

bench-cluster: ## TOCSIN_ITEMS items (20,000) from feeds to a webhook: one process, then roles with one matcher and with two
	go test ./cmd/tocsin -run '^$$' -bench '^BenchmarkLoad$$' -benchtime 1x -timeout 2h

upgrade: ## the commit before, TOCSIN_PREVIOUS or HEAD~1, replaced role by role on a cluster under load
	TOCSIN_PREVIOUS=$(TOCSIN_PREVIOUS) go test -tags chaos ./cmd/tocsin -count=1 -v -run '^TestRollingUpgrade$$' -timeout 15m

pictures: ## the pictures in README.md; needs Chromium and fonts (Debian: chromium fonts-noto-core fonts-noto-cjk)
	go run ./cmd/pictures

dashboards: ## the Grafana dashboards, from their program
	go run ./deploy/grafana/gen deploy/grafana/dashboards

check-dashboards: ## every panel and rule against a real Prometheus (Debian: apt-get install prometheus), and provoked faults that must fire their alerts
	go vet -tags prometheus ./cmd/tocsin
	go test -tags prometheus ./cmd/tocsin -count=1 -v -run '^TestProm(etheus|tool)'

compose: ## docker-compose.yml in a container engine with the newsroom sent through it; as processes where there is no engine
	.ci/compose

check-deploy: ## Kubernetes, systemd and the systems of a release, each by its own tool
	.ci/deploy

image: ## the container image tocsin:dev
	docker build -f deploy/Dockerfile --build-arg VERSION=$(VERSION) -t tocsin:dev .

ci: ## everything that must hold before a change goes in
	.ci/run

clean: ## remove what the targets made
	rm -rf dist
	find . -name '*.test' -o -name '*.prof' | xargs rm -f
