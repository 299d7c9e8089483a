# shellcheck shell=bash disable=SC2034,SC2154
# What the cluster says about the pods of a run, and how long to wait for them.

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
  local watch
  trap '' INT
  trap 'kill "$watch"; exit' TERM
  while true; do
    # shellcheck disable=SC2086
    setsid $KUBECTL ${NAMESPACE:+--namespace="$NAMESPACE"} get pods --selector "$selector,batch.kubernetes.io/job-name" --watch \
      --output "jsonpath=$pod_fields" & watch=$!
    wait "$watch" || sleep 1
  done
}

list_pods() {
  kube get pods --selector "$selector,batch.kubernetes.io/job-name" --output "jsonpath={range .items[*]}$pod_fields{end}"
}

shard_dir() {
  printf '%s/shards/shard-%03d' "$dir" "$1"
}

# Takes one line of watch_pods.
declare -A shard_of=() exit_of=() ending=() started=() waiting=() fetched=() ended=() told=()
given_up=''
note_pod() {
  local pod index phase code end start reason json place
  IFS=$'\x1f' read -r pod index phase code end start reason json <<< "$1"
  [[ $index =~ ^[0-9]+$ && $pod =~ ^[a-z0-9.-]+$ ]] || return 0
  # Why it did not start is what was known before it was given up.
  [[ ! $given_up || $start ]] || return 0
  place=$(shard_dir "$index")
  mkdir -p "$place/pods"
  printf '%s\n' "$json" > "$place/pods/$pod.json"
  shard_of[$pod]=$index exit_of[$pod]=$code ending[$pod]=$end
  [[ ! $start ]] || started[$index]=yes
  waiting[$index]=$reason
}

# Waits until the Job has ended, or every shard has that ever started. Records in pods are fetched as soon as their shard has ended.
wait_for_shards() {
  local began=$SECONDS said=$SECONDS events watcher part='' state silent index stopping=''
  exec {events}< <(watch_pods 2> /dev/null)
  watcher=$!
  while true; do
    take_events
    fetch_ended
    [[ ! $stopped ]] || stop_shards
    state=$(kube get job "stress-$suffix" --ignore-not-found \
      --output 'jsonpath={.status.completedIndexes};{.status.failedIndexes};{.status.conditions[?(@.status=="True")].type}') || state=unknown
    [[ $state != unknown ]] || { say 'the cluster does not answer: trying again'; continue; }
    [[ $state && ! $state =~ \;[^\;]*(Complete|Failed)[^\;]*$ ]] || break
    note_ended "${state%;*}"
    ((${#ended[@]} < N)) || break
    mapfile -t silent < <(shards_without_start)
    if ((${#silent[@]} && ${#ended[@]} + ${#silent[@]} >= N)) && { [[ $stopping ]] || ((SECONDS - began >= ${START_WITHIN%s})); }; then
      for index in "${silent[@]}"; do say "shard $index has not started after $((SECONDS - began)) s${waiting[$index]:+: ${waiting[$index]}}"; done
      give_up_silent
      break
    fi
    if ((SECONDS - said >= 5)); then
      said=$SECONDS
      index=${silent[0]:-}
      say "${#ended[@]} of $N shards have ended, ${#started[@]} have started, after $((SECONDS - began)) s${index:+${waiting[$index]:+; shard $index: ${waiting[$index]}}}"
    fi
  done
  # The last that is known of pods that went with the Job.
  take_events
  kill "$watcher" 2> /dev/null || true
  exec {events}<&-
}

# Takes all that the watch has said, or what it says within a second. A line may come in two parts.
take_events() {
  local line
  while true; do
    IFS= read -r -t 1 -u "$events" line || { part+=$line; return 0; }
    note_pod "$part$line"
    part=''
    read -r -t 0 -u "$events" || return 0
  done
}

# Fetches what pods have whose shard has ended, or that are to end.
fetch_ended() {
  local pod failed due=()
  for pod in "${!shard_of[@]}"; do
    [[ ${fetched[$pod]:-} != "$(end_of "$pod")" ]] || continue
    due+=("$pod")
    # Its pod still waits for others to fetch the records. A shard on a claim has ended when the Job says so: it may start again.
    [[ $CLAIM || ! ${exit_of[$pod]} ]] || ended[${shard_of[$pod]}]=yes
  done
  ((${#due[@]})) || return 0
  at_once fetch_once "${due[@]}"
  # Once more in the next round, while there is a pod.
  for pod in "${due[@]}"; do [[ " ${failed[*]} " == *" $pod "* ]] || fetched[$pod]=$(end_of "$pod"); done
}

# Whether a pod's shard has ended, and whether the pod is to end.
end_of() {
  printf '%s' "${exit_of[$1]:+ended}${ending[$1]:+ending}"
}

# First the records: when they are complete, so is the log.
fetch_once() {
  [[ $CLAIM ]] || fetch_from_pod "$1" || ! kube get pod "$1" > /dev/null 2>&1 || return
  fetch_logs "$1"
}

# A pod that has not started in time must not start when nobody waits for it any more: its jobs are missing. A run that is kept goes on.
give_up_silent() {
  local pod
  [[ $KEEP != yes ]] || return 0
  given_up=yes
  kube delete job "stress-$suffix" --ignore-not-found --cascade=orphan > /dev/null || say 'the Job cannot be deleted: late pods may still start'
  for pod in "${!shard_of[@]}"; do
    [[ ${started[${shard_of[$pod]}]:-} ]] || kube delete pod "$pod" --ignore-not-found --wait=false > /dev/null || true
  done
}

shards_without_start() {
  local index
  for ((index = 0; index < N; index++)); do [[ ${started[$index]:-} ]] || printf '%s\n' "$index"; done
}

# Lets the shards end by themselves, with their jobs as Interrupted. On a claim they would be started again, so the Job goes first. The tools
# take a second signal as the order to quit at once, so each pod gets one.
stop_shards() {
  local pod code
  if [[ ! $stopping ]]; then
    stopping=yes
    say 'stopping: the shards end their jobs as Interrupted; Ctrl-C again removes the run at once'
    trap 'remove_now' INT TERM
    [[ ! $CLAIM ]] || kube delete job "stress-$suffix" --ignore-not-found --cascade=foreground > /dev/null
  fi
  [[ ! $CLAIM ]] || return 0
  for pod in "${!shard_of[@]}"; do
    [[ ! ${exit_of[$pod]} && ! ${told[$pod]:-} ]] || continue
    code=0
    kube exec "$pod" --container shard -- kill -TERM 1 2> /dev/null || code=$?
    # The shard passes the signal on to every process of its container, and so perhaps to this kill.
    [[ $code != 0 && $code != 143 ]] || told[$pod]=yes
  done
}

# note_ended LISTS: takes the shards in lists such as 1,3-5;7 as ended.
note_ended() {
  local range index
  for range in ${1//[,;]/ }; do
    for ((index = ${range%-*}; index <= ${range#*-}; index++)); do ended[$index]=yes; done
  done
}

remove_now() {
  trap '' INT TERM
  remove "$selector" || say "the run's objects are still there: remove them with make k8s-clean"
  exit 130
}
