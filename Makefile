# The suite: each scenario is one pipe of the tools. `make help` lists targets and variables; `make -n soak` prints the pipe.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
# A recipe is one script, so that a pipe can span several lines, here and in what `make -n` prints.
.ONESHELL:
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# The scenarios share one target, so nothing runs in parallel, whatever -j says.
.NOTPARALLEL:

##@ Target
## Base URL of the target; empty: the profile's
TARGET ?=
## Profile of the target (docs/profile.md); empty: AutoRAG's audio pipeline
PROFILE ?=
## Base URL of the target's Prometheus or Jaeger; unset: the profile's; empty: off
PROM_URL ?=
JAEGER_URL ?=
## Directory of the worker logs, or off to waive them; empty: the profile's command prints them
LOGS ?=
## Services that may log nothing during a run, separated by commas, such as autorag-io-worker
LOGS_QUIET ?=
## Directory that the workers share; fixtures are staged below it
DATA ?= .stack-data
## Path of that directory as the workers see it
WORKER_ROOT ?= /data
## Directory of the media to stage
FIXTURES ?= fixtures

##@ Load and criteria
## Number of jobs of a soak or a leg
JOBS ?= 12
## Jobs in flight in a soak or a leg
CONCURRENCY ?= 4
## Criteria of a soak or a leg; omit all-stages if the profile names no stages
SOAK_EXPECT ?= all-done,all-stages,no-exceptions
## Warm-up jobs before each soak, level or leg; no figure includes them
WARMUP ?= 0
## Pause after the warm-up; it must be longer than metrics take to reach Prometheus
WARMUP_REST ?= 15s
## Longest wait for an idle target before each soak, level or leg; the report names a run that began on a busy target
IDLE_LIMIT ?= 2m
## Levels of the ramp: jobs in flight
LEVELS ?= 4 8 16 24
## Jobs of each level: a number, or 2x for twice the level
RAMP_JOBS ?= 8
## More criteria for each scenario, such as e2e.p50<20s,throughput>30/min; for a ramp also ramp.highest>=16
EXPECT ?=
## Setting of a leg: the OLLAMA_NUM_PARALLEL that the target was started with
NP ?=
## Any other setting of a leg: a name or KEY=VALUE
SETTING ?=
## Number of a leg, if its setting is run several times: 1, 2, 3
LEG ?=

##@ Output
## Id of the run: its start time and six random digits
RUN_ID ?= $(shell date -u +%Y-%m-%dT%H-%M-%SZ)-$(shell od -An -N3 -tx1 /dev/urandom | tr -d ' ')
# Evaluated once; without this line each use would read the clock again.
RUN_ID := $(RUN_ID)
## Directory of the run
OUT ?= stress-runs/$(firstword $(subst Z-,Z ,$(RUN_ID)))
## Directory of a run or a scenario, for `make report` and `make resume`; for `make open` several, and flags such as --align
RUN ?= stress-runs/latest
## Server that `make open` starts: prometheus or victoriametrics
WITH ?= prometheus
## Directory in which `make compare` finds the newest legs of each setting
LEGS ?= stress-runs
## Directories of two finished legs to compare, instead of the newest ones
A ?=
B ?=
## Fail `make compare` if a headline figure is worse by this much, such as 5%
FAIL_IF_WORSE ?=
## Git repository whose commit is recorded in the run's .git-sha
REPO ?= .
## Start of the window of `make capture`: Unix seconds, RFC 3339, or -5m, which is relative to END
START ?=
## End of that window; empty: now
END ?=

##@ Flags and tools
## Flags for the tools that send requests to the target, such as --header-file FILE
TARGET_FLAGS ?=
## Flags for await-idle, such as --prom-header-file FILE
IDLE_FLAGS ?=
## Flags for submit-jobs, such as --slots-timeout 1m
SUBMIT_FLAGS ?=
## Flags for poll-jobs, such as --deadline 10m
POLL_FLAGS ?=
## Flags for all three captures, such as --pad 30s or --settle 2m
CAPTURE_FLAGS ?=
## Flags for capture-prom, such as --step 1s
PROM_FLAGS ?=
## Flags for capture-jaeger, such as --page 100
JAEGER_FLAGS ?=
## Flags for render-report, such as --redact or --jaeger-ui URL
REPORT_FLAGS ?=
## Flags for pipeline-sim, such as --fail l2:3
SIM_FLAGS ?=
## Set to yes for a target about thirty times as fast as a real one: finer polls and captures, shorter waits
QUICK ?=
## Cargo profile: quick, or release for more than a few hundred jobs in flight; install, dist, image, man and completions use release
CARGO_PROFILE ?= $(if $(filter install dist image man completions,$(MAKECMDGOALS)),release,quick)
## The cargo command; `CARGO=true` uses the binaries as they are
CARGO ?= cargo
## Directory of the binaries
BIN ?= target/$(CARGO_PROFILE:dev=debug)
## Part of `make bench`, such as few; empty: all
PART ?=
## Directory that `make install` installs into
PREFIX ?= /usr/local
## Prepended to PREFIX, for packagers
DESTDIR ?=
## Directory of the generated man pages and completions
SHARE ?= $(BIN)/share
## Directory of the archive that `make dist` makes
DIST ?= target/dist
include scripts/k8s.mk
# A misspelt variable would be ignored silently, and a single quote in a value would end the argument around it.
knobs := $(shell sed -n 's/^\([A-Z_]*\) ?=.*/\1/p' $(MAKEFILE_LIST))
given := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
refusal := $(if $(filter-out $(knobs),$(given)),$(shell awk -v known='$(knobs)' -f scripts/nearest.awk $(given:%='%')))
$(foreach name,$(filter-out %_FLAGS,$(knobs)),$(if $(findstring ',$($(name))),$(eval refusal += $(name) has a quote in it: use a value without one)))
$(if $(strip $(OUT)),,$(eval refusal += OUT is empty: name a directory or leave it unset))$(if $(filter-out yes,$(QUICK)),$(eval refusal += QUICK=$(QUICK): set it to yes or leave it empty))$(if $(filter demo demo-ab,$(MAKECMDGOALS)),$(foreach name,$(filter TARGET PROM_URL JAEGER_URL LOGS,$(given)),$(eval refusal += $(name) names a real target and the demo uses pipeline-sim: use make soak)))
$(if $(strip $(refusal)),$(error $(strip $(refusal))))
export MAKECMDGOALS OUT EXPECT REPO RUN RUN_ID PROFILE LEVELS RAMP_JOBS NP SETTING LEG START END $(filter %_FLAGS,$(knobs))
tools = PATH="$(abspath $(BIN)):$$PATH"; . scripts/scenarios.bash
# Not spelt $(MAKE) in the recipes, so that `make -n` prints these lines instead of running them.
submake = $(MAKE) --no-print-directory CARGO=true
flags = $(if $(strip $1), $(strip $1))
profile = $(if $(PROFILE), --profile='$(PROFILE)')
# The tools share an access token; the last of them deletes the file.
token = $(if $(PROFILE),$(if $(shell grep -s '^ *\[token\]' '$(PROFILE)'), --token-file=$(dir)/token))
target = $(if $(TARGET), --target='$(TARGET)')$(profile)$(token)$(call flags,$(TARGET_FLAGS))
# An address that is not set comes from the profile.
prometheus = $(if $(filter file,$(origin PROM_URL)),, --prometheus='$(PROM_URL)')
jaeger = $(if $(filter file,$(origin JAEGER_URL)),, --jaeger='$(JAEGER_URL)')
logs = $(if $(LOGS), --logs='$(LOGS)')$(if $(LOGS_QUIET), --may-be-quiet='$(LOGS_QUIET)')
quick = $(if $(QUICK), $1)
common = --out=$(dir)$(window)$(profile)$(call quick,--pad=500ms)$(call flags,$(CAPTURE_FLAGS))
define captures
capture-logs $(common)$(logs) |
capture-prom $(common)$(prometheus)$(call quick,--step=500ms)$(call flags,$(PROM_FLAGS)) |
capture-jaeger $(common)$(jaeger)$(call quick,--flush=0s)$(call flags,$(JAEGER_FLAGS))
endef
define scenario_pipe
$(tools)
pipe() {
stage-fixtures --run='$(RUN_ID)' --jobs=$(jobs) --warmup='$(WARMUP)' $(labels) --from='$(FIXTURES)' --into='$(DATA)/fixtures' --worker-root='$(WORKER_ROOT)/fixtures' |
await-idle$(target)$(prometheus) --earlier='$(OUT)' --limit='$(IDLE_LIMIT)'$(call quick,--lag=0s)$(call flags,$(IDLE_FLAGS)) |
submit-jobs$(target) --concurrency=$(concurrency) --slots=$(dir)/slots --journal=$(dir)/submissions.ndjson --cookies=$(dir)/cookies --rest='$(WARMUP_REST)'$(call flags,$(SUBMIT_FLAGS)) |
poll-jobs$(target) --slots=$(dir)/slots --cookies=$(dir)/cookies$(call quick,--min-interval=20ms)$(call flags,$(POLL_FLAGS)) |
$(captures) |
render-report --out=$(dir) --quiet --expect=$(criteria)$(profile)$(call flags,$(REPORT_FLAGS))
}
endef
jobs = '$(JOBS)'
concurrency = '$(CONCURRENCY)'
criteria = '$(SOAK_EXPECT)'$(if $(EXPECT), --expect='$(EXPECT)')
dir = "$$dir"
window :=
.PHONY: demo demo-ab soak ramp ab suite capture resume sim report open compare build man completions install uninstall dist check test test-real bench docs picture clean help
##@ Scenarios
demo: build ## Run the whole suite against a simulated pipeline, on free loopback ports
	@$(tools)
	stoppable pipeline-sim $(stand_in) --time-scale 0.015 --seed 1 --capacity 20 --scrape-interval 250ms $(SIM_FLAGS) -- \
	  $(submake) suite QUICK=yes RAMP_JOBS='$(if $(filter file,$(origin RAMP_JOBS)),2x,$(RAMP_JOBS))'
stand_in = --data '$(DATA)' --worker-root '$(WORKER_ROOT)'
demo-ab: build ## Run three legs of each of two settings against simulated pipelines, interleaved, and compare them
	@$(tools)
	stand_in() { pipeline-sim $(stand_in) --time-scale 0.03 --stage-time whisper=400ms --scrape-interval 250ms $(SIM_FLAGS) "$$@"; }
	demo_ab $(submake) QUICK=yes CONCURRENCY=12
soak: dir = '$(OUT)/soak'
soak: labels = --prefix=soak
soak: build ## Run 12 jobs, 4 in flight; all must succeed and finish all stages
	@$(scenario_pipe)
	soak
ramp: jobs = "$$jobs"
ramp: concurrency = "$$concurrency"
ramp: labels = --prefix="ramp-$$level" --scenario=ramp --label="level=$$concurrency" --label='levels=$(LEVELS)'
ramp: criteria = "$$criteria"
ramp: build ## Raise the number of jobs in flight level by level, until a level does not pass
	@$(scenario_pipe)
	ramp
ab: labels = --prefix="ab-$$leg" --scenario=ab --label="leg=$$leg" --label="$$label"
ab: build ## Run one leg of an A/B: the soak's jobs under one setting of the target (docs/ab.md)
	@$(scenario_pipe)
	ab
suite: build ## Run the soak, then the ramp, even if the soak fails
	@$(tools)
	suite $(submake)
capture: dir = '$(OUT)'
capture: criteria = captured$(if $(EXPECT), --expect='$(EXPECT)')
capture: window = $(call flags,--start='$(START)' --end="$$end")
capture: build ## Capture and report on a window without jobs: make capture START=-5m [END=…] OUT=…
	@$(tools)
	pipe() {
	$(captures) |
	render-report --out=$(dir) --quiet --expect=$(criteria)$(profile)$(call flags,$(REPORT_FLAGS))
	}
	capture
resume: build ## Poll the jobs of RUN that have no verdict to their end, then capture and report again
	@$(tools)
	pipe() {
	poll-jobs --resume "$${journal[@]}"$(target) --cookies=$(dir)/cookies$(call flags,$(POLL_FLAGS)) < $(dir)/records.ndjson |
	$(captures) |
	render-report --append --out=$(dir) --quiet$(call flags,$(REPORT_FLAGS))
	resumed "$${PIPESTATUS[@]}"
	}
	resume
sim: build ## Serve a simulated pipeline on the ports of the real target, and print the command that tests it
	@exec $(BIN)/pipeline-sim $(stand_in) $(SIM_FLAGS)
report: build ## Render the reports of RUN again from its records, without load
	@$(tools)
	pipe() { render-report --replay --out=$(dir) --quiet "$${brief[@]}"$(call flags,$(REPORT_FLAGS)); }
	report
open: build ## Serve RUN in a new Prometheus or VictoriaMetrics until Ctrl-C, and print links (docs/dashboards.md)
	@PATH="$(abspath $(BIN)):$$PATH" exec ./scripts/open '$(WITH)' $(RUN)
compare: build ## Compare the newest legs of each setting, or the legs A and B; write the report beside them
	@$(tools)
	both_or_neither '$(A)' '$(B)'
	compare-runs --text --place='$(OUT)/comparison'$(if $(FAIL_IF_WORSE), --fail-if-worse='$(FAIL_IF_WORSE)') $(if $(A)$(B),'$(A)' '$(B)',--under='$(LEGS)')
##@ Building and testing
build: ## Build the tools and pipeline-sim
	@$(if $(filter true,$(CARGO)),,./scripts/build '$(CARGO)' '$(CARGO_PROFILE)' '$(BIN)')
man: build ## Generate the man pages
	@$(BIN)/manuals --out '$(SHARE)' --date "$$(git log -1 --format=%cs)" man > /dev/null
completions: build ## Generate the completions for bash, zsh and fish
	@$(BIN)/manuals --out '$(SHARE)' completions > /dev/null
install: build man completions ## Install the tools, pipeline-sim, man pages and completions into PREFIX
	@./scripts/install '$(BIN)' '$(SHARE)' '$(DESTDIR)$(PREFIX)'
uninstall: ## Remove what `make install` installed
	@./scripts/install --remove '$(DESTDIR)$(PREFIX)'
dist: export RUSTFLAGS = --remap-path-prefix=$(or $(value CARGO_HOME),$(HOME)/.cargo)=cargo --remap-path-prefix=$(CURDIR)=stress-suite
dist: build man completions ## Make an archive of the tools, with man pages, completions, profiles and licences
	@./scripts/dist '$(BIN)' '$(SHARE)' '$(DIST)'
check: ## Check format, lints, scripts, documentation and imports between modules; warnings are errors
	./scripts/lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --quiet
	$(CARGO) test --locked --test layers --quiet
test: check ## Run everything that `check` does, and all tests
	./scripts/test '$(CARGO)'
test-real: ## Test against a real Prometheus, RabbitMQ, Jaeger and Flower, which stack/install installs
	@./scripts/test-real '$(CARGO)'
bench: ## Compare with k6, Locust and curl, and measure speed and memory (docs/benchmarks.md): make bench PART=few
	@./scripts/bench '$(CARGO)' $(PART)
docs: ## Generate docs/tools.md and docs/schema/
	# `make test-real` leaves a pipeline-sim behind that has one flag more than the documented one.
	$(CARGO) build --locked --workspace --quiet --bins
	UPDATE_DOCS=1 $(CARGO) test --locked --quiet --test docs
picture: ## Draw the README's picture from the soak of RUN, in Chromium
	@./scripts/picture '$(RUN)/soak/report.html' docs/report.png
clean: ## Remove what was built; runs and staged files stay
	$(CARGO) clean
$(if $(filter help,$(or $(MAKECMDGOALS),help)),$(eval export $(knobs)))
help: ## Show this help
	@awk -f scripts/help.awk $(MAKEFILE_LIST)
