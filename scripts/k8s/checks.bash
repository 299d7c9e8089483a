# shellcheck shell=bash disable=SC2034,SC2154
# What `make k8s` checks before anything is applied.

# Refuses values that no run could have, and names the run's objects.
check_settings() {
  local name
  [[ $N =~ ^[1-9][0-9]{0,4}$ ]] || refuse "N=$N is not a number of pods from 1 to 99999"
  [[ $JOBS =~ ^[1-9][0-9]*$ ]] || refuse "JOBS=$JOBS is not a whole number of at least 1"
  ((JOBS >= N)) || refuse "JOBS=$JOBS is less than N=$N: a pod would have no job"
  [[ $TARGET ]] || refuse 'TARGET is empty: name an address that pods can reach, such as http://my-api.my-namespace:8000'
  [[ $IMAGE ]] || refuse 'IMAGE is empty: name an image that the cluster can pull or has'
  [[ $RUN_ID =~ ^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$ ]] || refuse "RUN_ID=$RUN_ID cannot be a label: use at most 63 letters, digits, '-', '_' and '.'"
  if [[ ! $RATE ]]; then
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
    [[ ${!name} != *$'\n'* ]] || refuse "$name contains a line break: put everything on one line"
  done
  name_objects
}

# Values that the tools in the pods would refuse. Flags of one's own may name files of the image, so they are left to the pods.
check_pods() {
  local load=("--concurrency=$CONCURRENCY" --slots=slots) target=("--target=$TARGET" ${PROFILE:+--profile="$PROFILE"} ${HEADERS:+--header-file="$HEADERS"} ${CACERT:+--cacert="$CACERT"})
  STRESS_SUITE_FLAGS_OF_MAKE+=' --rate=RATE --header-file=HEADERS --cacert=CACERT'
  [[ ! $RATE ]] || load=("--rate=$RATE")
  stage-fixtures --check --run="$RUN_ID" --prefix=soak --jobs="$JOBS" --shard="0/$N" --from=fixtures --into=/data < /dev/null &&
    submit-jobs --check "${target[@]}" "${load[@]}" < /dev/null && poll-jobs --check "${target[@]}" < /dev/null
}

# The cluster must know the fields of the Job that keep a shard from running twice, and the user must be allowed every later step.
check_cluster() {
  local version minor rights=() right missing=() answer
  version=$(kube version --output json) || refuse "the cluster does not answer: check \`$KUBECTL version\`"
  version=$(sed -n '/"serverVersion"/,$ s/.*"gitVersion": "\(v[^"]*\)".*/\1/p' <<< "$version" | head -n 1)
  minor=${version#v1.}
  minor=${minor%%.*}
  [[ $minor =~ ^[0-9]+$ ]] && ((minor >= 29)) || refuse "the cluster has Kubernetes ${version:-of an unknown version}: 1.29 or newer is needed"
  rights=({create,get,list,watch,delete}' jobs.batch' {get,list,watch,delete}' pods' 'get pods --subresource=log' 'create pods --subresource=exec' {create,get,list,watch,delete}' configmaps')
  [[ ! $HEADERS$CACERT ]] || rights+=({create,get,list,watch,delete}' secrets')
  [[ ! $CAPTURE$CLAIM ]] || rights+=('create pods')
  [[ ! $CLAIM ]] || rights+=({create,get,list,watch,delete}' persistentvolumeclaims')
  # kubectl takes pods/exec for a pod of the name exec.
  for right in "${rights[@]}"; do
    # shellcheck disable=SC2086
    answer=$(kube auth can-i $right 2>&1) || true
    [[ ${answer##*$'\n'} == yes ]] || missing+=("$right")
  done
  [[ ${missing[*]} || ! $(kube get job "stress-$suffix" --ignore-not-found --output name) ]] ||
    refuse "RUN_ID=$RUN_ID: this run is in the cluster: choose another id, or remove it with make k8s-clean RUN_ID=$RUN_ID"
  ((${#missing[@]} == 0)) || refuse "$(printf '%s, ' "${missing[@]}" | sed 's/, $//'): not allowed in $(named_namespace): ask for a Role, or set NAMESPACE"
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
    read -r answer || printf '\n' >&2
  fi
  [[ $answer == [yY]* ]] || refuse "$JOBS jobs${RATE:+ at $RATE} would go to $TARGET, which is outside the cluster: set YES=1 if it is yours to load"
}
