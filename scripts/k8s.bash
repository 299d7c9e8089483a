# shellcheck shell=bash
# The functions behind `make k8s`, `make k8s-fetch` and `make k8s-clean`, sourced after scripts/scenarios.bash. A run's objects have the labels
# app.kubernetes.io/managed-by=stress-suite and stress-suite/run=RUN_ID; everything that the cluster says about the pods is kept in
# DIR/shards/shard-NNN. docs/kubernetes.md shows each step with kubectl alone.
# shellcheck disable=SC2034,SC2154
shopt -s inherit_errexit

managed=app.kubernetes.io/managed-by=stress-suite

# Ctrl-C ends what waits for the cluster, not the requests to it.
kube() {
  # shellcheck disable=SC2086
  setsid --wait $KUBECTL ${NAMESPACE:+--namespace="$NAMESPACE"} "$@"
}

say() {
  printf 'k8s: %s\n' "$*" >&2
}

# The namespace, as messages name it.
named_namespace() {
  printf '%s' "${NAMESPACE:+namespace }${NAMESPACE:-the namespace of the current context}"
}

quit=''
# at_once COMMAND ITEM…: calls COMMAND for each item, eight at a time, each in a shell of its own, until `quit` is set. Sets `failed` to the items for which it failed.
at_once() {
  local command=$1 item pid items=("${@:2}") pids
  failed=()
  while ((${#items[@]})) && [[ ! $quit ]]; do
    pids=()
    for item in "${items[@]:0:8}"; do
      { "$command" "$item" || exit; } & pids+=($!)
    done
    for pid in "${pids[@]}"; do
      # Ctrl-C ends the wait, not what is waited for.
      while ! wait "$pid"; do
        kill -0 "$pid" 2> /dev/null || { wait "$pid" || failed+=("${items[0]}"); break; }
      done
      items=("${items[@]:1}")
    done
  done
}

for part in scripts/k8s/*.bash; do
  # shellcheck disable=SC1090
  . "$part"
done

# The Runs of all shards as they were planned: if no shard has spoken, nothing else says which jobs are missing.
plan() {
  local index
  for ((index = 0; index < N; index++)); do
    printf '{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"soak-shard-%s","run":"%s","labels":{"scenario":"soak"}},' "$index" "$RUN_ID"
    printf '"spec":{"scenario":"soak","prefix":"soak","jobs":%s,"shard":{"index":%s,"count":%s}}}\n' "$JOBS" "$index" "$N"
  done
}

# The stream of all shards. While flags are checked there is none.
stream() {
  if [[ -e $dir/captured.ndjson ]]; then
    cat "$dir/captured.ndjson"
  elif [[ -d $dir/shards ]]; then
    cat "$dir"/shards/*/{records.ndjson,stdout-*.log} 2> /dev/null | grep -q '"kind":"Run"' || plan
    merge-shards "$dir/shards" --shards "$N" --run "$RUN_ID"
  fi
}

# Names the objects of RUN_ID: `suffix` ends their names, `selector` finds them.
name_objects() {
  suffix=$(sha256sum <<< "$RUN_ID" | head -c 8)
  selector=$managed,stress-suite/run=$RUN_ID
}

# Captures and reports, once the records have been fetched. Sets `verdict` if it is not Passed.
capture_and_report() {
  fetch_worker_logs
  capture_in_cluster || say 'nothing was captured in the cluster'
  pipe || verdict=$?
  rm -f "$dir/captured.ndjson"
}

# Runs the shards in the cluster, then the captures and the report here. The exit code is the verdict.
k8s() {
  local verdict=0 whole=yes
  tools=(capture-logs capture-prom capture-jaeger render-report)
  refuse_ramp_criteria
  check_settings
  set_pod_fields
  dir=$OUT/soak
  worker_logs=${LOGS:-off}
  check
  check_pods
  check_cluster
  ask
  make_run_dir
  mkdir "$dir"
  began_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  write_overlay
  keep_going
  trap 'say "the run is still in the cluster: make k8s-fetch RUN_ID=$RUN_ID gets its records, make k8s-clean RUN_ID=$RUN_ID removes it"' EXIT
  apply || { remove "$selector" && trap - EXIT; exit 2; }
  mkdir "$dir/shards"
  say "run $RUN_ID: $N pods, $JOBS jobs"
  wait_for_shards
  fetch || whole=''
  capture_and_report
  if [[ $KEEP == yes ]]; then
    exit "$verdict"
  elif [[ $whole ]]; then
    trap - EXIT
    remove "$selector"
  fi
  exit "$verdict"
}

# Sets RUN_ID to that of the only run in the namespace.
find_run() {
  local runs
  mapfile -t runs < <(kube get jobs --selector "$managed" --output 'jsonpath={range .items[*]}{.metadata.labels.stress-suite/run}{"\n"}{end}')
  ((${#runs[@]})) || refuse "there is no run in $(named_namespace)"
  ((${#runs[@]} == 1)) || refuse "there are several runs: set RUN_ID to one of ${runs[*]}"
  RUN_ID=${runs[0]}
}

# k8s_fetch [RUN_ID]: fetches the records of a run that is still in the cluster, and reports on them. Changes nothing there.
k8s_fetch() {
  local verdict=0
  RUN_ID=${1:-}
  [[ $RUN_ID ]] || find_run
  name_objects
  set_pod_fields
  N=$(kube get job "stress-$suffix" --output 'jsonpath={.spec.completions}') || refuse "there is no run $RUN_ID in $(named_namespace)"
  JOBS=$(kube get configmaps --selector "$selector" --output 'jsonpath={.items[*].data.JOBS}')
  began_at=$(kube get job "stress-$suffix" --output 'jsonpath={.status.startTime}')
  CLAIM=$(kube get persistentvolumeclaims --selector "$selector" --output 'jsonpath={.items[*].metadata.name}')
  IMAGE=$(kube get job "stress-$suffix" --output 'jsonpath={.spec.template.spec.containers[0].image}')
  [[ ! $CLAIM || ! $(kube get job "stress-$suffix" --output 'jsonpath={.status.active}') ]] || say 'waiting for the shards that are still at work'
  dir=$OUT/soak
  worker_logs=${LOGS:-off}
  make_run_dir
  mkdir -p "$dir/shards"
  # No process is left that still writes what the next fetch reads.
  trap 'quit=yes' INT TERM
  fetch || verdict=74
  [[ ! $quit ]] || exit 130
  trap - INT TERM
  capture_and_report
  exit "$verdict"
}

# k8s_clean [RUN_ID]: removes what runs have left in the namespace. A run whose pods still work is only removed if it is named.
k8s_clean() {
  local found active left=$managed${1:+,stress-suite/run=$1} kinds
  kinds=jobs,pods,configmaps$(optional_kinds)
  found=$(kube get "$kinds" --selector "$left" --output name)
  [[ $found ]] || { say "nothing of stress-suite is in $(named_namespace)"; return 0; }
  if [[ ! $1 && $YES != yes && $YES != 1 ]]; then
    active=$(kube get jobs --selector "$managed" --output 'jsonpath={range .items[?(@.status.active>0)]}{.metadata.labels.stress-suite/run} {end}')
    [[ ! $active ]] || refuse "still at work: ${active% }: name one with RUN_ID=, or set YES=1 to remove all"
  fi
  remove "$left"
  say "removed $(wc -l <<< "$found") objects:" $found
}
