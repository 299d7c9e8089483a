##@ Kubernetes
## Number of pods of `make k8s`, which share the jobs and the concurrency
N ?= 1
## Namespace; empty: that of the current context
NAMESPACE ?=
## Image of the tools; the cluster must have it or be able to pull it
IMAGE ?= localhost/stress-suite:dev
## File that `make image` writes the image to, for clusters without a registry
ARCHIVE ?=
## Submissions per second over all pods, such as 5/s, instead of CONCURRENCY
RATE ?=
## Size of a new PersistentVolumeClaim for the records, such as 10Gi; empty: they stay in the pods until they are fetched
CLAIM ?=
## Existing claim of the volume that the target's workers read staged files from
DATA_CLAIM ?=
## File with headers for the target, one `Name: value` per line; stored in a Secret
HEADERS ?=
## File with the CA certificates for the target; stored in a Secret
CACERT ?=
## Set to cluster to capture metrics and traces from a pod, with PROM_URL and JAEGER_URL as pods reach them; empty: from this machine
CAPTURE ?=
## Label selector of the workers' pods, whose logs are fetched
LOGS_OF ?=
## Directories of Kustomize components of your own, such as for requests and node selectors
COMPONENTS ?=
## Time from `kubectl apply` to the common start of all shards
START_IN ?= 20s
## How long to wait for pods that do not start
START_WITHIN ?= 120s
## How long pods keep their records for `make k8s-fetch`
KEEP_FOR ?= 600s
## Set to yes to leave the run in the cluster
KEEP ?=
## Set to yes to send a large load to an address outside the cluster without being asked
YES ?=
## The kubectl command
KUBECTL ?= kubectl

of_kubernetes = N NAMESPACE IMAGE RATE CLAIM DATA_CLAIM HEADERS CACERT CAPTURE LOGS_OF COMPONENTS START_IN START_WITHIN KEEP_FOR KEEP YES KUBECTL
of_kubernetes += TARGET JOBS CONCURRENCY WORKER_ROOT
$(foreach name,$(of_kubernetes),$(eval k8s k8s-fetch k8s-clean: export $(name) := $$($(name))))
define k8s_pipe
$(tools)
. scripts/k8s.bash
in_cluster() {
capture-prom $(common_in_cluster)$(prometheus)$(call quick,--step=500ms)$(call flags,$(PROM_FLAGS)) |
capture-jaeger $(common_in_cluster)$(jaeger)$(call quick,--flush=0s)$(call flags,$(JAEGER_FLAGS))
}
pipe() {
stream |
$(if $(CAPTURE),capture-logs $(common)$(logs),$(captures)) |
render-report --out=$(dir) --quiet --expect=$(criteria)$(profile)$(call flags,$(REPORT_FLAGS))
}
endef
k8s k8s-fetch: dir = '$(OUT)/soak'
k8s k8s-fetch: logs = $(if $(dir), --logs="$$worker_logs")$(if $(LOGS_QUIET), --may-be-quiet='$(LOGS_QUIET)')
common_in_cluster = --out=/tmp/run$(if $(PROFILE), --profile=/etc/stress/profile/profile.toml)$(call quick,--pad=500ms)$(call flags,$(CAPTURE_FLAGS))
given_run = '$(if $(filter command,$(firstword $(origin RUN_ID))),$(RUN_ID))'
.PHONY: k8s k8s-fetch k8s-clean image test-k8s
##@ Kubernetes
k8s: build ## Run the jobs from N pods of a Kubernetes cluster, and report as on one machine (docs/kubernetes.md)
	@$(k8s_pipe)
	k8s
k8s-fetch: build ## Fetch the records of a run that is still in the cluster, and report on them
	@$(k8s_pipe)
	k8s_fetch $(given_run)
k8s-clean: ## Remove what all runs have left in the namespace, or only what the run RUN_ID has left
	@$(tools)
	. scripts/k8s.bash
	k8s_clean $(given_run)
image: build ## Make the container image of the tools, with docker, podman or buildah
	@./scripts/image '$(BIN)' '$(IMAGE)' '$(ARCHIVE)'
test-k8s: ## Test against a real Kubernetes, which stack/kubernetes installs and starts
	@./scripts/test-k8s '$(CARGO)'
