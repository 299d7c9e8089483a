//! Reads the pods of a shard from what `kubectl get pods --output json` printed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli::Failure;
use crate::record::Pod;

/// Reads the list of pods, or the one pod, in the file at `path`, in the order of their creation.
pub(super) fn read(path: &Path) -> Result<Vec<Pod>, Failure> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| Failure::io(&name, &error))?;
    let list: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{name}: {error}: write it with kubectl get pods --output json")))?;
    let mut pods: Vec<&Value> = match &list["items"] {
        Value::Array(items) => items.iter().collect(),
        _ if list["kind"] == "Pod" => vec![&list],
        _ => {
            return Err(Failure::usage(format!(
                "{name}: not a list of pods: write it with kubectl get pods --output json"
            )));
        }
    };
    let created = |pod: &Value| (word(&pod["metadata"]["creationTimestamp"]), word(&pod["metadata"]["name"]));
    pods.sort_by_key(|pod| created(pod));
    Ok(pods.into_iter().map(pod).collect())
}

fn pod(pod: &Value) -> Pod {
    let status = &pod["status"];
    let phase = word(&status["phase"]);
    let (reason, message) = if phase.as_deref() == Some("Succeeded") { (None, None) } else { reason(status) };
    Pod {
        name: word(&pod["metadata"]["name"]).unwrap_or_default(),
        node: word(&pod["spec"]["nodeName"]),
        phase,
        reason,
        message,
        exit_code: containers(status).find_map(|container| container["state"]["terminated"]["exitCode"].as_i64()),
    }
}

/// The reason why a pod did not succeed, as a word and as a sentence: what ended the pod says more than what ended its container.
fn reason(status: &Value) -> (Option<String>, Option<String>) {
    let conditions = || status["conditions"].as_array().into_iter().flatten();
    let disrupted = conditions().filter(|it| it["type"] == "DisruptionTarget" && it["status"] == "True");
    let unscheduled = conditions().filter(|it| it["type"] == "PodScheduled" && it["status"] == "False");
    let ended = containers(status).map(|container| &container["state"]["terminated"]);
    let waiting = containers(status).map(|container| &container["state"]["waiting"]);
    let sources = [status].into_iter().chain(disrupted).chain(unscheduled).chain(ended).chain(waiting);
    let found = sources.into_iter().find(|source| word(&source["reason"]).is_some());
    (found.and_then(|source| word(&source["reason"])), found.and_then(|source| word(&source["message"])))
}

fn containers(status: &Value) -> impl Iterator<Item = &Value> {
    ["initContainerStatuses", "containerStatuses"].into_iter().filter_map(|key| status[key].as_array()).flatten()
}

fn word(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_reason_is_the_pods_before_the_containers() {
        let of = |status: Value| pod(&json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}, "status": status}));
        let killed = json!([{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]);
        let evicted =
            of(json!({"phase": "Failed", "reason": "Evicted", "message": "disk", "containerStatuses": killed}));
        assert_eq!((evicted.node.as_deref(), evicted.reason.as_deref()), (Some("n1"), Some("Evicted")));
        assert_eq!(evicted.exit_code, Some(137));
        let drained = json!([{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]);
        let drained = of(json!({"phase": "Failed", "conditions": drained, "containerStatuses": killed}));
        assert_eq!(drained.reason.as_deref(), Some("EvictionByEvictionAPI"));
        assert_eq!(of(json!({"phase": "Failed", "containerStatuses": killed})).reason.as_deref(), Some("OOMKilled"));
        let pending =
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]);
        let pending = of(json!({"phase": "Pending", "conditions": pending}));
        assert_eq!((pending.reason.as_deref(), pending.message.as_deref()), (Some("Unschedulable"), Some("0/1 nodes")));
        let done = json!([{"state": {"terminated": {"reason": "Completed", "exitCode": 0}}}]);
        assert_eq!(of(json!({"phase": "Succeeded", "containerStatuses": done})).reason, None);
    }
}
