use patchwave_core::observe::{Batch, Facts};
use serde_json::{Value, json};

use crate::InputFile;

fn read(value: &Value) -> Batch {
    let files = [InputFile {
        path: "nodes.json".into(),
        bytes: value.to_string().into_bytes().into(),
    }];
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let batch = crate::read("kubernetes", &"k8s".into(), &files, now).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total);
    batch
}

fn node(name: &str, change: impl Fn(&mut Value)) -> Value {
    let mut node = json!({
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}, "annotations": {}},
        "spec": {},
        "status": {
            "conditions": [
                {"type": "MemoryPressure", "status": "False", "lastHeartbeatTime": "2026-11-20T11:00:00Z"},
                {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-20T11:55:00Z"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n1.corp"}],
            "nodeInfo": {"machineID": "m1", "systemUUID": "S1", "bootID": "b1", "kernelVersion": "5.4.117-58.216.amzn2.x86_64",
                "osImage": "Ubuntu 22.04.5 LTS", "containerRuntimeVersion": "docker://19.3.13",
                "kubeletVersion": "v1.21.2-13+d2965f0db10712", "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64"}}});
    change(&mut node);
    node
}

fn facts(change: impl Fn(&mut Value)) -> Facts {
    let batch = read(&node("n1", change));
    assert_eq!(
        (batch.account.read, batch.account.dropped_fields.len()),
        (1, 0),
        "{:#?}",
        batch.account
    );
    batch.assets[0].facts.clone()
}

#[test]
fn a_node_has_versions_identity_and_state() {
    let read = facts(|_| {});
    let node = read.kubernetes.as_ref().unwrap();
    assert_eq!(node.kubelet.as_deref(), Some("v1.21.2-13+d2965f0db10712"));
    assert_eq!(
        (node.runtime.as_deref(), node.boot_id.as_deref()),
        (Some("docker://19.3.13"), Some("b1"))
    );
    assert_eq!(
        (node.role.as_deref(), node.unschedulable, node.ready),
        (None, Some(false), Some(true))
    );
    assert_eq!(
        (read.identity.machine_id.as_deref(), read.identity.bios_uuid.as_deref()),
        (Some("m1"), Some("S1"))
    );
    assert_eq!(read.identity.fqdn.as_deref(), Some("n1.corp"));
    assert_eq!(
        read.kernel.unwrap().running.as_deref(),
        Some("5.4.117-58.216.amzn2.x86_64")
    );
    let os = read.os.unwrap();
    assert_eq!((&*os.id, &*os.version, &*os.family), ("ubuntu", "22.04", "debian"));
    assert_eq!(read.pending_reboot, None);
    assert_eq!(&*read.labels["kubernetes.io/os"], "linux");
}

#[test]
fn labels_and_annotations_say_role_system_cluster_gpu_and_reboot() {
    let read = facts(|node| {
        node["metadata"]["labels"] = json!({
            "node-role.kubernetes.io/control-plane": "", "node-role.kubernetes.io/etcd": "",
            "feature.node.kubernetes.io/system-os_release.ID": "rocky", "feature.node.kubernetes.io/system-os_release.VERSION_ID": "9.4",
            "nvidia.com/cuda.driver-version.full": "550.127.08", "nvidia.com/cuda.runtime-version.full": "12.4",
            "nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.count": "999999999", "nvidia.com/mig.capable": "false"});
        node["metadata"]["annotations"] = json!({
            "cluster.x-k8s.io/cluster-name": "prod-1", "kured.dev/kured-reboot-in-progress": "2026-11-20T10:00:00Z"});
        node["spec"]["unschedulable"] = json!(true);
        node["status"]["conditions"][1]["status"] = json!("Unknown");
    });
    let node = read.kubernetes.unwrap();
    assert_eq!(
        (node.role.as_deref(), node.cluster.as_deref()),
        (Some("control-plane"), Some("prod-1"))
    );
    assert_eq!(
        (node.unschedulable, node.ready, read.pending_reboot),
        (Some(true), None, Some(true))
    );
    let os = read.os.unwrap();
    assert_eq!((&*os.id, &*os.version, &*os.family), ("rocky", "9.4", "rhel"));
    let gpu = read.gpu.unwrap();
    assert_eq!(
        (gpu.loaded.as_deref(), gpu.driver.as_deref(), gpu.mig),
        (Some("550.127.08"), None, Some(false))
    );
    assert_eq!(gpu.devices.len(), 64);
    let worker = facts(|node| node["metadata"]["labels"] = json!({"kubernetes.io/role": "agent"}));
    assert_eq!(worker.kubernetes.unwrap().role.as_deref(), Some("worker"));
}

#[test]
fn the_kernel_of_a_windows_node_is_its_build() {
    let read = facts(|node| {
        node["status"]["nodeInfo"]["osImage"] = json!("Windows Server 2022 Datacenter");
        node["status"]["nodeInfo"]["kernelVersion"] = json!("10.0.20348.2700");
    });
    assert_eq!((read.os_build.as_deref(), read.kernel), (Some("10.0.20348.2700"), None));
    assert_eq!(&*read.os.unwrap().id, "windows");
}

#[test]
fn lists_of_every_kind_are_read_and_what_is_no_node_is_told() {
    let mut plain = node("n2", |_| {});
    plain.as_object_mut().unwrap().remove("kind");
    let list = |kind: &str| json!({"kind": kind, "items": [node("n1", |_| {}), plain.clone(), {"kind": "Pod"}, 7]});
    let typed = read(&list("NodeList"));
    assert_eq!((typed.account.total, typed.account.read), (4, 2));
    let mixed = read(&list("List"));
    let reasons: Vec<_> = mixed
        .account
        .skipped
        .iter()
        .map(|s| (s.record, s.reason.as_str()))
        .collect();
    assert_eq!(mixed.account.read, 1);
    assert_eq!(reasons[0], (2, "is no Node: its kind is `not said`"));
    assert_eq!(reasons[1], (3, "is no Node: its kind is `Pod`"));
    assert_eq!(
        read(&json!({"kind": "Status", "status": "Failure"}))
            .account
            .skipped
            .len(),
        1
    );
    assert_eq!(read(&json!({"kind": "NodeList", "items": null})).account.notes.len(), 1);
    let array = read(&json!([node("n1", |_| {}), node("n2", |_| {})]));
    assert_eq!(array.account.read, 2);
}

#[test]
fn bad_fields_cost_only_themselves() {
    let skipped = |change: fn(&mut Value)| read(&node("n1", change)).account.skipped.len();
    assert_eq!(
        skipped(|node| node["status"]["conditions"] = json!([])),
        1,
        "no heartbeat"
    );
    assert_eq!(skipped(|node| node["status"]["conditions"] = json!(7)), 1);
    assert_eq!(skipped(|node| node["metadata"]["name"] = json!("a b")), 1);
    assert_eq!(skipped(|node| node["metadata"] = json!(7)), 1);
    let batch = read(&node("n1", |node| {
        node["metadata"]["labels"] = json!({"a": 1, "b": "x"});
        node["metadata"]["annotations"] = json!([]);
        node["spec"] = json!(7);
        node["status"]["nodeInfo"] = json!({"kubeletVersion": 1, "osImage": "CachyOS", "machineID": " "});
        node["status"]["addresses"] = json!("x");
    }));
    assert_eq!(
        (batch.account.read, batch.account.dropped_fields.len()),
        (1, 5),
        "{:#?}",
        batch.account
    );
    assert!(batch.account.notes[0].reason.contains("`CachyOS`"));
    assert_eq!(
        (batch.assets[0].facts.labels.len(), &batch.assets[0].facts.os),
        (1, &None)
    );
}
