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

# --- before anything is applied ------------------------------------------------------------------------------------------------

# Refuses values that no run could have. Sets `suffix`, which ends the names of the run's objects.
check_settings() {
  local name
  [[ $N =~ ^[1-9][0-9]{0,4}$ ]] || refuse "N=$N is not a number of pods from 1 to 99999"
  [[ $JOBS =~ ^[1-9][0-9]*$ ]] || refuse "JOBS=$JOBS is not a whole number of at least 1"
  ((JOBS >= N)) || refuse "JOBS=$JOBS is less than N=$N: a pod would have no job"
  [[ $TARGET ]] || refuse 'TARGET is empty: name an address that pods can reach, such as http://my-api.my-namespace:8000'
  [[ $RUN_ID =~ ^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$ ]] || refuse "RUN_ID=$RUN_ID cannot be a label: use at most 63 letters, digits, '-', '_' and '.'"
  if [[ $RATE ]]; then
    [[ $RATE =~ ^[0-9.]+/(s|min|h)$ ]] || refuse "RATE=$RATE is not a rate such as 5/s"
  else
    [[ $CONCURRENCY =~ ^[1-9][0-9]*$ ]] || refuse "CONCURRENCY=$CONCURRENCY is not a whole number of at least 1"
    ((CONCURRENCY >= N)) || refuse "CONCURRENCY=$CONCURRENCY is less than N=$N: a pod would have no job in flight"
  fi
  for name in START_IN START_WITHIN KEEP_FOR; do
    [[ ${!name} =~ ^[0-9]{1,6}s$ ]] || refuse "$name=${!name} is not a whole number of seconds such as 90s"
  done
  [[ $CAPTURE =~ ^(cluster)?$ ]] || refuse "CAPTURE=$CAPTURE: set it to cluster or leave it empty"
  for name in HEADERS CACERT PROFILE; do
    [[ ! ${!name} || -r ${!name} ]] || refuse "$name=${!name} cannot be read"
  done
  for name in TARGET TARGET_FLAGS SUBMIT_FLAGS POLL_FLAGS WORKER_ROOT; do
    [[ ${!name} != *$'\n'* ]] || refuse "$name has a line end in it"
  done
  suffix=$(sha256sum <<< "$RUN_ID" | head -c 8)
  selector=$managed,stress-suite/run=$RUN_ID
}

# The cluster must know the fields of the Job that keep a shard from running twice, and the user must be allowed every later step.
check_cluster() {
  local version minor rights=() right missing=() answer
  version=$(kube version --output json) || refuse "the cluster does not answer: check \`$KUBECTL version\`"
  version=$(sed -n '/"serverVersion"/,$ s/.*"gitVersion": "\(v[^"]*\)".*/\1/p' <<< "$version" | head -n 1)
  minor=${version#v1.}
  minor=${minor%%.*}
  [[ $minor =~ ^[0-9]+$ ]] && ((minor >= 29)) || refuse "the cluster has Kubernetes ${version:-of an unknown version}: 1.29 or newer is needed"
  rights=('create jobs.batch' 'delete jobs.batch' 'get jobs.batch' 'create configmaps' 'delete configmaps' 'list pods' 'watch pods' 'get pods/log'
    'create pods/exec')
  [[ ! $HEADERS$CACERT ]] || rights+=('create secrets' 'delete secrets')
  [[ ! $CAPTURE ]] || rights+=('create pods' 'delete pods')
  [[ ! $CLAIM ]] || rights+=('create persistentvolumeclaims' 'delete persistentvolumeclaims' 'create pods' 'delete pods')
  for right in "${rights[@]}"; do
    # shellcheck disable=SC2086
    answer=$(kube auth can-i $right 2>&1) || true
    [[ ${answer##*$'\n'} == yes ]] || missing+=("$right")
  done
  ((${#missing[@]} == 0)) || refuse "$(printf '%s, ' "${missing[@]}" | sed 's/, $//'): not allowed in namespace ${NAMESPACE:-of the context}: ask for a Role, or set NAMESPACE"
}

# True if the host of TARGET is loopback, a Service of the cluster by its name, or the address of one of its Services or pods.
target_is_near() {
  local host=${TARGET#*://} name space
  host=${host%%/*}
  host=${host##*@}
  [[ $host == \[* ]] && host=${host%%]*}] || host=${host%%:*}
  [[ $host =~ ^(localhost|127(\.[0-9]+){3}|\[::1\])$ || $host =~ \.svc(\.|$) || $host =~ \.cluster\.local$ ]] && return
  host=${host#[}
  host=${host%]}
  if [[ $host =~ ^[0-9.]+$ || $host == *:* ]]; then
    { kube get services,pods --all-namespaces --output 'jsonpath={range .items[*]}{.spec.clusterIP} {.status.podIP}{"\n"}{end}' 2> /dev/null ||
      kube get services,pods --output 'jsonpath={range .items[*]}{.spec.clusterIP} {.status.podIP}{"\n"}{end}' 2> /dev/null; } |
      tr ' ' '\n' | grep -Fxq -- "$host"
    return
  fi
  IFS=. read -r name space <<< "$host"
  [[ $space != *.* ]] && kube get service "$name" ${space:+--namespace="$space"} > /dev/null 2>&1
}

# A large load on an address elsewhere needs one yes.
ask() {
  local per_second answer=''
  per_second=$(awk -v rate="${RATE:-0/s}" 'BEGIN { split(rate, part, "/"); print part[1] / (part[2] == "min" ? 60 : part[2] == "h" ? 3600 : 1) }')
  ((JOBS > 1000)) || awk -v rate="$per_second" 'BEGIN { exit !(rate > 50) }' || return 0
  [[ $YES != yes && $YES != 1 ]] || return 0
  ! target_is_near || return 0
  if [[ -t 0 && -t 2 ]]; then
    printf 'k8s: send %s jobs%s to %s, which is outside the cluster? [y/N] ' "$JOBS" "${RATE:+ at $RATE}" "$TARGET" >&2
    read -r answer
  fi
  [[ $answer == [yY]* ]] || refuse "$JOBS jobs${RATE:+ at $RATE} would go to $TARGET, which is outside the cluster: set YES=1 if it is yours to load"
}

# --- the run's objects ---------------------------------------------------------------------------------------------------------

# Writes the overlay of this run to DIR/overlay: what `kubectl apply -k` reads.
write_overlay() {
  local overlay=$dir/overlay here start_at=''
  mkdir -p "$overlay"
  here=$(realpath --relative-to="$overlay" deploy/kubernetes)
  start_at=$(($(date +%s) + ${START_IN%s}))
  {
    printf '%s=%s\n' RUN_ID "$RUN_ID" SHARDS "$N" JOBS "$JOBS" PREFIX soak TARGET "$TARGET" START_AT "$start_at" WORKER_ROOT "$WORKER_ROOT" \
      TARGET_FLAGS "$TARGET_FLAGS" SUBMIT_FLAGS "$SUBMIT_FLAGS" POLL_FLAGS "$POLL_FLAGS" KEEP_FOR "${KEEP_FOR%s}"
    [[ $RATE ]] && printf 'RATE=%s\n' "$RATE" || printf 'CONCURRENCY=%s\n' "$CONCURRENCY"
  } > "$overlay/settings.env"
  {
    printf '# Written by `make k8s`: see docs/kubernetes.md.\nresources: [%s/base]\ncomponents:\n' "$here"
    [[ ! $CLAIM ]] || printf '  - %s/components/pvc\n' "$here"
    [[ ! $DATA_CLAIM ]] || printf '  - %s/components/fixtures\n' "$here"
    [[ ! $CAPTURE ]] || printf '  - %s/components/capture\n' "$here"
    local component
    for component in $COMPONENTS; do printf '  - %s\n' "$(realpath --relative-to="$overlay" "$component")"; done
    [[ ! $NAMESPACE ]] || printf 'namespace: %s\n' "$NAMESPACE"
    printf 'nameSuffix: -%s\nlabels:\n  - {pairs: {%s, stress-suite/run: "%s"}, includeTemplates: true}\n' "$suffix" "${managed/=/: }" "$RUN_ID"
    printf 'images:\n  - name: stress-suite\n    newName: %s\n' "$(sed 's/[@:][^/]*$//' <<< "$IMAGE")"
    [[ $IMAGE == *@* ]] && printf '    digest: %s\n' "${IMAGE#*@}" || printf '    newTag: "%s"\n' "$(sed -n 's/.*:\([^/]*\)$/\1/p' <<< "$IMAGE")"
    printf 'configMapGenerator:\n  - {name: stress-settings, behavior: replace, envs: [settings.env]}\n'
    if [[ $PROFILE ]]; then
      cp "$PROFILE" "$overlay/profile.toml"
      printf '  - {name: stress-profile, files: [profile.toml]}\n'
    fi
    printf 'patches:\n  - target: {kind: Job, name: stress}\n    patch: |\n'
    printf '      - {op: replace, path: /spec/%s, value: %s}\n' completions "$N" parallelism "$N"
    # By name, because the Secret is no part of the overlay: its content is in no file of the run.
    printf '  - target: {kind: Job, name: stress}\n    patch: |\n      apiVersion: batch/v1\n      kind: Job\n      metadata: {name: stress}\n'
    printf '      spec: {template: {spec: {volumes: [{name: headers, secret: {secretName: stress-headers-%s}}]}}}\n' "$suffix"
    [[ ! $CLAIM ]] || printf '  - target: {kind: PersistentVolumeClaim, name: stress-records}\n    patch: |\n      - {op: replace, path: /spec/resources/requests/storage, value: %s}\n' "$CLAIM"
    [[ ! $DATA_CLAIM ]] || printf '  - target: {kind: Job, name: stress}\n    patch: |\n      apiVersion: batch/v1\n      kind: Job\n      metadata: {name: stress}\n      spec: {template: {spec: {volumes: [{name: data, persistentVolumeClaim: {claimName: %s}}]}}}\n' "$DATA_CLAIM"
  } > "$overlay/kustomization.yaml"
}

apply() {
  local files=()
  [[ ! $HEADERS ]] || files+=("--from-file=headers=$HEADERS")
  [[ ! $CACERT ]] || files+=("--from-file=ca.crt=$CACERT")
  if ((${#files[@]})); then
    kube create secret generic "stress-headers-$suffix" "${files[@]}" --dry-run=client --output yaml |
      kube label --local --filename - --output yaml "$managed" "stress-suite/run=$RUN_ID" |
      kube create --filename - > /dev/null
  fi
  kube apply --kustomize "$dir/overlay" > /dev/null
}

# Removes the run's objects, found by their labels, and waits until they are gone.
remove() {
  kube delete jobs,pods,configmaps,secrets,persistentvolumeclaims --selector "$1" --ignore-not-found --cascade=foreground > /dev/null
}

# --- waiting -------------------------------------------------------------------------------------------------------------------

# What note_pod reads of a pod: its name, shard, phase, the shard's exit code, the time at which the pod is to end, when the shard started,
# why it waits, and the whole pod.
set_pod_fields() {
  # Not a tab: a watch would align the columns with spaces.
  local tab=$'\x1f' shard='.status.containerStatuses[?(@.name=="shard")].state'
  pod_fields="{.metadata.name}$tab{.metadata.annotations.batch\\.kubernetes\\.io/job-completion-index}$tab{.status.phase}$tab"
  pod_fields+="{$shard.terminated.exitCode}$tab{.metadata.deletionTimestamp}$tab{$shard.running.startedAt}{$shard.terminated.startedAt}$tab"
  pod_fields+="{.status.conditions[?(@.type==\"PodScheduled\")].message}{$shard.waiting.reason}$tab{@}{\"\\n\"}"
}

# One line per change of a pod. A watch ends now and then; the next one begins with all pods.
watch_pods() {
  while true; do
    kube get pods --selector "$selector,batch.kubernetes.io/job-name" --watch --output "jsonpath=$pod_fields" || sleep 1
  done
}

list_pods() {
  kube get pods --selector "$selector,batch.kubernetes.io/job-name" --output "jsonpath={range .items[*]}$pod_fields{end}"
}

shard_dir() {
  printf '%s/shards/shard-%03d' "$dir" "$1"
}

# Takes one line of watch_pods.
declare -A shard_of=() exit_of=() ending=() started=() waiting=() fetched=()
note_pod() {
  local pod index phase code end start reason json place
  IFS=$'\x1f' read -r pod index phase code end start reason json <<< "$1"
  [[ $index =~ ^[0-9]+$ && $pod =~ ^[a-z0-9.-]+$ ]] || return 0
  place=$(shard_dir "$index")
  mkdir -p "$place/pods"
  printf '%s\n' "$json" > "$place/pods/$pod.json"
  shard_of[$pod]=$index exit_of[$pod]=$code ending[$pod]=$end
  [[ ! $start ]] || started[$index]=yes
  waiting[$index]=$reason
}

# Waits until the Job has ended, or every shard has that ever started. Records in pods are fetched as soon as their shard has ended.
wait_for_shards() {
  local line began=$SECONDS told=$SECONDS state ended events watcher pod index silent stopping=''
  exec {events}< <(watch_pods 2> /dev/null)
  watcher=$!
  while true; do
    while IFS= read -r -t 1 -u "$events" line; do
      note_pod "$line"
      ! read -r -t 0 -u "$events" || continue
      break
    done
    for pod in "${!shard_of[@]}"; do
      if [[ ${exit_of[$pod]}${ending[$pod]} && ! ${fetched[$pod]:-} ]]; then
        fetched[$pod]=yes
        fetch_logs "$pod"
        [[ $CLAIM ]] || fetch_from_pod "$pod" || true
      fi
    done
    if [[ $stopped && ! $stopping ]]; then
      stopping=yes
      say 'stopping: the shards end their jobs as Interrupted; Ctrl-C again removes the run at once'
      trap 'remove_now' INT TERM
      for pod in "${!shard_of[@]}"; do
        [[ ${exit_of[$pod]} ]] || kube exec "$pod" --container shard -- kill -TERM 1 2> /dev/null || true
      done
    fi
    state=$(kube get job "stress-$suffix" --output 'jsonpath={.status.completedIndexes};{.status.failedIndexes};{.status.conditions[?(@.status=="True")].type}') ||
      { [[ $stopped ]] || say 'the cluster does not answer: trying again'; continue; }
    ended=$(count_indexes "${state%;*}")
    if [[ $state =~ \;[^\;]*(Complete|Failed)[^\;]*$ ]]; then break; fi
    silent=()
    for ((index = 0; index < N; index++)); do [[ ${started[$index]:-} ]] || silent+=("$index"); done
    if ((${#silent[@]} && SECONDS - began >= ${START_WITHIN%s} && ended + ${#silent[@]} >= N)) || [[ $stopping && ${#silent[@]} -gt 0 && $((ended + ${#silent[@]})) -ge $N ]]; then
      for index in "${silent[@]}"; do say "shard $index has not started after ${START_WITHIN%s} s${waiting[$index]:+: ${waiting[$index]}}"; done
      break
    fi
    if ((SECONDS - told >= 5)); then
      told=$SECONDS
      say "$ended of $N shards have ended, ${#started[@]} have started, after $((SECONDS - began)) s"
    fi
  done
  kill "$watcher" 2> /dev/null || true
  exec {events}<&-
}

# count_indexes LISTS: how many numbers are in lists such as 1,3-5;7.
count_indexes() {
  awk -v RS='[,;\n]' 'NF { split($1, end, "-"); count += (end[2] == "" ? end[1] : end[2]) - end[1] + 1 } END { print count + 0 }' <<< "$1"
}

remove_now() {
  trap '' INT TERM
  remove "$selector" || say "the run's objects are still there: make k8s-clean"
  exit 130
}

# --- fetching ------------------------------------------------------------------------------------------------------------------

# The log of a pod's shard, as far as the kubelet still has it. A log that was read whole is not read again: it can only become shorter.
fetch_logs() {
  local pod=$1 place log
  place=$(shard_dir "${shard_of[$pod]}")
  log=$place/stdout-$pod.log
  mkdir -p "$place"
  if kube logs "$pod" --container shard > "$log.part" 2> /dev/null && [[ $(wc -c < "$log.part") -ge $(stat -c %s "$log" 2> /dev/null || echo 0) ]]; then
    mv "$log.part" "$log"
  else
    rm -f "$log.part"
  fi
}

# fetch_files POD CONTAINER FROM TO COMMAND: the files below FROM in the pod that COMMAND, run there, lists, into TO. Each is continued where an
# earlier try ended, until its length and SHA-256 are right.
fetch_files() {
  local pod=$1 container=$2 from=$3 to=$4 list size sum name have try
  list=$(kube exec "$pod" --container "$container" -- sh -c "cd '$from' && $5 | while read -r f; do echo \$(stat -c %s \"\$f\") \$(sha256sum < \"\$f\" | head -c 64) \"\$f\"; done") || return
  while read -r size sum name; do
    [[ $size =~ ^[0-9]+$ && $name =~ ^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$ ]] || continue
    mkdir -p "$(dirname "$to/$name")"
    for try in 1 2 3 4 5; do
      have=$(stat -c %s "$to/$name" 2> /dev/null || echo -1)
      if ((have == size)); then
        [[ $(sha256sum < "$to/$name" | head -c 64) != "$sum" ]] || continue 2
      fi
      if ((have < 0 || have >= size)); then
        : > "$to/$name"
        have=0
      fi
      kube exec "$pod" --container "$container" -- tail -c "+$((have + 1))" "$from/$name" < /dev/null >> "$to/$name" || true
    done
    [[ $(sha256sum < "$to/$name" | head -c 64) == "$sum" ]] || { say "$from/$name of $pod could not be fetched whole"; return 1; }
  done <<< "$list"
}

# fetch_shard POD CONTAINER INDEX: the records and the journal of a shard, after the last of its tools has ended and freed the lock.
fetch_shard() {
  fetch_files "$1" "$2" "/records/shard-$3" "$(shard_dir "$3")" 'flock -s lock true && ls records.ndjson submissions.ndjson 2> /dev/null'
}

# Records that lie in a pod: after this, the pod ends.
fetch_from_pod() {
  fetch_shard "$1" keep "${shard_of[$1]}" 2> /dev/null && kube exec "$1" --container keep -- touch /records/fetched 2> /dev/null
}

# The records of all shards from the claim, through a pod that reads it.
fetch_from_claim() {
  local index reader=stress-reader-$suffix failed=0
  kube apply --filename - > /dev/null << POD
apiVersion: v1
kind: Pod
metadata:
  name: $reader
  labels: {${managed/=/: }, stress-suite/run: "$RUN_ID"}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 10001, runAsGroup: 10001, fsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
  terminationGracePeriodSeconds: 0
  containers:
    - name: reader
      image: $IMAGE
      command: [sleep, "3600"]
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: records, mountPath: /records, readOnly: true}]
  volumes: [{name: records, persistentVolumeClaim: {claimName: stress-records-$suffix}}]
POD
  kube wait "pod/$reader" --for condition=Ready --timeout 2m > /dev/null || { say "the pod that reads the claim does not start: \`$KUBECTL describe pod $reader\`"; return 1; }
  for ((index = 0; index < N; index++)); do
    kube exec "$reader" -- test -e "/records/shard-$index/lock" 2> /dev/null || continue
    fetch_shard "$reader" reader "$index" || failed=1
  done
  kube delete pod "$reader" > /dev/null
  return "$failed"
}

# What the cluster has of the run, into DIR/shards. What was fetched before stays.
fetch() {
  local pod failed=0 line place
  while IFS= read -r line; do note_pod "$line"; done < <(list_pods)
  for pod in "${!shard_of[@]}"; do
    fetch_logs "$pod"
    [[ $CLAIM || ${exit_of[$pod]} == '' ]] || fetch_from_pod "$pod" || true
  done
  [[ ! $CLAIM ]] || fetch_from_claim || failed=1
  for place in "$dir"/shards/shard-*; do
    # As `kubectl get pods -o json` would print them; those that are gone as they were last seen.
    [[ ! -d $place/pods ]] || { printf '{"apiVersion":"v1","kind":"List","items":[' && cat "$place"/pods/*.json | paste -sd, && printf ']}\n'; } > "$place/pods.json"
  done
  return "$failed"
}

# The logs of the pods that LOGS_OF selects, into one file per container, from the start of the run.
fetch_worker_logs() {
  local pod container
  [[ $LOGS_OF ]] || return 0
  mkdir -p "$dir/worker-logs"
  while read -r pod container; do
    [[ $container =~ ^[a-z0-9-]+$ ]] || continue
    kube logs "$pod" --container "$container" --timestamps --since-time "$began_at" >> "$dir/worker-logs/$container.log" || say "no log of $container in $pod"
  done < <(kube get pods --selector "$LOGS_OF" --output 'jsonpath={range .items[*]}{range .spec.containers[*]}{$.metadata.name} {.name}{"\n"}{end}{end}')
}

# --- the targets ---------------------------------------------------------------------------------------------------------------

# The stream of all shards. While flags are checked there is none.
stream() {
  if [[ -e $dir/captured.ndjson ]]; then
    cat "$dir/captured.ndjson"
  elif [[ -d $dir/shards ]]; then
    merge-shards "$dir/shards" --shards "$N" --run "$RUN_ID"
  fi
}

# Runs `in_cluster`, which the recipe defines, in the pod of components/capture, and fetches what it wrote.
capture_in_cluster() {
  local pod=stress-capture-$suffix records=$dir/shards/merged.ndjson try sum
  [[ $CAPTURE ]] || return 0
  stream > "$records"
  sum=$(sha256sum < "$records")
  kube wait "pod/$pod" --for condition=Ready --timeout 2m > /dev/null || return
  for try in 1 2 3; do
    [[ $(kube exec --stdin "$pod" -- sh -c 'cat > /tmp/records && sha256sum < /tmp/records' < "$records") != "$sum" ]] || break
    ((try < 3)) || { say "$pod did not get the records"; return 1; }
  done
  kube exec "$pod" -- sh -c "$(declare -f in_cluster); mkdir -p /tmp/run && in_cluster < /tmp/records > /tmp/run/captured.ndjson" || say 'not all captures are complete'
  fetch_files "$pod" capture /tmp/run "$dir" 'find * -type f' || { rm -f "$dir/captured.ndjson"; return 1; }
  rm "$records"
}

# Runs the shards in the cluster, then the captures and the report here. The exit code is the verdict.
k8s() {
  local verdict=0 whole=yes
  tools=(capture-logs capture-prom capture-jaeger render-report)
  refuse_ramp_criteria
  check_settings
  set_pod_fields
  dir=$OUT/soak
  check
  check_cluster
  ask
  make_run_dir
  mkdir "$dir"
  began_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  write_overlay
  keep_going
  trap 'say "the run is still in the cluster: make k8s-fetch RUN_ID=$RUN_ID gets its records, make k8s-clean RUN_ID=$RUN_ID removes it"' EXIT
  apply
  mkdir "$dir/shards"
  say "run $RUN_ID: $N pods, $JOBS jobs"
  wait_for_shards
  fetch || whole=''
  fetch_worker_logs
  capture_in_cluster || say 'nothing was captured in the cluster'
  pipe || verdict=$?
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
  ((${#runs[@]})) || refuse "there is no run in namespace ${NAMESPACE:-of the context}"
  ((${#runs[@]} == 1)) || refuse "there are several runs: set RUN_ID to one of ${runs[*]}"
  RUN_ID=${runs[0]}
}

# k8s_fetch [RUN_ID]: fetches the records of a run that is still in the cluster, and reports on them. Changes nothing there.
k8s_fetch() {
  local verdict=0
  tools=(capture-logs capture-prom capture-jaeger render-report)
  RUN_ID=${1:-}
  [[ $RUN_ID ]] || find_run
  suffix=$(sha256sum <<< "$RUN_ID" | head -c 8)
  selector=$managed,stress-suite/run=$RUN_ID
  set_pod_fields
  N=$(kube get job "stress-$suffix" --output 'jsonpath={.spec.completions}') || refuse "there is no run $RUN_ID in namespace ${NAMESPACE:-of the context}"
  began_at=$(kube get job "stress-$suffix" --output 'jsonpath={.status.startTime}')
  CLAIM=$(kube get persistentvolumeclaims --selector "$selector" --output 'jsonpath={.items[*].metadata.name}')
  IMAGE=$(kube get job "stress-$suffix" --output 'jsonpath={.spec.template.spec.containers[0].image}')
  dir=$OUT/soak
  make_run_dir
  mkdir -p "$dir/shards"
  fetch || verdict=74
  fetch_worker_logs
  capture_in_cluster || say 'nothing was captured in the cluster'
  pipe || verdict=$?
  exit "$verdict"
}

# k8s_clean [RUN_ID]: removes what runs have left in the namespace. A run whose pods still work is only removed if it is named.
k8s_clean() {
  local found active left=$managed${1:+,stress-suite/run=$1} kinds=jobs,pods,configmaps,secrets,persistentvolumeclaims
  found=$(kube get "$kinds" --selector "$left" --output name)
  [[ $found ]] || { say "nothing of stress-suite is in namespace ${NAMESPACE:-of the context}"; return 0; }
  if [[ ! $1 && $YES != yes && $YES != 1 ]]; then
    active=$(kube get jobs --selector "$managed" --output 'jsonpath={range .items[?(@.status.active>0)]}{.metadata.labels.stress-suite/run} {end}')
    [[ ! $active ]] || refuse "still at work: ${active% }: name one with RUN_ID=, or set YES=1 to remove all"
  fi
  remove "$left"
  say "removed $(wc -l <<< "$found") objects:" $found
}
