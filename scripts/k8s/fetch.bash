# shellcheck shell=bash disable=SC2034,SC2154
# How the records of a run, its logs and its captures come from the cluster.

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

# Records that lie in a pod. A pod that is to end does not wait for others to fetch them.
fetch_from_pod() {
  fetch_shard "$1" keep "${shard_of[$1]}" 2> /dev/null || return
  [[ ! ${ending[$1]} ]] || kube exec "$1" --container keep -- touch /records/fetched 2> /dev/null
}

# The records of all shards from the claim, through a pod that reads it.
fetch_from_claim() {
  local reader=stress-reader-$suffix failed
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
  kube wait "pod/$reader" --for condition=Ready --timeout 2m > /dev/null || { say "the pod that reads the claim does not start: see \`$KUBECTL describe pod $reader\`"; return 1; }
  at_once fetch_from_reader $(seq 0 $((N - 1)))
  kube delete pod "$reader" > /dev/null
  ((${#failed[@]} == 0))
}

# The records of one shard through the pod that reads the claim; a shard that never started has none.
fetch_from_reader() {
  ! kube exec "$reader" -- test -e "/records/shard-$1/lock" 2> /dev/null || fetch_shard "$reader" reader "$1"
}

# What a pod has after the run: its log, and its records unless they are on a claim.
fetch_last() {
  fetch_logs "$1"
  [[ $CLAIM || ! ${exit_of[$1]} ]] || fetch_from_pod "$1"
}

# What the cluster has of the run, into DIR/shards. What was fetched before stays.
fetch() {
  local code=0 failed line place
  while IFS= read -r line; do note_pod "$line"; done < <(list_pods)
  at_once fetch_last "${!shard_of[@]}"
  [[ ! $CLAIM ]] || fetch_from_claim || code=1
  for place in "$dir"/shards/shard-*; do
    # As `kubectl get pods -o json` would print them; those that are gone as they were last seen.
    [[ ! -d $place/pods ]] || { printf '{"apiVersion":"v1","kind":"List","items":[' && cat "$place"/pods/*.json | paste -sd, && printf ']}\n'; } > "$place/pods.json"
  done
  return "$code"
}

# The logs of the pods that LOGS_OF selects, into one file per container, from the start of the run.
fetch_worker_logs() {
  local pod container containers
  [[ $LOGS_OF ]] || return 0
  worker_logs=$dir/worker-logs
  mkdir -p "$worker_logs"
  while read -r pod containers; do
    for container in $containers; do
      [[ $container =~ ^[a-z0-9-]+$ ]] || continue
      kube logs "$pod" --container "$container" --timestamps --since-time "$began_at" < /dev/null >> "$worker_logs/$container.log" ||
        say "the log of container $container in pod $pod could not be fetched"
    done
  done < <(kube get pods --selector "$LOGS_OF" --output 'jsonpath={range .items[*]}{.metadata.name} {.spec.containers[*].name}{"\n"}{end}')
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
    ((try < 3)) || { say "the records could not be copied to pod $pod"; return 1; }
  done
  kube exec "$pod" -- sh -c "$(declare -f in_cluster); mkdir -p /tmp/run && in_cluster < /tmp/records > /tmp/run/captured.ndjson" || say 'not all captures are complete'
  fetch_files "$pod" capture /tmp/run "$dir" 'find * -type f' || { rm -f "$dir/captured.ndjson"; return 1; }
  rm "$records"
}
