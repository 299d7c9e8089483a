# shellcheck shell=bash
# The functions that the Makefile's recipes call. A recipe sources this file, defines `pipe`, and calls one of soak, ramp, ab,
# suite, capture, report or resume. make exports its variables (OUT, EXPECT, LEVELS and others), so that no value is quoted twice.
# A pipe reads the variables that are set here, such as `dir`.
# shellcheck disable=SC2034

# The tools that a pipe calls, each of which has --check.
tools=(stage-fixtures await-idle submit-jobs poll-jobs capture-logs capture-prom capture-jaeger render-report)

# The variable that fills each flag. A tool that refuses a flag's value names the variable.
export STRESS_SUITE_FLAGS_OF_MAKE='--jobs=JOBS --concurrency=CONCURRENCY --expect=SOAK_EXPECT/EXPECT --run=RUN_ID --warmup=WARMUP
  --rest=WARMUP_REST --limit=IDLE_LIMIT --from=FIXTURES --into=DATA --worker-root=WORKER_ROOT --target=TARGET --profile=PROFILE
  --prometheus=PROM_URL --jaeger=JAEGER_URL --logs=LOGS --may-be-quiet=LOGS_QUIET --fail-if-worse=FAIL_IF_WORSE --under=LEGS
  --start=START --end=END'

# Prints a message in make's name and ends the recipe.
refuse() {
  printf 'make: %s\n' "$*" >&2
  exit 2
}

# EXPECT split in two: criteria for a ramp as a whole, and those for each scenario.
ramp_criteria='' scenario_criteria=''
split_criteria() {
  local criterion list
  IFS=, read -ra list <<< "${EXPECT//$'\n'/ }"
  for criterion in "${list[@]}"; do
    criterion=${criterion#"${criterion%%[![:space:]]*}"}
    if [[ $criterion == ramp.* ]]; then
      ramp_criteria+=${ramp_criteria:+,}$criterion
    else
      scenario_criteria+=${scenario_criteria:+,}$criterion
    fi
  done
}

refuse_ramp_criteria() {
  split_criteria
  [[ ! $ramp_criteria ]] || refuse "EXPECT=$ramp_criteria judges a whole ramp: use it with make ramp or make suite"
}

check_ramp_criteria() {
  split_criteria
  [[ ! $ramp_criteria ]] || render-report --check --index . --expect "$ramp_criteria"
}

# Runs the pipe with --check added to each tool, so that a bad value is refused before the first job. Several tools refuse the same
# value in the same words, except for the tool's name and the time; only the first of these lines is printed.
check() {
  local messages status=0
  messages=$(
    for tool in "${tools[@]}"; do eval "$tool() { command $tool \"\$@\" --check; }"; done
    pipe 2>&1 > /dev/null
  ) || status=$?
  [[ ! $messages ]] || awk '
    { text = $0; sub(/^[^:]*: /, "", text); sub(/ \(see [^)]* --help\)/, "", text); gsub(/T[0-9:.]+Z/, "", text) }
    !seen[text]++' <<< "$messages" >&2
  return "$status"
}

# After Ctrl-C a recipe still makes its last report; then make itself ends with 130.
stopped=''
keep_going() {
  trap 'stopped=yes' INT TERM
}

# stoppable COMMAND…: runs a pipe, or another command with tools in it, and waits for it even after a signal. A terminal sends Ctrl-C to
# the tools as well. A SIGTERM may come to make alone, which passes it on to this shell only: the tools would go on without it.
heard=''
stoppable() {
  local pid status
  # The shell would have a command in the background ignore Ctrl-C, and not let it read this shell's input.
  { trap - INT QUIT; set +e; "$@"; exit; } <&0 &
  pid=$!
  trap 'stopped=yes heard=yes' INT HUP QUIT
  trap 'stopped=yes heard=yes; pass_on_term "$pid"' TERM
  # A signal ends the wait, too.
  while heard=''; wait "$pid" && status=0 || status=$?; [[ $heard ]]; do :; done
  return "$status"
}

# pass_on_term SHELL: asks the commands that SHELL has started to end. The tools take SIGUSR1 as the same wish, and never as a second
# signal, at which they would give up at once: the first one may have reached them, too.
pass_on_term() {
  local children child signal
  read -ra children 2> /dev/null < "/proc/$1/task/$1/children" || true
  for child in "${children[@]}"; do
    signal=TERM
    [[ " ${tools[*]} " != *" $(cat "/proc/$child/comm" 2> /dev/null) "* ]] || signal=USR1
    kill "-$signal" "$child" 2> /dev/null || true
  done
}

# make_dir DIR: two runs must not share one. The default of OUT ends with the second.
make_dir() {
  mkdir -p "$(dirname "$1")"
  [[ ! -e $1 ]] && mkdir "$1" && return
  [[ ! -e $1 ]] || refuse "$1 already exists; perhaps another run began in the same second: wait a moment, or name another OUT"
  exit 2
}

# Creates the run's directory, with the files that belong to the whole run. Called after every check has passed.
make_run_dir() {
  local describe=(git -C "$REPO" describe --always --dirty '--abbrev=40' --exclude '*')
  mkdir -p "$OUT" || refuse "OUT=$OUT cannot be created: name another directory"
  if [[ ! -e $OUT/.git-sha ]]; then
    "${describe[@]}" > "$OUT/.git-sha" 2> /dev/null || printf 'unknown: %s\n' "$("${describe[@]}" 2>&1 | head -n 1)" > "$OUT/.git-sha"
  fi
  [[ $OUT != stress-runs/* ]] || ln -sfn "${OUT#stress-runs/}" stress-runs/latest
}

# Removes on exit the files that only the run itself needed, and a directory without records. If there was no target, prints how to
# start one; in a suite only once.
made=''
clean_up_on_exit() {
  trap clean_up EXIT
}
clean_up() {
  [[ $made ]] || return 0
  if grep -qs '"phase":"Interrupted"' "$dir/records.ndjson"; then
    printf 'make: `make resume RUN=%s` follows the interrupted jobs to their end\n' "$dir" >&2
  fi
  rm -f "$dir/slots"
  [[ ! -d $dir || -e $dir/records.ndjson ]] || find "$dir" -type d -empty -delete
  if [[ ! ${SUITE_RUNS:-} ]] && grep -qs '"TargetAbsent"' "$dir/manifest.json"; then
    printf 'make: there is no target: run `make sim` in another terminal and then the command that it prints, run `make demo`, or set TARGET=URL\n' >&2
  fi
}

# Checks the pipe, makes `dir`, and runs the pipe.
run_pipe() {
  clean_up_on_exit
  check && make_run_dir && make_dir "$dir" && made=yes && stoppable pipe
}

soak() {
  refuse_ramp_criteria
  dir=$OUT/soak
  run_pipe
}

# One leg of an A/B, in a directory that is named after its setting and number: ab/np-8.2.
ab() {
  local setting=$SETTING
  [[ $NP$SETTING ]] || refuse 'set NP or SETTING to what the target was started with, such as NP=8'
  [[ ! $NP || ! $SETTING ]] || refuse "NP=$NP and SETTING=$SETTING: set only one of them"
  [[ $NP =~ ^([1-9][0-9]*)?$ ]] || refuse "NP=$NP is not a whole number of at least 1"
  [[ $LEG =~ ^([1-9][0-9]*)?$ ]] || refuse "LEG=$LEG is not a whole number of at least 1"
  [[ ! $SETTING =~ ^(scenario|leg|warmup|setting)= ]] || refuse "SETTING=$SETTING: that label is reserved; choose another one"
  [[ $SETTING =~ ^([A-Za-z0-9][A-Za-z0-9_-]*(=[A-Za-z0-9_.-]+)?)?$ ]] || refuse "SETTING=$SETTING is neither a name nor KEY=VALUE"
  refuse_ramp_criteria
  [[ ! $NP ]] || setting=num_parallel=$NP
  leg=$(tr '=.' '-_' <<< "${setting/#num_parallel=/np-}")${LEG:+.$LEG}
  [[ $setting == *=* ]] && label=$setting || label=setting=$setting
  dir=$OUT/ab/$leg
  run_pipe
}

# demo_ab MAKE…: runs three legs of each of two settings and compares them. The recipe defines `stand_in`. Each leg has a simulated
# pipeline of its own, as each leg of a real A/B has a server of its own. The order interleaves the legs of the two settings.
demo_ab() {
  local number
  keep_going
  for number in 8.1 4.1 4.2 8.2 8.3 4.3; do
    [[ ! $stopped ]] || return 0
    stoppable stand_in --num-parallel "${number%.*}" -- "$@" ab NP="${number%.*}" LEG="${number#*.}" || true
  done
  [[ ! $stopped ]] || return 0
  "$@" compare LEGS="$OUT"
  render-report --index "$OUT" > /dev/null
}

# Sets the variables of the pipe for the level `concurrency`. RAMP_JOBS=2x is twice the level.
set_level() {
  level=$(printf 'lvl-%02d' "$concurrency")
  dir=$OUT/ramp/by-concurrency/$level
  jobs=$RAMP_JOBS
  [[ ! $jobs =~ ^[0-9]{1,6}x$ ]] || jobs=$((${jobs%x} * concurrency))
}

# Runs each level of LEVELS, up to the first that does not pass.
ramp() {
  local levels=' '
  STRESS_SUITE_FLAGS_OF_MAKE="--jobs=RAMP_JOBS --concurrency=LEVELS --expect=EXPECT $STRESS_SUITE_FLAGS_OF_MAKE"
  keep_going
  clean_up_on_exit
  check_ramp_criteria
  criteria=all-done${scenario_criteria:+,$scenario_criteria}
  [[ $LEVELS =~ [^[:space:]] ]] || refuse 'LEVELS is empty'
  for concurrency in $LEVELS; do
    [[ $concurrency =~ ^[1-9][0-9]{0,6}$ ]] || refuse "LEVELS: $concurrency is not a number from 1 to 9999999"
    [[ $levels != *" $concurrency "* ]] || refuse "LEVELS: $concurrency is given twice"
    levels+="$concurrency "
    set_level
    check
  done
  make_run_dir
  make_dir "$OUT/ramp"
  mkdir "$OUT/ramp/by-concurrency"
  for concurrency in $LEVELS; do
    set_level
    { mkdir "$dir" && made=yes && stoppable pipe; } || break
    rm -f "$dir/slots"
    # A signal that comes when a pipe has just ended well stops the ramp, too.
    [[ ! $stopped ]] || break
  done
  write_index "$OUT/ramp"
}

# suite MAKE…: the soak, then the ramp, even if the soak fails; then the run's report. MAKE… is the command that runs make.
suite() {
  local scenario
  keep_going
  for scenario in soak ramp; do
    [[ ! -e $OUT/$scenario ]] || refuse "$OUT/$scenario already exists: name another OUT"
  done
  clean_up_on_exit
  check_ramp_criteria
  render-report --check ${scenario_criteria:+--expect "$scenario_criteria"} ${PROFILE:+--profile "$PROFILE"}
  make_run_dir
  export SUITE_RUNS=yes
  stoppable "$@" soak EXPECT="$scenario_criteria" || true
  # Without records the soak refused its flags, and the ramp would refuse the same.
  [[ -e $OUT/soak/records.ndjson ]] || exit 2
  [[ $stopped ]] || stoppable "$@" ramp || true
  unset SUITE_RUNS
  dir=$OUT/soak made=yes
  write_index "$OUT" --planned soak,ramp
}

# both_or_neither A B
both_or_neither() {
  [[ $1 && $2 || ! $1$2 ]] || refuse 'A and B go together: set both, each to the directory of a finished leg'
  # LABEL=DIR also names the leg.
  [[ ! $1 || -d $1 || -d ${1#*=} ]] || refuse "A=$1: no such directory"
  [[ ! $2 || -d $2 || -d ${2#*=} ]] || refuse "B=$2: no such directory"
}

# write_index DIR [FLAG…]: writes the index page of DIR. The exit code is the verdict.
write_index() {
  local directory=$1 flags=("${@:2}")
  [[ ! $ramp_criteria ]] || flags+=(--expect "$ramp_criteria")
  [[ " $REPORT_FLAGS " != *' --redact '* ]] || flags+=(--redact)
  render-report --index "$directory" "${flags[@]}" > /dev/null
}

# Captures a window without jobs, from START to END.
capture() {
  refuse_ramp_criteria
  [[ $START ]] || refuse 'START is empty: say when the window begins, such as START=-5m'
  [[ ! -e $OUT || ! $(ls -A "$OUT") ]] || refuse "$OUT is not empty: name another OUT"
  end=${END:-now}
  [[ $end != now ]] || end=$(date +%s)
  dir=$OUT
  clean_up_on_exit
  check
  make_run_dir
  made=yes
  stoppable pipe
}

# Sets `directories` to the directories of RUN's scenarios: those with records or with one of the named files. RUN is the directory of a
# run, of a scenario, or of the legs or levels of one. The search goes no deeper, because RUN may be a whole disk by mistake.
scenarios_of_run() {
  [[ ! $EXPECT ]] || refuse 'EXPECT applies to a new run: to judge a scenario again use render-report --replay --out DIR --expect LIST'
  [[ -d $RUN ]] || refuse "RUN=$RUN does not exist: name the directory of a run or of a scenario"
  directories=()
  local place name run=${RUN%/}
  for place in "$run"/ "$run"/*/ "$run"/{ab,by-concurrency,ramp/by-concurrency}/*/; do
    for name in records.ndjson "$@"; do
      if [[ -e $place$name ]]; then
        directories+=("${place%/}")
        break
      fi
    done
  done
  mapfile -t directories < <(printf '%s\n' "${directories[@]}" | sort)
  if [[ ! ${directories[0]} ]]; then
    for place in "$run"/*/soak "$run"/*/{ab,ramp/by-concurrency}/*; do
      if [[ -e $place/records.ndjson ]]; then
        place=${place#"$run"/}
        refuse "RUN=$RUN is not a run but contains runs: name one of them, such as RUN=$run/${place%%/*}"
      fi
    done
    refuse "RUN=$RUN holds no records: name the directory of a run or of a scenario (there is no records.ndjson in soak/, ab/LEG/ or ramp/by-concurrency/LEVEL/)"
  fi
}

# Renders the reports of RUN again. The exit code is the verdict.
report() {
  scenarios_of_run
  local verdict=0
  ((${#directories[@]} == 1)) || brief=(--brief)
  for dir in "${directories[@]}"; do
    pipe && verdict=0 || verdict=$?
    [[ $verdict == [034] ]] || exit "$verdict"
  done
  write_indexes_of_run
  exit "$verdict"
}

# Polls the jobs of RUN that have no verdict to their end, then captures and reports again. The exit code is 69 if the target was
# unreachable, whatever the verdict on the earlier records is.
resume() {
  keep_going
  # After a power cut the journal may be all that is left.
  scenarios_of_run submissions.ndjson
  local verdict=0 failed=0
  for dir in "${directories[@]}"; do
    [[ ! $stopped ]] || break
    journal=()
    [[ -e $dir/records.ndjson ]] || : > "$dir/records.ndjson"
    [[ ! -e $dir/submissions.ndjson ]] || journal=(--journal "$dir/submissions.ndjson")
    stoppable pipe && verdict=0 || verdict=$?
    [[ $verdict == [034] ]] || failed=$verdict
  done
  write_indexes_of_run
  ((failed == 0)) || exit "$failed"
  exit "$verdict"
}

# resumed CODE…: ends a resumed pipe with the code of the last tool that did not end with 0, or with 69 if its first, poll-jobs, did.
resumed() {
  local code last=0
  for code; do
    ((code == 0)) || last=$code
  done
  (($1 != 69)) || last=69
  return "$last"
}

# Writes the index pages that list RUN: its ramp's, its own, and those of the directories above it, innermost first. Sets `verdict` to
# that of RUN's own index; a scenario has none.
write_indexes_of_run() {
  local place code flags
  for place in "$RUN/ramp" "$RUN" "$RUN/.." "$RUN/../.." "$RUN/../../.."; do
    if [[ -f $place/index.json || $place == "$RUN" || ($place == "$RUN/ramp" && -d $place) ]] && [[ ! -f $place/records.ndjson ]]; then
      # The directories above RUN have other runs as well.
      [[ $place == "$RUN/.."* ]] && flags=(--brief) || flags=()
      write_index "$(realpath --relative-to=. "$place")" "${flags[@]}" && code=0 || code=$?
      [[ $place != "$RUN" ]] || verdict=$code
    fi
  done
}
