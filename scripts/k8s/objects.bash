# shellcheck shell=bash disable=SC2034,SC2154
# The objects of a run: applied as a Kustomize overlay, removed by their labels.

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
    printf 'nameSuffix: "-%s"\nlabels:\n  - {pairs: {%s, stress-suite/run: "%s"}, includeTemplates: true}\n' "$suffix" "${managed/=/: }" "$RUN_ID"
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

# Creates the run's objects. It changes nothing that is there.
apply() {
  local files=()
  [[ ! $HEADERS ]] || files+=("--from-file=headers=$HEADERS")
  [[ ! $CACERT ]] || files+=("--from-file=ca.crt=$CACERT")
  if ((${#files[@]})); then
    kube create secret generic "stress-headers-$suffix" "${files[@]}" --dry-run=client --output yaml |
      kube label --local --filename - --output yaml "$managed" "stress-suite/run=$RUN_ID" |
      kube create --filename - > /dev/null || return
  fi
  kube create --kustomize "$dir/overlay" > /dev/null
}

# The kinds that only some runs have, as far as the user may see them: nobody else can have made one.
optional_kinds() {
  local kind
  for kind in secrets persistentvolumeclaims; do ! kube auth can-i --quiet list "$kind" 2> /dev/null || printf ',%s' "$kind"; done
}

# Removes the run's objects, found by their labels, and waits until they are gone.
remove() {
  # The Job first, or it would start pods again; and its pods at once, because they would wait until their records are fetched.
  kube delete jobs --selector "$1" --ignore-not-found --cascade=orphan > /dev/null &&
    kube delete pods --selector "$1" --ignore-not-found --grace-period=1 > /dev/null &&
    kube delete "configmaps$(optional_kinds)" --selector "$1" --ignore-not-found > /dev/null
}
