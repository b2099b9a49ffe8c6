//! Whether a new kernel or driver still goes with what else is on the machine: the CompatibilityMatrix.

use std::collections::BTreeMap;

use super::carry::Member;
use super::context::Context;
use crate::history::Target;
use crate::load::wire::{CompatibilityMatrixSpec, CompatibleValues};
use crate::observe::Asset;
use crate::version::{Scheme, compare};

/// The part of a combination that a package is, by its name.
fn component(package: &str) -> Option<&'static str> {
    const KERNELS: [&str; 5] = [
        "kernel",
        "kernel-core",
        "kernel-modules",
        "linux-image",
        "linux-generic",
    ];
    const DRIVERS: [&str; 4] = ["nvidia-driver", "nvidia-open", "kmod-nvidia", "nvidia-kernel"];
    let is = |names: &[&str]| {
        names.iter().any(|n| {
            package
                .strip_prefix(n)
                .is_some_and(|r| r.is_empty() || r.starts_with('-'))
        })
    };
    match () {
        () if is(&KERNELS) => Some("kernel"),
        () if is(&DRIVERS) => Some("nvidiaDriver"),
        () => None,
    }
}

/// The targets of a member that no row of a matrix allows, with the matrix and the combination.
pub(super) fn incompatible(ctx: &Context<'_>, member: &Member, targets: &[Target]) -> Option<(Vec<usize>, String)> {
    let asset = ctx.asset(member.asset)?;
    let mut after = observed(asset);
    let mut touching = Vec::new();
    for (index, target) in member.targets().iter().filter_map(|t| targets.get(*t).map(|x| (*t, x))) {
        if let Some(component) = component(&target.name) {
            after.insert(component, vec![upstream(&target.version)]);
            touching.push(index);
        }
    }
    if touching.is_empty() {
        return None;
    }
    let matrices = ctx.catalog.matrices.iter();
    let mut chosen =
        matrices.filter(|(_, m)| ctx.matches(member.asset, m.spec.selector.as_ref(), m.spec.when.as_deref(), true));
    let (name, _) = chosen.find(|(_, m)| !allowed(&m.spec, &after))?;
    let combination = after.iter().map(|(k, v)| format!("{k} {}", v.join("/")));
    let combination: Vec<String> = combination.collect();
    Some((
        touching,
        format!("no row of CompatibilityMatrix {name} allows {}", combination.join(", ")),
    ))
}

/// What is on the machine now, as far as it is known.
fn observed(asset: &Asset) -> BTreeMap<&'static str, Vec<String>> {
    let mut known = BTreeMap::new();
    let mut add = |key, values: Vec<String>| drop((!values.is_empty()).then(|| known.insert(key, values)));
    let gpu = asset.facts.gpu.as_deref();
    let version = |v: Option<&std::sync::Arc<str>>| v.map(|v| upstream(v)).into_iter().collect();
    add(
        "kernel",
        version(asset.facts.kernel.as_ref().and_then(|k| k.running.as_ref())),
    );
    add("nvidiaDriver", version(gpu.and_then(|g| g.driver.as_ref())));
    add("cuda", version(gpu.and_then(|g| g.cuda.as_ref())));
    add(
        "gpu",
        gpu.map_or_else(Vec::new, |g| g.devices.iter().map(|d| d.to_lowercase()).collect()),
    );
    known
}

/// The version without epoch and release: matrices speak of `6.9`, packages of `0:6.9.1-1.el9`.
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version
        .split_once('-')
        .map_or(version, |(upstream, _)| upstream)
        .to_owned()
}

/// Whether some row allows the combination. A component that was not observed allows no row that speaks of it.
fn allowed(matrix: &CompatibilityMatrixSpec, after: &BTreeMap<&str, Vec<String>>) -> bool {
    matrix.rows.iter().any(|row| {
        row.iter().all(|(component, wanted)| {
            let values = after.get(component.as_str());
            values.is_some_and(|values| values.iter().all(|value| admits(wanted, value)))
        })
    })
}

fn admits(wanted: &CompatibleValues, value: &str) -> bool {
    match wanted {
        CompatibleValues::OneOf(list) => list.iter().any(|word| value.contains(&word.to_lowercase())),
        CompatibleValues::Range(range) => within(range, value),
    }
}

/// Whether a version is in a range such as `>=12.4 <12.6`; every part must hold. A part that cannot be read holds for
/// nothing.
fn within(range: &str, version: &str) -> bool {
    let joined = range
        .replace(',', " ")
        .replace("> ", ">")
        .replace("< ", "<")
        .replace("= ", "=");
    joined.split_whitespace().all(|part| {
        let bound = part.trim_start_matches(['<', '>', '=']);
        let order = compare(Scheme::Rpm, version, bound);
        match part.strip_suffix(bound) {
            Some(">=") => order.is_ge(),
            Some(">") => order.is_gt(),
            Some("<=") => order.is_le(),
            Some("<") => order.is_lt(),
            Some("=" | "==" | "") => order.is_eq(),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_in_every_part() {
        for (range, version, expected) in [
            (">=550.54.15 <560", "550.90.07", true),
            (">=550.54.15 <560", "560.1", false),
            (">= 12.4, < 12.6", "12.5", true),
            ("<6.9", "5.14.0", true),
            ("=1.2", "1.2", true),
            ("~1", "1", false),
        ] {
            assert_eq!(within(range, version), expected, "{range} {version}");
        }
    }

    #[test]
    fn an_unknown_component_is_not_allowed() {
        let matrix: CompatibilityMatrixSpec =
            serde_json::from_value(serde_json::json!({"rows": [{"kernel": "<6.9", "cuda": ">=12"}]})).unwrap();
        let mut after = BTreeMap::from([("kernel", vec!["5.14.0".to_owned()])]);
        assert!(!allowed(&matrix, &after));
        after.insert("cuda", vec!["12.4".to_owned()]);
        assert!(allowed(&matrix, &after));
        assert_eq!(
            (
                component("kernel-core"),
                component("kernelshark"),
                component("nvidia-driver-libs")
            ),
            (Some("kernel"), None, Some("nvidiaDriver"))
        );
    }
}
