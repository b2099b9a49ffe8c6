//! The facts conditions read, by the paths of [`crate::load::expr::facts::FACTS`]. A fact that was not observed is `None`.

use std::sync::Arc;

use super::finding::Hit;
use super::found::Cause;
use super::timeline::View;
use crate::load::Resource;
use crate::load::expr::FactValue;
use crate::load::wire::{AssetClassSpec, Exposure, Lane};
use crate::name::Severity;
use crate::observe::{AdvisoryRecord, Asset};

fn text(value: &str) -> Option<FactValue> {
    Some(FactValue::Str(value.to_owned()))
}

fn shared(value: Option<&Arc<str>>) -> Option<FactValue> {
    value.and_then(|v| text(v))
}

/// A fact of the asset itself (`asset.…` without `asset.class.…`).
pub(crate) fn of_asset(asset: &Asset, path: &str) -> Option<FactValue> {
    let facts = &asset.facts;
    let (os, kernel, identity) = (facts.os.as_ref(), facts.kernel.as_ref(), &facts.identity);
    let (gpu, kubernetes) = (facts.gpu.as_deref(), facts.kubernetes.as_deref());
    match path {
        "asset.name" => text(&asset.name),
        "asset.lifecycle" => text(asset.lifecycle.as_str()),
        "asset.labels" => {
            let labels = asset.labels.iter().map(|(k, v)| (k.to_string(), v.to_string()));
            Some(FactValue::Map(labels.collect()))
        }
        "asset.fleet" => text(&asset.fleet).filter(|_| !asset.fleet.is_empty()),
        "asset.address" => shared(asset.address.as_ref()),
        "asset.bootTime" => facts.boot_time.map(FactValue::Time),
        "asset.os.family" => shared(os.map(|o| &o.family)),
        "asset.os.id" => shared(os.map(|o| &o.id)),
        "asset.os.version" => shared(os.map(|o| &o.version)),
        "asset.os.arch" => shared(os.map(|o| &o.arch)),
        "asset.osBuild" => shared(facts.os_build.as_ref()),
        "asset.pendingReboot" => facts.pending_reboot.map(FactValue::Bool),
        "asset.identity.biosUuid" => shared(identity.bios_uuid.as_ref()),
        "asset.identity.fqdn" => shared(identity.fqdn.as_ref()),
        "asset.identity.machineId" => shared(identity.machine_id.as_ref()),
        "asset.identity.serial" => shared(identity.serial.as_ref()),
        "asset.kernel.running" => shared(kernel.and_then(|k| k.running.as_ref())),
        "asset.kernel.defaultBoot" => shared(kernel.and_then(|k| k.default_boot.as_ref())),
        "asset.gpu.cuda" => shared(gpu.and_then(|g| g.cuda.as_ref())),
        "asset.gpu.driver" => shared(gpu.and_then(|g| g.driver.as_ref())),
        "asset.gpu.loaded" => shared(gpu.and_then(|g| g.loaded.as_ref())),
        "asset.kubernetes.kubelet" => shared(kubernetes.and_then(|k| k.kubelet.as_ref())),
        "asset.kubernetes.role" => shared(kubernetes.and_then(|k| k.role.as_ref())),
        "asset.kubernetes.runtime" => shared(kubernetes.and_then(|k| k.runtime.as_ref())),
        _ => None,
    }
    .filter(|value| !matches!(value, FactValue::Str(text) if text.is_empty()))
}

/// A fact of the asset's class; none when no class wins. A missing exposure counts as public.
pub(crate) fn of_class(class: Option<&Resource<AssetClassSpec>>, path: &str) -> Option<FactValue> {
    let class = class?;
    match path {
        "asset.class.name" => text(&class.name),
        "asset.class.priority" => Some(FactValue::Int(class.spec.priority)),
        "asset.class.environment" => text(&class.spec.environment),
        "asset.class.criticality" => text(class.spec.criticality.as_str()),
        "asset.class.exposure" => text(class.spec.exposure.unwrap_or(Exposure::Public).as_str()),
        "asset.class.dataSensitivity" => class.spec.data_sensitivity.and_then(|d| text(d.as_str())),
        _ => None,
    }
}

/// A fact of the advisory as it was at the time of `view`. `severity` is the one of the view after `unknownSeverity`.
/// `advisory.epss` is the score that counts, with its hysteresis.
pub(super) fn of_advisory(advisory: &AdvisoryRecord, severity: Severity, view: &View, path: &str) -> Option<FactValue> {
    let exploitation = advisory.exploited.as_ref().filter(|_| view.exploited);
    match path {
        "advisory.id" => text(&advisory.id),
        "advisory.aliases" => Some(FactValue::List(
            advisory.aliases.iter().map(ToString::to_string).collect(),
        )),
        "advisory.severity" => text(severity.as_str()),
        "advisory.types" => Some(FactValue::List(
            advisory.types.iter().map(|t| t.as_str().to_owned()).collect(),
        )),
        "advisory.published" => advisory.published.map(FactValue::Time),
        "advisory.modified" => advisory.modified.map(FactValue::Time),
        "advisory.epss" => view.epss.map(|score| FactValue::Float(score.probability())),
        "advisory.exploited" => Some(FactValue::Bool(view.exploited)),
        "advisory.exploitedSince" => exploitation.and_then(|e| e.since).map(FactValue::Time),
        "advisory.ransomware" => exploitation.and_then(|e| e.ransomware).map(FactValue::Bool),
        "advisory.source" => text(&advisory.provenance.source),
        _ => None,
    }
}

/// A fact of the finding. The lane is known only after the SLA has spoken, so an SLA rule cannot read it.
pub(super) fn of_finding(hit: &Hit, cause: &Cause, lane: Option<Lane>, path: &str) -> Option<FactValue> {
    match path {
        "finding.package" => text(&hit.package),
        "finding.arch" => text(&hit.arch).filter(|_| !hit.arch.is_empty()),
        "finding.module" => shared(hit.module.as_ref()),
        "finding.installed" => text(&hit.installed),
        "finding.running" => text(&hit.installed).filter(|_| *cause == Cause::Reboot),
        "finding.fixed" => shared(hit.fixed.as_ref()),
        "finding.lane" => lane.and_then(|l| text(l.as_str())),
        _ => None,
    }
}
