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
pub(super) struct Kubernetes<'a> {
    #[serde(borrow, default)]
    kubelet: Optional<'a>,
    #[serde(borrow, default)]
    runtime: Optional<'a>,
    #[serde(borrow, default)]
    role: Optional<'a>,
}

impl From<Kubernetes<'_>> for fact::Kubernetes {
    fn from(node: Kubernetes<'_>) -> Self {
        Self {
            kubelet: known(node.kubelet),
            runtime: known(node.runtime),
            role: known(node.role),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Gpu<'a> {
    #[serde(borrow, default)]
    driver: Optional<'a>,
    #[serde(borrow, default)]
    loaded: Optional<'a>,
    #[serde(borrow, default)]
    cuda: Optional<'a>,
    #[serde(borrow, default)]
    devices: Vec<Text<'a>>,
}

impl From<Gpu<'_>> for fact::Gpu {
    fn from(gpu: Gpu<'_>) -> Self {
        Self {
            driver: known(gpu.driver),
            loaded: known(gpu.loaded),
            cuda: known(gpu.cuda),
            devices: gpu.devices.iter().map(shared).collect(),
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
