# Edgelog. `make help` lists the targets.
GO       ?= go
VERSION  ?= $(shell cat VERSION 2>/dev/null || echo dev)
LDFLAGS   = -s -w -X github.com/edgelog/edgelog/internal/version.Version=$(VERSION)
PROGRAMS  = $(notdir $(wildcard cmd/*))
CGO       = edge-hub
STATIC    = -linkmode external -extldflags -static
TAGS      = netgo,osusergo,sqlite_omit_load_extension
ROUNDS   ?= 1000
SEEDS    ?= 20000
SETUP     = deploy/bootstrap/setup.sh
export CGO_ENABLED ?= 1
# A failing test behind a filter must fail the target.
SHELL      = /bin/bash
.SHELLFLAGS = -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

# --- build -----------------------------------------------------------------------------------------------------
.PHONY: build build-arm64 build-armv7 check-glibc
build: ## every program under cmd/ into bin/
	@$(SETUP) build
	@mkdir -p bin
	@for p in $(PROGRAMS); do \
		case " $(CGO) " in *" $$p "*) c=1 ;; *) c=0 ;; esac; \
		CGO_ENABLED=$$c $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/$$p ./cmd/$$p || exit 1; done

define cross # arch, goarm, cc
	@$(SETUP) arm
	@mkdir -p dist/$(1)
	@for p in $(PROGRAMS); do \
		case " $(CGO) " in *" $$p "*) c=1; l='$(LDFLAGS) $(STATIC)' ;; *) c=0; l='$(LDFLAGS)' ;; esac; \
		GOOS=linux GOARCH=$(2) GOARM=$(3) CC=$(4) CGO_ENABLED=$$c $(GO) build -trimpath -tags '$(TAGS)' -ldflags "$$l" \
			-o dist/$(1)/$$p ./cmd/$$p 2>dist/$(1)/$$p.log || { cat dist/$(1)/$$p.log; exit 1; }; rm -f dist/$(1)/$$p.log; done
endef
build-arm64: ## static arm64 programs into dist/arm64/
	$(call cross,arm64,arm64,,aarch64-linux-gnu-gcc)
build-armv7: ## static armv7 programs into dist/armv7/
	$(call cross,armv7,arm,7,arm-linux-gnueabihf-gcc)
check-glibc: ## no program may need a glibc symbol newer than 2.28
	@deploy/bootstrap/check-glibc.sh dist/arm64/* $(wildcard dist/armv7/*)

# --- run -------------------------------------------------------------------------------------------------------
.PHONY: demo
demo: build ## the main job on a laptop: sensors, log, broker, hub; link cut, kill, drain (DEMO_SECONDS=20 stops by itself)
	@$(GO) run ./internal/demo

# --- test ------------------------------------------------------------------------------------------------------
.PHONY: test-systemd
test-systemd: build standin ## the shipped units on a real Debian systemd in a container (root)
	@deploy/systemd/test.sh bin
.PHONY: test test-quick lint unit sim-short race e2e crash-short arm-smoke crash storm
test: ## everything that CI runs, with what it needs installed
	@missing=0; for set in test mcu stores updates arm page; do $(SETUP) $$set || missing=1; done; \
	$(MAKE) --no-print-directory lint unit race crash-short sim-short && \
	if [ $$missing = 0 ]; then $(MAKE) --no-print-directory -j2 --output-sync=target $(REAL) && DEMO_SECONDS=20 $(MAKE) --no-print-directory demo; fi && \
	if [ $$missing = 1 ]; then echo 'FAIL: tests against real parts did not run; install the packages named above'; exit 1; fi
# Tests against what we did not write. Two at a time: the first waits for most of its time, on clocks that it cannot hurry.
REAL = e2e test-nodes test-npu test-updates test-stores test-page arm-smoke

test-quick: ## unit tests without the long ones, for daily work (< 60 s warm)
	@$(GO) vet ./... && $(GO) test $(QUICK)

lint: ## gofmt, vet, staticcheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt: $$out"; exit 1; }
	@$(GO) vet ./...
	@$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

# The packages that need neither servers, firmware nor the NPU's stand-in; the long ones have targets of their own.
QUICK = $(shell $(GO) list ./... | grep -vE '/internal/e2e|/internal/sim$$|/internal/sim/explore|/mcu(/|$$)|/ascend(/|$$)|/buffer/buffertest$$')
unit: ## unit tests
	@$(GO) test -count=1 -p 4 $(QUICK) # many wait on a clock, few on a processor
sim-short: ## the simulation of delivery and the exploration of its machines, short form
	@$(GO) test -count=1 ./internal/sim ./internal/sim/explore
race: ## the packages with goroutines, under the race detector
	@$(GO) test -count=1 -p 4 -race -skip '$(NORACE)' $(RACE)
# Of one goroutine, or alone elsewhere: long under the detector, and nothing for it.
NORACE = WhileMoving$$|WhileEnrolling$$|TestReplayFromAnyCheckpoint|TestAgainstTheDefinition|TestManyGaps$$
# Installs and rollouts have one goroutine; what has more of updates runs in test-updates.
RACE = $(shell $(GO) list ./agent/... ./buffer ./hub/... ./internal/mqttclient | grep -vE '/agent/update|/hub/fleet')
e2e: firmware ## real processes, a real Mosquitto over TLS: storms in their short form
	@$(GO) test -count=1 -v -timeout 20m ./internal/e2e | grep -vE '^=== (RUN|PAUSE|CONT)'
crash-short: ## the crash matrix of the log, short form
	@$(GO) test -count=1 -v ./buffer/buffertest | grep -vE "^=== "
	@$(GO) test -count=1 ./buffer/buffertest -run "TestCrash|TestErrors|TestRandom|TestLying" -v -args -first 10 -seeds 3 -states 8000 -subsets 20 | grep -vE "^=== "
arm-smoke: build-arm64 check-glibc ## arm64 programs and golden formats under qemu-user
	@deploy/bootstrap/arm-smoke.sh
crash: ## the crash matrix, long form: STATES=1000000 distinct states, from seed FIRST=1
	@$(GO) test -count=1 -v -timeout 0 ./buffer/buffertest -run 'TestCrash$$' -args -states $(or $(STATES),1000000) -subsets 40 -first $(or $(FIRST),1)
storm: ## the end-to-end storms, of programs and on the wire, long form (ROUNDS=1000)
	@$(GO) test -count=1 -v -timeout 0 ./internal/e2e -run 'TestStorm|TestWireStorm' -rounds $(ROUNDS) -wire-rounds $(ROUNDS)

# --- bench -----------------------------------------------------------------------------------------------------
.PHONY: bench-e2e
bench-e2e: build ## the whole path through a real Mosquitto over TLS: throughput, CPU, bytes, latency, memory
	@$(SETUP) test
	@$(GO) test -count=1 -v -timeout 30m ./internal/e2e -run TestBench -bench-e2e | grep -E '^(bench|FAIL|---|panic|\s+\S+_test.go)'

# --- bench of the log ------------------------------------------------------------------------------------------
HOST_SECONDS ?= 120
GIB          ?= 10
BENCH         = .
DATA          = scratch/bench-data
.PHONY: bench-buffer bench-host crash-kill
bench-buffer: $(DATA)/seattle-weather-hourly-normals.csv $(DATA)/host-metrics.tsv ## every figure of the log (BENCH=regexp, GIB=10; needs npm and 13 GB)
	@cd internal/bench/xor && $(GO) build -o ../../../$(DATA)/xor .
	@$(GO) build -o $(DATA)/bufferbench ./internal/bench/bufferbench
	@$(DATA)/bufferbench -only '$(BENCH)' -gib $(GIB) -csv $(DATA)/seattle-weather-hourly-normals.csv -host $(DATA)/host-metrics.tsv -xor $(DATA)/xor
bench-host: ## record this host's metrics anew for bench-buffer (HOST_SECONDS=3600)
	@rm -f $(DATA)/host-metrics.tsv && $(MAKE) --no-print-directory $(DATA)/host-metrics.tsv
$(DATA)/host-metrics.tsv:
	@mkdir -p $(DATA) && echo 'recording host metrics for $(HOST_SECONDS) s' >&2
	@$(GO) run ./internal/bench/hostrec -seconds $(HOST_SECONDS) -o $@
$(DATA)/seattle-weather-hourly-normals.csv:
	@mkdir -p $(DATA) && cd $(DATA) && npm pack --silent vega-datasets@3.2.1 >/dev/null
	@tar xzf $(DATA)/vega-datasets-3.2.1.tgz -C $(DATA) --strip-components=2 package/data/$(notdir $@) && touch $@
crash-kill: ## a real writer of the log killed again and again (KILLS=1000)
	@$(GO) test -count=1 -v -timeout 0 ./buffer/buffertest -run TestKill -args -kills $(or $(KILLS),1000)

# --- simulation ------------------------------------------------------------------------------------------------
.PHONY: sim
sim: ## boxes, broker and hubs simulated on virtual time (SEEDS=20000 SEED=1); docs/simulation.md
	@$(GO) test -count=1 -v -timeout 0 ./internal/sim -run TestSeeds -args -seeds $(SEEDS) -seed $(or $(SEED),1)

# --- NPU -------------------------------------------------------------------------------------------------------
SOAK ?= 1h
PACE ?= 100ms
.PHONY: test-npu bench-npu soak-npu standin
test-npu: ## the NPU parts on stand-in libraries, here and as arm64 under qemu-user
	@$(SETUP) build && $(SETUP) arm
	@CGO_ENABLED=0 $(GO) test -count=1 -timeout 10m ./ascend/...
	@deploy/bootstrap/npu-arm.sh
	@$(MAKE) --no-print-directory soak-npu SOAK=15s
bench-npu: build ## figures of the NPU worker on the stand-in: calls, pipeline (needs gcc)
	@CGO_ENABLED=1 $(GO) run ./internal/bench/npubench
soak-npu: build ## an hour of simulated load; fails if memory, handles or threads grow (SOAK=1h PACE=100ms)
	@CGO_ENABLED=1 $(GO) run ./internal/bench/npubench -soak $(SOAK) -pace $(PACE)
standin: ## the stand-in libraries, two small models and three pictures into bin/standin/ (needs gcc)
	@CGO_ENABLED=0 $(GO) run ./internal/bench/npubench -build bin/standin && ls bin/standin

# --- sensors ---------------------------------------------------------------------------------------------------
.PHONY: bench-drivers
bench-drivers: build ## sweeps, Modbus and collecting against what the wire and the box allow (BENCH=regexp; root for FUSE)
	@$(SETUP) test
	@mkdir -p scratch && $(GO) build -o scratch/driversbench ./internal/bench/driversbench
	@cd scratch && ./driversbench -agent ../bin/edge-agent -only '$(BENCH)'

# --- nodes -----------------------------------------------------------------------------------------------------
.PHONY: test-nodes
test-nodes: firmware ## firmware and nodes: the real images on simulated chips; avrdude, stm32flash, stcgal, smpclient, mbpoll
	@$(MAKE) --no-print-directory -C firmware test
	@$(GO) test -count=1 -timeout 10m ./mcu/...
CUTS ?= 200
.PHONY: node-storm flash-cuts bench-mcu
node-storm: firmware ## nodes, agent and hub through 200 faults (NODE_FAULTS=200, NODE_CHIPS=avr,stc89,stc89); virtual storms of 2,000 seeds
	@$(GO) test -count=1 -v -timeout 0 ./internal/e2e -run 'TestNodes$$' -args -node-faults $(or $(NODE_FAULTS),200) -node-chips $(or $(NODE_CHIPS),avr,stc89,stc89)
	@$(GO) test -count=1 -v -timeout 0 ./mcu -run 'TestStorm|TestImages' -args -seeds 2000 -image-faults 200
flash-cuts: ## the power cut at CUTS points of a flash by each protocol
	@$(SETUP) mcu
	@$(GO) test -count=1 -v -timeout 0 ./mcu/boot -run 'PowerCuts' -args -cuts $(CUTS) -avr-cuts $(CUTS) | grep -vE '^=== '
bench-mcu: firmware ## events per second through a line, beside what the line carries, and ms until they are durable
	@$(GO) test -count=1 -v -timeout 30m ./mcu -run TestBench -args -bench-mcu | grep -E '^(bench|FAIL|---|panic|\s+\S+_test.go)'

# --- exploration -----------------------------------------------------------------------------------------------
.PHONY: explore
explore: ## every state of sender and receiver within small bounds (STATES=200000 or FOR=1h: runs of many faults); docs/simulation.md
	@$(GO) test -count=1 -v -timeout 0 ./internal/sim/explore -args -long $(if $(STATES),-states $(STATES)) $(if $(FOR),-for $(FOR))

# --- hub at scale ----------------------------------------------------------------------------------------------
BENCH_FOR ?= 60s
.PHONY: bench-hub
bench-hub: build ## a hub under 10 to 10,000 virtual agents through a real Mosquitto, and a day's backlog (BENCH_FOR=60s)
	@$(SETUP) test
	@for n in 10 100 1000 10000; do bin/edge-hub bench --devices $$n --for $(BENCH_FOR) || exit 1; done
	@bin/edge-hub bench --devices 100 --rate 2000 --every 1s --for $(BENCH_FOR)
	@bin/edge-hub bench --catch-up 24h --rate 100
COMPARE_RECORDS ?= 5000
TELEGRAF = v1.37.2
NATS     = v2.12.4
.PHONY: compare
compare: build ## one storm on Edgelog, Telegraf and NATS JetStream (not in CI; builds both; COMPARE_RECORDS=5000)
	@$(SETUP) test
	@GO='$(GO)' deploy/bootstrap/peers.sh scratch/peers $(TELEGRAF) $(NATS)
	@cd internal/bench/compare && $(GO) build -o ../../../scratch/peers/compare .
	@scratch/peers/compare -records $(COMPARE_RECORDS) -bin bin -tools scratch/peers -scratch scratch/compare

# --- firmware --------------------------------------------------------------------------------------------------
.PHONY: firmware firmware-test
firmware: ## C firmware of the nodes for every chip, with its sizes (docs/node.md)
	@$(SETUP) mcu
	@$(MAKE) --no-print-directory -C firmware
firmware-test: firmware ## unit tests of the firmware's core, and the real images on the chip simulators
	@$(MAKE) --no-print-directory -C firmware test
	@$(GO) test -count=1 ./mcu/sim/...

# --- stores: PostgreSQL and Kafka ------------------------------------------------------------------------------
.PHONY: test-stores storm-stores test-kafka-cluster bench-stores
test-stores: ## the hub's stores against PostgreSQL and Apache Kafka: conformance, kill -9, failover, full disk, migrate
	@$(SETUP) test && $(SETUP) stores
	@# Both mostly wait: for brokers to be given up, for leases to run out.
	@$(GO) test -count=1 -timeout 15m ./internal/e2e/stores & one=$$!; \
	$(GO) test -count=1 -timeout 15m ./internal/e2e -run 'TestStorm(Postgres|Kafka)|TestTwoHubs(Postgres|Kafka)' -stores -rounds 4; two=$$?; \
	wait $$one && exit $$two
storm-stores: ## agents, hubs, brokers and stores killed, with PostgreSQL, with Kafka, and without a hub (ROUNDS=100)
	@$(SETUP) test && $(SETUP) stores
	@$(GO) test -count=1 -v -timeout 0 ./internal/e2e -run 'TestStorm(Postgres|Kafka|Direct)' -stores -rounds $(if $(filter 1000,$(ROUNDS)),8,$(ROUNDS)) | grep -vE '^=== '
test-kafka-cluster: ## three Kafka brokers, replication 3: brokers, hubs and agents killed under load, consumers that are not ours count (ROUNDS=20 SEED=1)
	@$(SETUP) test && $(SETUP) stores
	@$(GO) test -count=1 -v -timeout 0 ./internal/e2e -run TestStormKafkaCluster -kafka-cluster -rounds $(if $(filter 1000,$(ROUNDS)),20,$(ROUNDS)) $(if $(SEED),-seed $(SEED)) | grep -vE '^=== '
	@$(GO) test -count=1 -v -timeout 0 ./internal/e2e/stores -run TestKafkaCluster -kafka-cluster -rounds $(if $(filter 1000,$(ROUNDS)),20,$(ROUNDS)) $(if $(SEED),-seed $(SEED)) | grep -vE '^=== '
bench-stores: ## rows a second into SQLite, PostgreSQL and Kafka, and Kafka's own perf test beside ours
	@$(SETUP) stores
	@$(GO) test -count=1 -v -timeout 30m ./internal/e2e/stores -run TestBench -bench-stores | grep -E '^(bench|FAIL|---|panic|\s+\S+_test.go)'

# --- updates ---------------------------------------------------------------------------------------------------
.PHONY: bench-update test-updates
test-updates: firmware ## updates with real programs: 200 boxes through a real Mosquitto, kills, a whole box, mirrors, access; races of client and server
	@$(SETUP) test
	@$(SETUP) updates
	@ONLY=units deploy/systemd/test.sh .
	@$(GO) test -count=1 -v -timeout 25m -parallel 3 ./internal/e2e/updates | grep -vE '^=== (RUN|PAUSE|CONT)'
	@$(GO) test -count=1 -race -timeout 10m -skip 'TwoHundred|PowerCuts|Windows' ./agent/update/mqtt ./agent/update/mirror ./hub/fleet
DELTA_FROM ?= HEAD~5
bench-update: build ## figures of fleet updates (BENCH=regexp; DELTA_FROM=the commit whose agent a delta starts from)
	@$(SETUP) test
	@$(SETUP) updates
	@rm -rf scratch/old && mkdir -p scratch/old/src && git archive $(DELTA_FROM) | tar -x -C scratch/old/src
	@cd scratch/old/src && CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o ../edge-agent ./cmd/edge-agent
	@rm -rf scratch/old/src
	@$(GO) build -o scratch/updatebench ./internal/bench/updatebench
	@cd scratch && ./updatebench -agent ../bin/edge-agent -old old/edge-agent -only '$(BENCH)'

# --- updates: campaigns ----------------------------------------------------------------------------------------
.PHONY: storm-updates cuts-update test-units
storm-updates: ## releases to a real box while agent, updater, hub and broker are killed (ROUNDS=100 SEED=1)
	@$(SETUP) test
	@$(GO) test -count=1 -v -timeout 0 ./internal/e2e/updates -run 'TestKilled$$' -storm-rounds $(if $(filter 1000,$(ROUNDS)),100,$(ROUNDS)) -storm-seed $(or $(SEED),1) | grep -vE '^=== '
cuts-update: ## the power cut at random moments of updates (CUTS=10000 SEED=1)
	@$(GO) test -count=1 -v -timeout 0 ./agent/update/install -run 'TestRandomCuts$$' -cuts $(if $(filter 200,$(CUTS)),10000,$(CUTS)) -cut-seed $(or $(SEED),1) | grep -vE '^=== '
test-units: ## how far the shipped units are closed, by systemd-analyze
	@ONLY=units deploy/systemd/test.sh .

# --- 32 bits -----------------------------------------------------------------------------------------------------
.PHONY: check-32bit
check-32bit: ## what runs on a box compiles for armv7 (without cgo: no cross compiler needed)
	@GOOS=linux GOARCH=arm GOARM=7 CGO_ENABLED=0 $(GO) build ./buffer/... ./agent/... ./drivers/... ./mcu ./mcu/boot/... \
		./ascend/... ./cmd/edgectl ./cmd/edge-npu ./cmd/edge-updater

# --- pipelines ---------------------------------------------------------------------------------------------------
.PHONY: bench-pipeline
bench-pipeline: ## what one pipeline takes in a second, against reading the log alone
	@$(GO) test -count=1 ./agent/pipeline -run '^$$' -bench Pipeline -benchtime 5x | grep '^bench'

# --- page ------------------------------------------------------------------------------------------------------
.PHONY: test-page
test-page: ## the box's web page in a real Chromium, against a real agent (SHOTS=directory keeps pictures)
	@$(SETUP) page
	@$(if $(SHOTS),mkdir -p $(SHOTS))
	@$(GO) test -count=1 -v -timeout 10m ./internal/e2e/page $(if $(SHOTS),-shots $(abspath $(SHOTS))) | grep -vE '^=== (RUN|PAUSE|CONT|NAME)'
