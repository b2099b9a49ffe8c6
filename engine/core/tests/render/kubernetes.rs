//! Worlds of the targets that work on nodes of a cluster, and what their tools cannot be told.

use patchwave_core::history::Target;
use patchwave_core::load::wire::Reversibility;
use patchwave_core::observe::{Asset, Gpu, Kubernetes};
use patchwave_core::version::Scheme;
use serde_json::{Value, json};

use crate::fixture::{World, asset, resources, target};
use crate::worlds::two_waves;

/// A node of the cluster `fra1` on Debian 12.
pub fn node(name: &str, role: &str, kubelet: &str, runtime: &str, record: u32) -> Asset {
    let mut node = asset(name, ("debian", "debian", "12"), &[("cluster", "fra1")], None, record);
    node.facts.kubernetes = Some(
        Kubernetes {
            kubelet: Some(kubelet.into()),
            runtime: Some(runtime.into()),
            role: Some(role.into()),
            cluster: Some("fra1".into()),
            boot_id: Some("0d5f6b1e-6a0e-4c58-9a3c-1f1d7f6f0001".into()),
            unschedulable: Some(false),
            ready: Some(true),
        }
        .into(),
    );
    node
}

fn windows(world: &mut World, rules: &[(&str, Value)]) {
    let window = |schedule: &Value| json!({"schedules": [schedule], "cutoff": "1h"});
    let specs: Vec<(&str, Value)> = rules.iter().map(|(name, s)| (*name, window(s))).collect();
    world.catalog.windows = resources(&specs);
}

const LIBSSL: &[(usize, &str)] = &[(0, "3.0.14-1~deb12u2")];

/// Three nodes that unattended-upgrades has patched; windows that a weekday filter cannot say.
pub fn kured() -> World {
    let nodes: Vec<(Asset, &[(usize, &str)])> = ["worker-1", "worker-2", "worker-3"]
        .iter()
        .zip(1_u32..)
        .map(|(name, record)| {
            let node = node(name, "worker", "v1.31.4", "containerd://1.7.24", record);
            (node, LIBSSL)
        })
        .collect();
    let libssl = target(Scheme::Deb, ("debian", "12"), "amd64", "libssl3", "3.0.15-1~deb12u1");
    let mut world = two_waves("kured", json!({}), Reversibility::None, vec![libssl], &nodes);
    let monthly = json!({"rrule": "FREQ=MONTHLY;BYDAY=2TU", "offset": "4d", "start": "10:00", "duration": "6h", "timezone": "Europe/Berlin"});
    let night =
        json!({"rrule": "FREQ=WEEKLY;BYDAY=SA", "start": "22:00", "duration": "6h", "timezone": "Europe/Berlin"});
    windows(&mut world, &[("any-time", monthly), ("prod-nights", night)]);
    world
}

/// A part of a node: its branch, name and the version it goes to.
fn part(branch: &str, name: &str, version: &str) -> Target {
    target(Scheme::Semver, ("kubernetes", branch), "x86_64", name, version)
}

fn weekday_windows(world: &mut World) {
    let daily = json!({"rrule": "FREQ=DAILY", "start": "22:00", "duration": "24h", "timezone": "UTC"});
    let saturday =
        json!({"rrule": "FREQ=WEEKLY;BYDAY=SA", "start": "20:00", "duration": "4h", "timezone": "Europe/Berlin"});
    windows(world, &[("any-time", daily), ("prod-nights", saturday)]);
}

/// A worker with packages, and a server and an agent of k3s.
pub fn plans() -> World {
    let targets = vec![
        part("1.30", "kubelet", "1.30.9+k3s1"),
        part("1.31", "kubelet", "1.31.5"),
        part("runtime", "containerd", "1.7.25"),
    ];
    let k3s: &[(usize, &str)] = &[(0, "1.30.6+k3s1")];
    let nodes: Vec<(Asset, &[(usize, &str)])> = vec![
        (
            node("worker-1", "worker", "v1.31.4", "containerd://1.7.24", 1),
            &[(1, "1.31.4"), (2, "1.7.24")],
        ),
        (
            node("edge-1", "control-plane", "v1.30.6+k3s1", "containerd://1.7.22-k3s1", 2),
            k3s,
        ),
        (
            node("edge-2", "worker", "v1.30.6+k3s1", "containerd://1.7.22-k3s1", 3),
            k3s,
        ),
    ];
    let mut world = two_waves("kubernetes", json!({}), Reversibility::None, targets, &nodes);
    weekday_windows(&mut world);
    world
}

/// A member of the control plane, then two workers.
pub fn kubeadm() -> World {
    let targets = vec![
        part("1.31", "kubelet", "1.31.5"),
        part("runtime", "containerd", "1.7.25"),
    ];
    let both: &[(usize, &str)] = &[(0, "1.31.4"), (1, "1.7.24")];
    let nodes: Vec<(Asset, &[(usize, &str)])> = vec![
        (
            node("control-1", "control-plane", "v1.31.4", "containerd://1.7.24", 1),
            both,
        ),
        (node("worker-1", "worker", "v1.31.4", "containerd://1.7.24", 2), both),
        (
            node("worker-2", "worker", "v1.31.5", "containerd://1.7.24", 3),
            &[(1, "1.7.24")],
        ),
    ];
    let class = json!({
        "protection": {"backup": "etcd-snapshot", "rollback": "package-downgrade"},
        "hooks": {"beforeAsset": [{"name": "alertmanager-silence"}], "always": [{"name": "alertmanager-unsilence"}]},
        "validation": ["web"],
    });
    let mut world = two_waves("kubeadm", class, Reversibility::Exact, targets, &nodes);
    // A control plane has no way back.
    world.rollout.waves[0].batches[0].assets[0].rollback = Reversibility::None;
    world
}

fn gpu_host(name: &str, os: (&str, &str, &str), record: u32) -> Asset {
    let mut host = asset(name, os, &[("gpu", "true")], None, record);
    host.facts.gpu = Some(
        Gpu {
            driver: Some("535.183.01".into()),
            loaded: Some("535.183.01".into()),
            cuda: Some("12.2".into()),
            devices: vec!["NVIDIA A100-SXM4-80GB".into(); 8],
            fabric_manager: Some("535.183.01".into()),
            secure_boot: Some(true),
            mig: Some(true),
            ..Gpu::default()
        }
        .into(),
    );
    host
}

/// Hosts with A100s: one of Slurm on Ubuntu, one of Slurm and one of Kubernetes on a rebuild of RHEL.
pub fn nvidia() -> World {
    let driver = target(Scheme::Nvidia, ("gpu", "nvidia"), "x86_64", "driver", "550.127.08");
    let takes: &[(usize, &str)] = &[(0, "535.183.01")];
    let rhel = ("rhel", "almalinux", "9.4");
    let mut hosts: Vec<(Asset, &[(usize, &str)])> = vec![
        (gpu_host("gpu-1", ("ubuntu", "ubuntu", "22.04"), 1), takes),
        (gpu_host("gpu-2", rhel, 2), takes),
        (gpu_host("gpu-3", rhel, 3), takes),
    ];
    hosts[2].0.facts.kubernetes = node("gpu-3", "worker", "v1.31.4", "containerd://1.7.24", 3)
        .facts
        .kubernetes;
    let class = json!({
        "protection": {"rollback": "package-downgrade"}, "validation": ["gpu"],
        "hooks": {"beforeAsset": [{"name": "alertmanager-silence"}], "always": [{"name": "alertmanager-unsilence"}]},
    });
    let mut world = two_waves("nvidia", class, Reversibility::Exact, vec![driver], &hosts);
    let suite = json!({"checks": [
        {"name": "throughput", "timeout": "15m",
         "workload": {"command": "/opt/bench/resnet50 --json {{ batch }}", "metric": "images_per_second", "maxRegression": "5%"}},
        {"name": "persistence", "command": "nvidia-smi --query-gpu=persistence_mode --format=csv,noheader"},
    ]});
    world.catalog.suites = resources(&[("gpu", suite)]);
    world
}

#[test]
fn a_plan_for_k3s_needs_the_build_of_k3s() {
    let mut world = plans();
    world.rollout.targets[0].version = "1.30.9".into();
    let faults = world.render().unwrap_err();
    assert!(
        faults[0].message.contains("needs a version with its build"),
        "{faults:?}"
    );
}

#[test]
fn a_window_that_no_weekday_filter_can_say_is_not_rendered() {
    let mut world = kured();
    let schedules = json!([
        {"rrule": "FREQ=DAILY", "start": "22:00", "duration": "6h", "timezone": "Europe/Berlin"},
        {"rrule": "FREQ=DAILY", "start": "22:00", "duration": "6h", "timezone": "UTC"},
    ]);
    world.catalog.windows = resources(&[
        ("any-time", json!({"schedules": schedules})),
        ("prod-nights", json!({"schedules": [schedules[0].clone()]})),
    ]);
    let faults = world.render().unwrap_err();
    let text: String = faults.iter().map(|f| format!("{f}\n")).collect();
    assert!(text.contains("of several time zones"), "{text}");
    assert_eq!(faults.len(), 1, "{text}");
}

#[test]
fn values_of_kured_say_what_they_cannot() {
    let bundle = kured().render().unwrap();
    let values = |path: &str| String::from_utf8_lossy(&bundle.files[path]).into_owned();
    let monthly = values("waves/01-test/kured/values-01.yaml");
    assert!(
        monthly.contains("WIDER THAN THE WINDOW") && !monthly.contains("CUT"),
        "{monthly}"
    );
    assert!(
        monthly.contains("rebootDays: [\"sa\"]") && monthly.contains("endTime: \"14:59:59\""),
        "{monthly}"
    );
    let night = values("waves/02-critical/kured/values-01.yaml");
    assert!(night.contains("CUT AT MIDNIGHT") && !night.contains("WIDER"), "{night}");
    assert!(
        night.contains("patchwave.dev/reboot: \"kured-2026-11-20.critical.01\""),
        "{night}"
    );
}
