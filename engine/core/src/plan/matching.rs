//! Which assets a resource means: label selectors and conditions over the facts of an asset.

use crate::load::Catalog;
use crate::load::expr::{ExprError, FactValue};
use crate::load::wire::AssetClassSpec;
use crate::name::LabelSelector;
use crate::observe::Asset;

/// The class of an asset, by name.
pub(super) type Class<'a> = Option<(&'a str, &'a AssetClassSpec)>;

/// Whether `selector` and `when` (both where both are given) match the asset. Neither matches everything.
///
/// # Errors
/// A fact that the condition needs was not observed; the caller decides which way is safe.
pub(super) fn matches(
    catalog: &Catalog,
    asset: &Asset,
    class: Class<'_>,
    selector: Option<&LabelSelector>,
    when: Option<&str>,
) -> Result<bool, ExprError> {
    if selector.is_some_and(|s| !s.matches(|key| asset.label(key))) {
        return Ok(false);
    }
    match when {
        None => Ok(true),
        Some(text) => match catalog.expression(text) {
            Some(expression) => expression.eval(&|path| fact(asset, class, path)),
            None => Err(ExprError::Evaluation(format!("`{text}` was not compiled"))),
        },
    }
}

/// The value of a fact about an asset, by its path in the table of facts; none = not observed.
fn fact(asset: &Asset, class: Class<'_>, path: &str) -> Option<FactValue> {
    let text = |value: &str| Some(FactValue::Str(value.to_owned()));
    let facts = &asset.facts;
    let path = path.strip_prefix("asset.")?;
    if let Some(field) = path.strip_prefix("class.") {
        let (name, spec) = class?;
        return class_fact(name, spec, field);
    }
    match path {
        "name" => text(&asset.name),
        "address" => asset.address.as_deref().and_then(text),
        "fleet" => text(&asset.fleet),
        "lifecycle" => text(asset.lifecycle.as_str()),
        "labels" => {
            let labels = asset.labels.iter().map(|(k, v)| (k.to_string(), v.to_string()));
            Some(FactValue::Map(labels.collect()))
        }
        "os.family" => text(&facts.os.as_ref()?.family),
        "os.id" => text(&facts.os.as_ref()?.id),
        "os.version" => text(&facts.os.as_ref()?.version),
        "os.arch" => text(&facts.os.as_ref()?.arch),
        "osBuild" => text(facts.os_build.as_deref()?),
        "bootTime" => facts.boot_time.map(FactValue::Time),
        "pendingReboot" => facts.pending_reboot.map(FactValue::Bool),
        "kernel.running" => text(facts.kernel.as_ref()?.running.as_deref()?),
        "kernel.defaultBoot" => text(facts.kernel.as_ref()?.default_boot.as_deref()?),
        "identity.machineId" => text(facts.identity.machine_id.as_deref()?),
        "identity.fqdn" => text(facts.identity.fqdn.as_deref()?),
        "identity.serial" => text(facts.identity.serial.as_deref()?),
        "identity.biosUuid" => text(facts.identity.bios_uuid.as_deref()?),
        "kubernetes.kubelet" => text(facts.kubernetes.as_ref()?.kubelet.as_deref()?),
        "kubernetes.runtime" => text(facts.kubernetes.as_ref()?.runtime.as_deref()?),
        "kubernetes.role" => text(facts.kubernetes.as_ref()?.role.as_deref()?),
        "gpu.driver" => text(facts.gpu.as_ref()?.driver.as_deref()?),
        "gpu.loaded" => text(facts.gpu.as_ref()?.loaded.as_deref()?),
        "gpu.cuda" => text(facts.gpu.as_ref()?.cuda.as_deref()?),
        _ => None,
    }
}

fn class_fact(name: &str, spec: &AssetClassSpec, field: &str) -> Option<FactValue> {
    let text = |value: &str| Some(FactValue::Str(value.to_owned()));
    match field {
        "name" => text(name),
        "environment" => text(&spec.environment),
        "criticality" => text(spec.criticality.as_str()),
        // A class that does not say who can reach it counts as reachable by everybody.
        "exposure" => text(spec.exposure.unwrap_or_default().as_str()),
        "dataSensitivity" => text(spec.data_sensitivity?.as_str()),
        "priority" => Some(FactValue::Int(spec.priority)),
        _ => None,
    }
}
