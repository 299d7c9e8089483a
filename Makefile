# The suite: each scenario is one pipe of the tools. `make help` lists targets and variables; `make -n soak` shows the pipe.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
# A recipe is one script, so that a pipe may go over several lines, here and in what `make -n` prints.
.ONESHELL:
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# Scenarios share one target: nothing may run beside anything else, whatever -j says.
.NOTPARALLEL:

##@ What to run against
## Base URL of the target; empty: the profile's
TARGET ?=
## The target's profile (see docs/profile.md); empty: AutoRAG's audio pipeline
PROFILE ?=
## Base URL of its Prometheus; where it is not set at all: the profile's; empty: off
PROM_URL ?=
## Base URL of its Jaeger, likewise
JAEGER_URL ?=
## Where the workers' logs are: a directory, or off to waive them; empty: the profile's command prints them
LOGS ?=
## Services whose logs may have no line in the run's window, separated by commas, such as autorag-io-worker
LOGS_QUIET ?=
## Where the workers' shared directory lies; fixtures are staged below it
DATA ?= .stack-data
## Where the workers see that directory
WORKER_ROOT ?= /data
## Directory of media to stage
FIXTURES ?= fixtures

##@ How much of it
## Jobs of the soak
JOBS ?= 12
## Jobs in flight during the soak
CONCURRENCY ?= 4
## What the soak and a leg are judged by; where a profile names no stages, leave out all-stages
SOAK_EXPECT ?= all-done,all-stages,no-exceptions
## Jobs that warm the target up before the counted ones, in the soak, each level and each leg
WARMUP ?= 0
## How long the target rests after them, so that its metrics tell the two apart: longer than they take to Prometheus
WARMUP_REST ?= 15s
## How long the soak, a level or a leg waits for the target to be idle before it goes on with a mark
IDLE_LIMIT ?= 2m
## Jobs in flight, level by level, in the ramp
LEVELS ?= 4 8 16 24
## Jobs of each level of the ramp: a number, or 2x for twice the level
RAMP_JOBS ?= 8
## More to judge by, beside each scenario's own: criteria and comparisons, such as e2e.p50<20s,throughput>30/min; on a ramp ramp.highest>=16
EXPECT ?=
## Setting of a leg of the A/B: the OLLAMA_NUM_PARALLEL that the target was started with
NP ?=
## Setting of a leg, where it is another one: a name, or a label as key=value
SETTING ?=
## Number of a leg, where its setting is run several times: 1, 2, 3
LEG ?=

##@ Where it goes
## The run's id: the time, and what tells runs apart that begin in the same second
RUN_ID ?= $(shell date -u +%Y-%m-%dT%H-%M-%SZ)-$(shell od -An -N3 -tx1 /dev/urandom | tr -d ' ')
# Without this line the clock would be read anew at each use.
RUN_ID := $(RUN_ID)
export RUN_ID
## The run directory
OUT ?= stress-runs/$(firstword $(subst Z-,Z ,$(RUN_ID)))
## The run directory, or the scenario's, that `make report` renders again and `make resume` goes on with
RUN ?= stress-runs/latest
## Where `make compare` looks for the newest legs of each setting
LEGS ?= stress-runs
## A finished leg for `make compare`, with B, in place of the newest ones
A ?=
## The leg to compare it with
B ?=
## What fails `make compare`: the percentage, such as 5%, by which a headline figure is worse; empty: nothing
FAIL_IF_WORSE ?=
## The repository whose state is recorded in the run's .git-sha
REPO ?= .

##@ Which window `make capture` captures
## Where it begins: Unix seconds as `date +%s` gives, RFC 3339, or -5m, which is before END
START ?=
## Where it ends; empty: now
END ?=

##@ How the tools are called
## More flags for all that speak to the target, such as --header-file FILE
TARGET_FLAGS ?=
## More flags for await-idle, such as --prom-header-file FILE for its Prometheus
IDLE_FLAGS ?=
## More flags for submit-jobs, such as --slots-timeout 1m
SUBMIT_FLAGS ?=
## More flags for poll-jobs, such as --deadline 10m
POLL_FLAGS ?=
## More flags for all three captures, such as --pad 30s or --settle 2m
CAPTURE_FLAGS ?=
## More flags for capture-prom, such as --step 1s
PROM_FLAGS ?=
## More flags for capture-jaeger, such as --page 100
JAEGER_FLAGS ?=
## More flags for render-report, such as --redact or --jaeger-ui URL
REPORT_FLAGS ?=
## Flags for the stand-in, such as --fail l2:3
SIM_FLAGS ?=
## Cargo profile to build with: release or dev
CARGO_PROFILE ?= release
## The cargo to build with; `CARGO=true` takes the binaries as they are
CARGO ?= cargo
## Where the binaries are
BIN ?= target/$(CARGO_PROFILE:dev=debug)
## Where `make install` puts the tools
PREFIX ?= /usr/local
## Prepended to PREFIX, for packagers
DESTDIR ?=
## Where man pages and completions are made
SHARE ?= $(BIN)/share
## Where `make dist` puts the archive
DIST ?= target/dist

TOOLS := $(patsubst src/bin/%.rs,%,$(wildcard src/bin/*.rs)) pipeline-sim
profile_flags = $(if $(PROFILE),--profile '$(PROFILE)')
# What nobody set is this file's, and then the profile says where they are.
prom = $(if $(filter file,$(origin PROM_URL)),,--prometheus '$(PROM_URL)')
jaeger = $(if $(filter file,$(origin JAEGER_URL)),,--jaeger '$(JAEGER_URL)')
target_flags = $(if $(TARGET),--target '$(TARGET)') $(profile_flags) $(TARGET_FLAGS)

# The pipe of every scenario; the shell variables dir, prefix, jobs, concurrency, expect and labels say which. Called with
# --check no tool does more than look at what it was told: what would be refused is refused before a job is submitted.
define pipe
pipe() {
# What every tool would refuse is said once.
[[ ! $$* ]] || render-report --check $(more_criteria) || return
[[ -d '$(OUT)' ]] && earlier=(--earlier '$(OUT)') || earlier=()
stage-fixtures --run='$(RUN_ID)' --jobs="$$jobs" --prefix "$$prefix" --warmup='$(WARMUP)' "$${labels[@]}" $(stage_flags) "$$@" |
await-idle $(target_flags) $(prom) "$${earlier[@]}" --limit='$(IDLE_LIMIT)' $(IDLE_FLAGS) "$$@" |
submit-jobs $(target_flags) --concurrency="$$concurrency" --slots "$$dir/slots" --journal "$$dir/submissions.ndjson" --rest='$(WARMUP_REST)' --cookies "$$dir/cookies" $(SUBMIT_FLAGS) "$$@" |
poll-jobs $(target_flags) --slots "$$dir/slots" --cookies "$$dir/cookies" $(POLL_FLAGS) "$$@" |
$(captures) |
render-report --out "$$dir" --quiet --expect "$$expect" $(more_criteria) $(REPORT_FLAGS) "$$@"
}
endef
define captures
capture-logs --out "$$dir" $(profile_flags) $(if $(LOGS),--logs '$(LOGS)') $(if $(LOGS_QUIET),--may-be-quiet='$(LOGS_QUIET)') $(CAPTURE_FLAGS) "$$@" |
capture-prom --out "$$dir" $(profile_flags) $(prom) $(CAPTURE_FLAGS) $(PROM_FLAGS) "$$@" |
capture-jaeger --out "$$dir" $(profile_flags) $(jaeger) $(CAPTURE_FLAGS) $(JAEGER_FLAGS) "$$@"
endef
# Pages to be sent, where REPORT_FLAGS asks for them, also of what lies above the scenarios.
to_be_sent = $(filter --redact,$(REPORT_FLAGS))
# Index pages over the run $$run, the innermost first, and over what it is a part of; a scenario itself has none. The
# verdict is that of $$run.
define indexes
indexes() {
for place in "$$run/ramp" "$$run" "$$run/.." "$$run/../.." "$$run/../../.."; do
  [[ -f $$place/index.json || $$place == "$$run" || ( $$place == "$$run/ramp" && -d $$place ) ]] || continue
  [[ ! -f $$place/records.ndjson ]] || continue
  render-report --index "$$(realpath --relative-to=. "$$place")" $(to_be_sent) > /dev/null && code=0 || code=$$?
  [[ $$place != "$$run" ]] || verdict=$$code
done
}
endef
# The variables that fill a flag, which the tools name where they refuse its value.
filled_by = --jobs=JOBS --concurrency=CONCURRENCY --expect=SOAK_EXPECT/EXPECT
export STRESS_SUITE_FLAGS_OF_MAKE = $(filled_by) --run=RUN_ID --warmup=WARMUP --rest=WARMUP_REST --limit=IDLE_LIMIT --from=FIXTURES --into=DATA \
  --worker-root=WORKER_ROOT --target=TARGET --profile=PROFILE --prometheus=PROM_URL --jaeger=JAEGER_URL --logs=LOGS --may-be-quiet=LOGS_QUIET --fail-if-worse=FAIL_IF_WORSE --under=LEGS --start=START --end=END
# Criteria on the ramp as a whole are for its index, all others for each scenario.
empty :=
space := $(empty) $(empty)
each_criterion = $(subst $(comma), ,$(subst $(space),,$(EXPECT)))
ramp_criteria = $(subst $(space),$(comma),$(strip $(filter ramp.%,$(each_criterion))))
scenario_criteria = $(if $(ramp_criteria),$(subst $(space),$(comma),$(strip $(filter-out ramp.%,$(each_criterion)))),$(EXPECT))
more_criteria = $(if $(strip $(scenario_criteria)),--expect '$(scenario_criteria)') $(profile_flags)
ramp_expect = $(if $(ramp_criteria),--expect '$(ramp_criteria)')
check_ramp = $(if $(ramp_criteria),render-report --check --index . $(ramp_expect))
no_ramp = $(if $(ramp_criteria),[[ $${SUITE_RUNS:-} ]] || $(call refuse,EXPECT=$(ramp_criteria) judges a ramp: it is for make ramp and make suite))
# What a run is judged by is kept with it.
as_judged = [[ ! '$(EXPECT)' ]] || $(call refuse,EXPECT is for what is run now: render-report --replay --out DIR --expect LIST judges a scenario anew)
run_exists = [[ -d '$(RUN)' ]] || $(call refuse,RUN=$(RUN) is not there: name the directory of a run or of a scenario)
stage_flags = --from='$(FIXTURES)' --into='$(DATA)/fixtures' --worker-root='$(WORKER_ROOT)/fixtures'
comma := ,
refuse = { printf 'make: %s\n' "$(1)" >&2; exit 2; }
# After Ctrl-C a recipe goes on to its last report; then make itself ends with 130.
go_on = stopped=; trap 'stopped=1' INT TERM
# At the end what was only needed meanwhile goes, and so does a directory that nothing was kept in. Whoever had nothing to
# test hears how to start something: once, so in a suite from the suite alone.
define tidy
made=
trap tidy EXIT
tidy() {
if [[ $$made ]]; then rm -f "$$dir/slots"; fi
if [[ $$made && -d $$dir && ! -e $$dir/records.ndjson ]]; then find "$$dir" -type d -empty -delete; fi
if [[ $$made && ! $${SUITE_RUNS:-} ]] && grep -qs '"TargetAbsent"' "$$dir/manifest.json"; then
  printf 'make: nothing to test is there: `make sim` in another terminal starts a stand-in, `make demo` does it all, TARGET=URL names a target\n' >&2
fi
}
endef
describe = git -C '$(REPO)' describe --always --dirty --abbrev=40 --exclude '*'
# What belongs to a run and to none of its scenarios. It is made once nothing is refused any more.
define run_dir
run_dir() {
mkdir -p '$(OUT)' || $(call refuse,OUT=$(OUT) cannot be made: name another one)
[[ -e '$(OUT)/.git-sha' ]] || $(describe) > '$(OUT)/.git-sha' 2> /dev/null || printf 'unknown: %s\n' "$$($(describe) 2>&1 | head -n 1)" > '$(OUT)/.git-sha'
[[ '$(OUT)' != stress-runs/* ]] || ln -sfn '$(patsubst stress-runs/%,%,$(OUT))' stress-runs/latest
}
endef
with_tools = PATH="$(abspath $(BIN)):$$PATH"

# What a stand-in needs that is some thirty times as fast as the pipeline it plays: finer polls and captures, and no patience.
quick = POLL_FLAGS='--min-interval 20ms $(POLL_FLAGS)' IDLE_FLAGS='--lag 0s $(IDLE_FLAGS)' CAPTURE_FLAGS='--pad 1s $(CAPTURE_FLAGS)' \
  PROM_FLAGS='--step 500ms $(PROM_FLAGS)' JAEGER_FLAGS='--flush 0s $(JAEGER_FLAGS)'

##@ Scenarios
.PHONY: demo
demo: build ## Run the whole suite against the stand-in pipeline, on free loopback ports
	@$(with_tools)
	pipeline-sim --data '$(DATA)' --worker-root '$(WORKER_ROOT)' --time-scale 0.03 --seed 1 --capacity 20 --scrape-interval 250ms $(SIM_FLAGS) -- \
	  $(submake) suite RAMP_JOBS=2x $(quick)

# Each leg has a stand-in of its own, as each leg of a real A/B has a server of its own. In this order neither setting has the
# earlier or the later legs.
.PHONY: demo-ab
demo-ab: build ## Three legs of each of two settings against stand-ins, in turn, and their comparison
	@$(with_tools); $(go_on)
	for leg in 8.1 4.1 4.2 8.2 8.3 4.3; do
	  [[ ! $$stopped ]] || break
	  pipeline-sim --data '$(DATA)' --worker-root '$(WORKER_ROOT)' --time-scale 0.03 --stage-time whisper=400ms --scrape-interval 250ms $(SIM_FLAGS) --num-parallel "$${leg%.*}" -- \
	    $(submake) ab NP="$${leg%.*}" LEG="$${leg#*.}" CONCURRENCY=12 $(quick) || true
	done
	[[ $$stopped ]] || { $(submake) compare LEGS='$(OUT)'; render-report --index '$(OUT)' > /dev/null; }

# By another name, so that `make -n demo` prints the line instead of running it.
submake = $(MAKE) --no-print-directory

.PHONY: soak
soak: build ## Soak: 12 jobs at concurrency 4; all must be done and show all stages
	@$(with_tools)
	$(no_ramp)
	$(tidy)
	$(run_dir)
	dir='$(OUT)/soak' prefix=soak jobs='$(JOBS)' concurrency='$(CONCURRENCY)' labels=(--scenario soak) expect='$(SOAK_EXPECT)'
	$(pipe)
	pipe --check && run_dir && mkdir "$$dir" && made=yes && pipe

ramp: filled_by = --jobs=RAMP_JOBS --concurrency=LEVELS --expect=EXPECT
.PHONY: ramp
ramp: build ## Ramp: concurrency level by level, until the first level that does not pass
	@$(with_tools); $(go_on)
	$(tidy)
	$(run_dir)
	$(pipe)
	level() {
	  level=$$(printf 'lvl-%02d' "$$concurrency")
	  dir="$(OUT)/ramp/by-concurrency/$$level" prefix="ramp-$$level" expect=all-done jobs='$(RAMP_JOBS)'
	  [[ ! $$jobs =~ ^[0-9]{1,6}x$$ ]] || jobs=$$(( $${jobs%x} * concurrency ))
	  labels=(--scenario ramp --label "level=$$concurrency" --label 'levels=$(LEVELS)')
	}
	$(check_ramp)
	levels=' '
	for concurrency in $(LEVELS); do
	  [[ $$concurrency =~ ^[1-9][0-9]{0,6}$$ && $$levels != *" $$concurrency "* ]] || $(call refuse,LEVELS: $$concurrency is no number from 1 to 9999999 or stands twice)
	  levels+="$$concurrency "
	  level; pipe --check
	done
	[[ $$levels != ' ' ]] || $(call refuse,LEVELS is empty)
	run_dir
	mkdir '$(OUT)/ramp' '$(OUT)/ramp/by-concurrency'
	for concurrency in $(LEVELS); do
	  level
	  { mkdir "$$dir" && made=yes && pipe; } || break
	  rm -f "$$dir/slots"
	done
	render-report --index '$(OUT)/ramp' $(ramp_expect) $(to_be_sent) > /dev/null

.PHONY: ab
ab: leg-named build ## One leg of an A/B: the soak's jobs under one setting of the target (NP=8), see docs/ab.md
	@$(with_tools)
	$(no_ramp)
	$(tidy)
	$(run_dir)
	$(leg)
	dir="$(OUT)/ab/$$leg" prefix="ab-$$leg" jobs='$(JOBS)' concurrency='$(CONCURRENCY)' expect='$(SOAK_EXPECT)'
	labels=(--scenario ab --label "leg=$$leg" --label "$$label")
	$(pipe)
	pipe --check && run_dir && mkdir -p '$(OUT)/ab' && mkdir "$$dir" && made=yes && pipe

# The shell variables leg and label of the leg that NP or SETTING, and LEG, name. The setting is never guessed.
define leg
setting=$(if $(NP),'num_parallel=$(NP)','$(SETTING)')
leg=$$(printf '%s' "$${setting/#num_parallel=/np-}" | tr =. -_)$(if $(LEG),'.$(LEG)')
[[ $$setting == *=* ]] && label=$$setting || label="setting=$$setting"
endef
.PHONY: leg-named
leg-named:
	@[[ -n '$(NP)$(SETTING)' ]] || $(call refuse,which leg? say what the target was started with$(comma) such as NP=8)
	[[ -z '$(NP)' || -z '$(SETTING)' ]] || $(call refuse,NP=$(NP) and SETTING=$(SETTING): name one of them)
	[[ '$(NP)' =~ ^([1-9][0-9]*)?$$ ]] || $(call refuse,NP=$(NP) is no number from 1 up)
	[[ '$(LEG)' =~ ^([1-9][0-9]*)?$$ ]] || $(call refuse,LEG=$(LEG) is no number from 1 up)
	[[ ! '$(SETTING)' =~ ^(scenario|leg|warmup|setting)= ]] || $(call refuse,SETTING=$(SETTING): that label is the suite's own: name the setting otherwise)
	[[ '$(SETTING)' =~ ^([A-Za-z0-9][A-Za-z0-9_-]*(=[A-Za-z0-9_.-]+)?)?$$ ]] || $(call refuse,SETTING=$(SETTING) is no name and no key=value)

.PHONY: suite
suite: build ## Soak, then ramp, also when the soak fails; then the run's report
	@$(with_tools); $(go_on)
	for scenario in soak ramp; do
	  [[ ! -e '$(OUT)'/$$scenario ]] || $(call refuse,$(OUT)/$$scenario is there already: name another OUT)
	done
	$(tidy)
	render-report --check $(more_criteria)
	$(check_ramp)
	$(run_dir)
	run_dir
	export SUITE_RUNS=yes
	$(MAKE) --no-print-directory soak || true
	[[ $$stopped ]] || $(MAKE) --no-print-directory ramp || true
	unset SUITE_RUNS; dir='$(OUT)/soak' made=yes
	render-report --index '$(OUT)' --planned soak,ramp $(ramp_expect) $(to_be_sent) > /dev/null

.PHONY: capture
capture: build ## Capture and report on a window without jobs: make capture START=-5m [END=…] OUT=…
	@$(with_tools)
	$(no_ramp)
	$(tidy)
	[[ '$(START)' ]] || $(call refuse,START is empty: say when the window begins such as START=-5m or START=$$(date +%s))
	end='$(END)'
	[[ $${end:-now} != now ]] || end=$$(date +%s)
	capture() {
	$(captures) |
	render-report --out "$$dir" --quiet --expect captured $(more_criteria) $(REPORT_FLAGS) "$${check[@]}"
	}
	[[ ! -e '$(OUT)' || ! $$(ls -A '$(OUT)') ]] || $(call refuse,$(OUT) holds something already: name another OUT)
	dir='$(OUT)' check=(--check)
	# What all three would refuse is said once.
	set -- --start '$(START)' --end "$$end" --check
	capture-logs --out "$$dir" $(profile_flags) $(if $(LOGS),--logs '$(LOGS)') $(if $(LOGS_QUIET),--may-be-quiet='$(LOGS_QUIET)') $(CAPTURE_FLAGS) "$$@"
	capture --start '$(START)' --end "$$end" --check
	check=() made=yes; mkdir -p "$$dir"
	capture --start '$(START)' --end "$$end"

# That the target was not there to be asked is told by the exit, whatever the verdict on what was known.
.PHONY: resume
resume: build ## Follow again what RUN left without a verdict, capture and report again
	@$(as_judged)
	$(with_tools); $(go_on)
	$(indexes)
	$(run_exists)
	run='$(RUN)' verdict=0 failed=0 found=
	while read -r dir && [[ ! $$stopped ]]; do
	  found=yes
	  [[ -e $$dir/submissions.ndjson ]] && journal=(--journal "$$dir/submissions.ndjson") || journal=()
	  poll-jobs --resume "$${journal[@]}" $(target_flags) --cookies "$$dir/cookies" $(POLL_FLAGS) < "$$dir/records.ndjson" |
	  $(captures) |
	  render-report --append --out "$$dir" --quiet $(REPORT_FLAGS) && verdict=0 followed=0 || verdict=$$? followed=$${PIPESTATUS[0]}
	  [[ $$verdict == [034] ]] || failed=$$verdict
	  [[ $$followed != 69 ]] || failed=69
	done < <(find -H "$$run" -name records.ndjson -printf '%h\n' | sort)
	[[ $$found ]] || $(call refuse,RUN=$(RUN): there are no records below it)
	indexes
	exit $$(( failed ? failed : verdict ))

.PHONY: sim
sim: build ## Run the stand-in pipeline in the foreground, on the ports of the real target
	@exec $(BIN)/pipeline-sim --data '$(DATA)' --worker-root '$(WORKER_ROOT)' $(SIM_FLAGS)

.PHONY: report
report: build ## Render the reports of RUN again from its records, without load
	@$(as_judged)
	$(with_tools)
	$(indexes)
	$(run_exists)
	run='$(RUN)' verdict=0 found=
	while read -r dir; do
	  found=yes
	  render-report --replay --out "$$dir" --quiet $(REPORT_FLAGS) && verdict=0 || verdict=$$?
	  [[ $$verdict == [034] ]] || exit $$verdict
	done < <(find -H "$$run" -name records.ndjson -printf '%h\n' | sort)
	[[ $$found ]] || $(call refuse,RUN=$(RUN): there are no records below it)
	indexes
	exit $$verdict

.PHONY: compare
compare: build ## Compare the newest A/B legs of each setting, or A=DIR with B=DIR; beside them, or in OUT/comparison
	@[[ -n '$(A)' && -n '$(B)' || -z '$(A)$(B)' ]] || $(call refuse,A and B go together: each names a finished leg)
	$(with_tools)
	compare-runs --place '$(OUT)/comparison' $(if $(FAIL_IF_WORSE),--fail-if-worse='$(FAIL_IF_WORSE)') $(if $(A)$(B),'$(A)' '$(B)',--under='$(LEGS)')

##@ Building and testing
.PHONY: build
build: ## Build the tools and the stand-in
	@$(CARGO) build --quiet --locked --workspace --bins --profile $(CARGO_PROFILE)

.PHONY: man
man: build ## Write the man pages
	@$(write_manuals) --date "$$(git log -1 --format=%cs)" man

.PHONY: completions
completions: build ## Write the completions for bash, zsh and fish
	@$(write_manuals) completions

write_manuals = $(BIN)/manuals --out '$(SHARE)' > /dev/null
pages := $(foreach tool,$(TOOLS),man/man1/$(tool).1 bash-completion/completions/$(tool) zsh/site-functions/_$(tool) fish/vendor_completions.d/$(tool).fish)
# Puts everything that is installed below the directory in the shell variable to.
define put
install -D -m 755 -t "$$to/bin" $(addprefix $(BIN)/,$(TOOLS))
for page in $(pages); do install -D -m 644 '$(SHARE)'/"$$page" "$$to/share/$$page"; done
endef

.PHONY: install
install: build man completions ## Put the tools, the stand-in, man pages and completions below PREFIX
	@to='$(DESTDIR)$(PREFIX)'
	$(put)

.PHONY: uninstall
uninstall: ## Take away what `make install` put below PREFIX
	@rm -f $(addprefix '$(DESTDIR)$(PREFIX)'/,$(addprefix bin/,$(TOOLS)) $(addprefix share/,$(pages)))

.PHONY: dist
# What a compiler leaves in a binary of the places where it was built tells others nothing.
dist: ## Make an archive of the tools, with man pages, completions, profiles and licences
	@export RUSTFLAGS="--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo --remap-path-prefix=$$PWD=stress-suite"
	$(submake) man completions
	staged=$$(mktemp -d); trap 'rm -rf "$$staged"' EXIT
	to="$$staged/stress-suite-$$($(BIN)/render-report --version | cut -d' ' -f2)-$$(rustc -vV | sed -n 's/^host: //p')"
	$(put)
	cp -R README.md LICENSE-MIT LICENSE-APACHE docs examples fixtures profiles "$$to"
	./scripts/need jq
	./scripts/licences "$$to/licences"
	./scripts/archive "$$to" '$(DIST)'

.PHONY: check
check: ## Format, lints, documentation and imports between modules, with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --quiet
	$(CARGO) test --locked --test layers --quiet

.PHONY: test
test: check ## Everything that `check` does, and all tests
	./scripts/need jq faketime zsh fish mandoc groff-base:groff binutils:strip poppler-utils:pdftotext chromium
	# Most tests wait for other processes: more threads than processors, or everything takes twice as long.
	export RUST_TEST_THREADS=$${RUST_TEST_THREADS:-6}
	$(CARGO) test --locked --workspace --quiet --no-run
	# The tutorial's test takes longest and waits most, so it runs beside all others. They yield the processor to it, because it
	# measures the stand-in's speed and they do not.
	long=the_tutorial_runs_as_written status=0
	$(CARGO) test --locked --quiet --test docs $$long & tutorial=$$!
	nice -n 19 $(CARGO) test --locked --workspace --quiet --no-fail-fast -- --skip $$long || status=$$?
	wait $$tutorial || status=$$?
	exit $$status

# With the stand-in's queues on a real broker, which nothing else needs.
real_stack = --locked --workspace --features real-stack,pipeline-sim/amqp
.PHONY: test-real
test-real: ## Test against a real Prometheus, RabbitMQ, Jaeger and Flower, which stack/install puts on this machine
	@STRESS_SUITE_JAEGER=$$(./stack/install); export STRESS_SUITE_JAEGER
	[[ $$STRESS_SUITE_JAEGER ]] || { printf 'test-real: left out\n'; exit 0; }
	$(CARGO) clippy $(real_stack) --all-targets -- -D warnings
	$(CARGO) build $(real_stack) --quiet --bins
	$(CARGO) test $(real_stack) --quiet --test real

.PHONY: bench
bench: ## Show speed and memory as figures; nothing passes or fails
	$(CARGO) bench --locked --workspace --quiet

.PHONY: docs
docs: ## Write the generated documentation anew: docs/tools.md and docs/schema/
	# The stand-in's help is documented too, and `make test-real` leaves one behind that has a flag more.
	$(CARGO) build --locked --workspace --quiet --bins
	UPDATE_DOCS=1 $(CARGO) test --locked --quiet --test docs

.PHONY: picture
picture: ## Draw the README's picture from the soak of RUN, in Chromium
	@./scripts/picture '$(RUN)/soak/report.html' docs/report.png

.PHONY: clean
clean: ## Remove what was built; runs and staged files stay
	$(CARGO) clean

.PHONY: help
help: ## Show this help
	@awk -f scripts/help.awk $(MAKEFILE_LIST)
