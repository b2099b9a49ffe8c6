//! The smaller facts as they stand in a record.

use std::sync::Arc;

use patchwave_core::observe as fact;
use serde::Deserialize;

use crate::fields::Text;

type Optional<'a> = Option<Text<'a>>;

fn shared(text: &Text<'_>) -> Arc<str> {
    Arc::from(text.trim())
}

/// Empty is unknown.
fn known(text: Optional<'_>) -> Option<Arc<str>> {
    text.as_ref().map(shared).filter(|text| !text.is_empty())
}

#[derive(Deserialize)]
pub(super) struct Os<'a> {
    #[serde(borrow, default)]
    pub(super) family: Optional<'a>,
    #[serde(borrow, default)]
    pub(super) id: Optional<'a>,
    #[serde(borrow, default)]
    pub(super) version: Optional<'a>,
    #[serde(borrow, default)]
    pub(super) arch: Optional<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kernel<'a> {
    #[serde(borrow, default)]
    running: Optional<'a>,
    #[serde(borrow, default)]
    default_boot: Optional<'a>,
}

impl From<Kernel<'_>> for fact::Kernel {
    fn from(kernel: Kernel<'_>) -> Self {
        Self {
            running: known(kernel.running),
            default_boot: known(kernel.default_boot),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RestartNeeded<'a> {
    #[serde(borrow)]
    process: Text<'a>,
    #[serde(borrow, default)]
    packages: Vec<Text<'a>>,
}

impl From<RestartNeeded<'_>> for fact::RestartNeeded {
    fn from(restart: RestartNeeded<'_>) -> Self {
        Self {
            process: shared(&restart.process),
            packages: restart.packages.iter().map(shared).collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct LivePatch<'a> {
    #[serde(borrow)]
    engine: Text<'a>,
    #[serde(borrow, default)]
    fixes: Vec<Text<'a>>,
}

impl From<LivePatch<'_>> for fact::LivePatch {
    fn from(patch: LivePatch<'_>) -> Self {
        Self {
            engine: shared(&patch.engine),
            fixes: patch.fixes.iter().map(shared).collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Component<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    vendor: Text<'a>,
    #[serde(borrow)]
    product: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow, default)]
    instance: Optional<'a>,
}

impl From<Component<'_>> for fact::Component {
    fn from(component: Component<'_>) -> Self {
        Self {
            kind: shared(&component.kind),
            vendor: shared(&component.vendor),
            product: shared(&component.product),
            version: shared(&component.version),
            instance: known(component.instance),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kubernetes<'a> {
    #[serde(borrow, default)]
    kubelet: Optional<'a>,
    #[serde(borrow, default)]
    runtime: Optional<'a>,
    #[serde(borrow, default)]
    role: Optional<'a>,
    #[serde(borrow, default)]
    cluster: Optional<'a>,
    #[serde(borrow, default)]
    boot_id: Optional<'a>,
    #[serde(default)]
    unschedulable: Option<bool>,
    #[serde(default)]
    ready: Option<bool>,
}

impl From<Kubernetes<'_>> for fact::Kubernetes {
    fn from(node: Kubernetes<'_>) -> Self {
        Self {
            kubelet: known(node.kubelet),
            runtime: known(node.runtime),
            role: known(node.role),
            cluster: known(node.cluster),
            boot_id: known(node.boot_id),
            unschedulable: node.unschedulable,
            ready: node.ready,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gpu<'a> {
    #[serde(borrow, default)]
    driver: Optional<'a>,
    #[serde(borrow, default)]
    loaded: Optional<'a>,
    #[serde(borrow, default)]
    cuda: Optional<'a>,
    #[serde(borrow, default)]
    devices: Vec<Text<'a>>,
    #[serde(borrow, default)]
    kmods: Vec<Kmod<'a>>,
    #[serde(default)]
    secure_boot: Option<bool>,
    #[serde(borrow, default)]
    fabric_manager: Optional<'a>,
    #[serde(default)]
    mig: Option<bool>,
}

#[derive(Deserialize)]
struct Kmod<'a> {
    #[serde(borrow)]
    kernel: Text<'a>,
    #[serde(borrow)]
    driver: Text<'a>,
}

impl From<Gpu<'_>> for fact::Gpu {
    fn from(gpu: Gpu<'_>) -> Self {
        Self {
            driver: known(gpu.driver),
            loaded: known(gpu.loaded),
            cuda: known(gpu.cuda),
            devices: gpu.devices.iter().map(shared).collect(),
            kmods: gpu
                .kmods
                .iter()
                .map(|kmod| fact::GpuKmod {
                    kernel: shared(&kmod.kernel),
                    driver: shared(&kmod.driver),
                })
                .collect(),
            secure_boot: gpu.secure_boot,
            fabric_manager: known(gpu.fabric_manager),
            mig: gpu.mig,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Updater<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    enabled: bool,
    #[serde(borrow, default)]
    scope: Optional<'a>,
}

impl From<Updater<'_>> for fact::Updater {
    fn from(updater: Updater<'_>) -> Self {
        Self {
            name: shared(&updater.name),
            enabled: updater.enabled,
            scope: known(updater.scope),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Update<'a> {
    #[serde(borrow)]
    update_id: Text<'a>,
    revision: u32,
    #[serde(borrow, default)]
    kbs: Vec<Text<'a>>,
    #[serde(borrow, default)]
    title: Optional<'a>,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow, default)]
    approval: Optional<'a>,
    #[serde(default)]
    eula: bool,
    #[serde(default)]
    uninstallable: bool,
    #[serde(default)]
    superseded: bool,
}

impl From<Update<'_>> for fact::OfferedUpdate {
    fn from(update: Update<'_>) -> Self {
        Self {
            update_id: update.update_id.trim().to_ascii_lowercase().into(),
            revision: update.revision,
            kbs: update
                .kbs
                .iter()
                .map(|kb| fact::kb_digits(kb).map_or_else(|| shared(kb), Arc::from))
                .collect(),
            title: known(update.title).unwrap_or_default(),
            state: shared(&update.state),
            approval: known(update.approval).unwrap_or_default(),
            eula: update.eula,
            uninstallable: update.uninstallable,
            superseded: update.superseded,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content<'a> {
    #[serde(default)]
    host_id: Option<u64>,
    #[serde(borrow, default)]
    organization: Optional<'a>,
    #[serde(borrow)]
    view: Text<'a>,
    view_id: u64,
    #[serde(borrow, default)]
    version: Optional<'a>,
    #[serde(default)]
    version_id: Option<u64>,
    #[serde(borrow)]
    environment: Text<'a>,
    environment_id: u64,
    #[serde(default)]
    rolling: bool,
    #[serde(default)]
    composite: bool,
}

impl From<Content<'_>> for fact::ContentView {
    fn from(content: Content<'_>) -> Self {
        Self {
            host_id: content.host_id,
            organization: known(content.organization).unwrap_or_default(),
            view: shared(&content.view),
            view_id: content.view_id,
            version: known(content.version).unwrap_or_default(),
            version_id: content.version_id.unwrap_or_default(),
            environment: shared(&content.environment),
            environment_id: content.environment_id,
            rolling: content.rolling,
            composite: content.composite,
        }
    }
}
