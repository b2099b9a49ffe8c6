//! One node.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::observe::{Facts, Gpu, Identity, Kernel, Kubernetes, Os, Provenance};
use serde_json::value::RawValue;

use crate::fields::{Fields, Text, excerpt, instant};
use crate::os_names::{family_of, machine, os_of};
use crate::reading::{Reading, asset_name};
use crate::sheet::Sheet;
use crate::windows::build_of;

type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// Where the labels of node feature discovery say what os-release says.
const OS_RELEASE: &str = "feature.node.kubernetes.io/system-os_release.";
/// Labels and annotations by which tools that make clusters name them: Cluster API, eksctl, AKS, and our own.
const CLUSTER_NAMES: &[&str] = &[
    "patchwave.dev/cluster",
    "cluster.x-k8s.io/cluster-name",
    "alpha.eksctl.io/cluster-name",
    "kubernetes.azure.com/cluster",
];
/// The end of kured's annotation; its prefix was `weave.works/` and is `kured.dev/`.
const KURED_IN_PROGRESS: &str = "/kured-reboot-in-progress";

pub(super) fn read(fields: &Fields<'_>, at: &Provenance, now: Timestamp, sheet: &mut Sheet) -> Result<(), String> {
    let part = |name: &str| fields.get::<Fields<'_>>(name).map(Option::unwrap_or_default);
    let (metadata, status) = (part("metadata")?, part("status")?);
    let name: Text<'_> = metadata.get("name")?.ok_or("is no Node: it has no `metadata.name`")?;
    let name = asset_name(name.trim())?;
    let conditions = conditions(&status).map_err(|why| format!("{name}: {why}"))?;
    let observed_at = conditions.heartbeat.ok_or_else(|| {
        format!("{name} has no condition with a `lastHeartbeatTime`, and facts without a time cannot be trusted")
    })?;
    let spec = part("spec").map_err(|why| sheet.drop_field(at, format!("{name}: {why}")));
    let mut reading = Reading {
        fields: metadata,
        name: &name,
        at,
        sheet,
    };
    let labels = texts(&mut reading, "labels");
    let annotations = texts(&mut reading, "annotations");
    // The API leaves out what is false.
    let unschedulable = spec.ok().and_then(|spec| {
        reading.fields = spec;
        match reading.fields.raw("unschedulable") {
            Some(_) => reading.get("unschedulable"),
            None => Some(false),
        }
    });
    reading.fields = status;
    let addresses = reading.get::<Vec<&RawValue>>("addresses").unwrap_or_default();
    reading.fields = reading.get::<Fields<'_>>("nodeInfo").unwrap_or_default();
    let kernel = reading.text("kernelVersion");
    let build = kernel.as_deref().and_then(build_of).map(Arc::from);
    let facts = Facts {
        identity: Identity {
            machine_id: reading.text("machineID"),
            bios_uuid: reading.text("systemUUID"),
            fqdn: fqdn(&addresses),
            serial: None,
        },
        os: os(&mut reading, &labels),
        kernel: kernel.filter(|_| build.is_none()).map(|running| Kernel {
            running: Some(running),
            default_boot: None,
        }),
        os_build: build,
        pending_reboot: annotations
            .keys()
            .any(|key| key.ends_with(KURED_IN_PROGRESS))
            .then_some(true),
        kubernetes: Some(Arc::new(Kubernetes {
            kubelet: reading.text("kubeletVersion"),
            runtime: reading.text("containerRuntimeVersion"),
            role: role(&labels).map(Arc::from),
            cluster: CLUSTER_NAMES
                .iter()
                .find_map(|key| labels.get(*key).or_else(|| annotations.get(*key)))
                .cloned(),
            boot_id: reading.text("bootID"),
            unschedulable,
            ready: conditions.ready,
        })),
        gpu: gpu(&labels).map(Arc::new),
        labels,
        ..Facts::default()
    };
    sheet.take_asset(at, name, (observed_at, now), facts);
    Ok(())
}

/// What the conditions say together.
struct Conditions {
    heartbeat: Option<Timestamp>,
    ready: Option<bool>,
}

fn conditions(status: &Fields<'_>) -> Result<Conditions, String> {
    let rows = status.get::<Vec<&RawValue>>("conditions")?.unwrap_or_default();
    let mut read = Conditions {
        heartbeat: None,
        ready: None,
    };
    for raw in rows {
        let Ok(row) = Fields::parse(raw.get().as_bytes()) else {
            continue;
        };
        let text = |name| row.get::<Text<'_>>(name).ok().flatten();
        let heartbeat = text("lastHeartbeatTime").and_then(|time| instant(&time));
        read.heartbeat = read.heartbeat.max(heartbeat);
        if text("type").is_some_and(|kind| &*kind == "Ready") {
            read.ready = match text("status").as_deref() {
                Some("True") => Some(true),
                Some("False") => Some(false),
                _ => None,
            };
        }
    }
    Ok(read)
}

/// Labels or annotations.
fn texts(reading: &mut Reading<'_, '_>, field: &str) -> Labels {
    let mut texts = Labels::new();
    let Some(fields) = reading.get::<Fields<'_>>(field) else {
        return texts;
    };
    for (key, raw) in &fields.0 {
        match serde_json::from_str::<Text<'_>>(raw.get()) {
            Ok(value) => {
                texts.insert(Arc::from(&**key), Arc::from(&*value));
            }
            Err(_) => reading.drop_field(&format!(
                "`{field}.{}` was dropped: it reads {}, and it should be a string",
                excerpt(key),
                excerpt(raw.get())
            )),
        }
    }
    texts
}

/// The first of the names of the node that is fully qualified.
fn fqdn(addresses: &[&RawValue]) -> Option<Arc<str>> {
    addresses.iter().find_map(|raw| {
        let row = Fields::parse(raw.get().as_bytes()).ok()?;
        let kind = row.get::<Text<'_>>("type").ok()??;
        let address = row.get::<Text<'_>>("address").ok()??;
        let named = matches!(&*kind, "Hostname" | "InternalDNS") && address.contains('.');
        named.then(|| Arc::from(&*address))
    })
}

fn os(reading: &mut Reading<'_, '_>, labels: &Labels) -> Option<Os> {
    let arch = reading.text("architecture").unwrap_or_default();
    let label = |name: &str| labels.get(&*format!("{OS_RELEASE}{name}"));
    if let (Some(id), Some(version)) = (label("ID"), label("VERSION_ID")) {
        return Some(Os {
            family: family_of(id).into(),
            id: Arc::clone(id),
            version: Arc::clone(version),
            arch: machine(&arch).into(),
        });
    }
    let image = reading.text("osImage")?;
    let os = os_of(&image, &arch);
    if os.is_none() {
        let what = format!("no operating system and version can be told from `{}`", excerpt(&image));
        reading.sheet.tally(&reading.at.file, &what, 1);
    }
    os
}

fn role(labels: &Labels) -> Option<&'static str> {
    let named = labels
        .keys()
        .filter_map(|key| key.strip_prefix("node-role.kubernetes.io/"));
    let mut roles = named
        .chain(labels.get("kubernetes.io/role").map(|role| &**role))
        .peekable();
    roles.peek()?;
    let control = roles.any(|role| matches!(role, "control-plane" | "controlplane" | "master"));
    Some(if control { "control-plane" } else { "worker" })
}

/// What GPU feature discovery says: the driver that is loaded, and the devices.
fn gpu(labels: &Labels) -> Option<Gpu> {
    let label = |name: &str| {
        labels
            .get(&*format!("nvidia.com/{name}"))
            .filter(|text| !text.is_empty())
    };
    let loaded = label("cuda.driver-version.full")?;
    let count = label("gpu.count").and_then(|count| count.parse().ok()).unwrap_or(1);
    /// More than any machine has; the number is somebody's text.
    const DEVICES_MAX: usize = 64;
    Some(Gpu {
        loaded: Some(Arc::clone(loaded)),
        cuda: label("cuda.runtime-version.full").cloned(),
        devices: label("gpu.product")
            .map_or_else(Vec::new, |product| vec![Arc::clone(product); DEVICES_MAX.min(count)]),
        mig: label("mig.capable").and_then(|capable| (&**capable == "false").then_some(false)),
        ..Gpu::default()
    })
}
