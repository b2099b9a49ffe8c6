//! Whether what an asset would be after a change goes together: the CompatibilityMatrix.
//!
//! Columns of a matrix: `kernel`, `nvidiaDriver`, `cuda`, `gpu` (families or words of the device names), `kubelet`,
//! `osBuild`; any other is the product of a component, or the name of a package. What is not observed satisfies no row
//! that speaks of it.

use std::collections::{BTreeMap, BTreeSet};

use super::carry::Member;
use super::context::Context;
use super::gpu_family::is_of_family;
use crate::history::Target;
use crate::load::Resource;
use crate::load::wire::{CompatibilityMatrixSpec, CompatibleValues, ComponentKind};
use crate::observe::{Asset, Part, parts_of};
use crate::version::{Range, Scheme, order};

/// One observed value, with the order it is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    scheme: Scheme,
    text: String,
}

/// What an asset has, by column.
type Combination = BTreeMap<String, Vec<Value>>;

/// How many changed columns are tried in every combination; an asset with more takes all or nothing.
const COLUMNS_MAX: usize = 6;

/// The column that a target changes.
fn column(target: &Target) -> Option<&str> {
    const KERNELS: [&str; 5] = [
        "kernel",
        "kernel-core",
        "kernel-modules",
        "linux-image",
        "linux-generic",
    ];
    const DRIVERS: [&str; 4] = ["nvidia-driver", "nvidia-open", "kmod-nvidia", "nvidia-kernel"];
    const CUDA: [&str; 2] = ["cuda", "cuda-toolkit"];
    let package = target.name.as_ref();
    let is = |names: &[&str]| {
        names.iter().any(|n| {
            package
                .strip_prefix(n)
                .is_some_and(|r| r.is_empty() || r.starts_with('-'))
        })
    };
    match target.kind() {
        Some(kind) => Some(column_of_part(kind, package)),
        None if is(&KERNELS) => Some("kernel"),
        None if is(&DRIVERS) => Some("nvidiaDriver"),
        None if CUDA.contains(&package) => Some("cuda"),
        None => Some(package),
    }
}

fn column_of_part(kind: ComponentKind, product: &str) -> &str {
    match (kind, product) {
        (ComponentKind::Gpu, "driver") => "nvidiaDriver",
        (ComponentKind::Os, _) => "osBuild",
        _ => product,
    }
}

/// The targets of a member that lead out of every row of a matrix, in words. Changes that land in a row together are
/// taken together; where they do not, as many of them as do, those that stand first by name.
pub(super) fn incompatible(ctx: &Context<'_>, member: &Member, targets: &[Target]) -> Option<(Vec<usize>, String)> {
    let asset = ctx.asset(member.asset)?;
    if ctx.catalog.matrices.is_empty() {
        return None;
    }
    let matrices = ctx.catalog.matrices.values();
    let matrices: Vec<&Resource<CompatibilityMatrixSpec>> = matrices
        .filter(|m| ctx.matches(member.asset, m.spec.selector.as_ref(), m.spec.when.as_deref(), true))
        .collect();
    if matrices.is_empty() {
        return None;
    }
    let named: BTreeSet<&str> = matrices
        .iter()
        .flat_map(|m| &m.spec.rows)
        .flat_map(|r| r.keys())
        .map(String::as_str)
        .collect();
    let mut changes: BTreeMap<&str, Vec<(usize, Value)>> = BTreeMap::new();
    for (index, target) in member.targets().iter().filter_map(|t| Some((*t, targets.get(*t)?))) {
        let changed = column(target).and_then(|c| named.iter().copied().find(|n| n.eq_ignore_ascii_case(c)));
        if let Some(column) = changed {
            changes.entry(column).or_default().push((index, value_of(target)));
        }
    }
    let now = observed(ctx, asset, &named);
    let columns: Vec<&str> = changes.keys().copied().collect();
    let taken = subsets(&columns).into_iter().find(|taken| {
        let after = with(&now, &changes, taken);
        matrices
            .iter()
            .all(|m| !speaks_of(&m.spec, taken) || allowed(&m.spec, &after))
    });
    let taken = taken.unwrap_or_default();
    let left: Vec<&str> = columns.iter().copied().filter(|c| !taken.contains(c)).collect();
    let refused = left.iter().filter_map(|c| changes.get(c)).flatten();
    let refused: Vec<usize> = refused.map(|(index, _)| *index).collect();
    if refused.is_empty() {
        return None;
    }
    // What stands in the way of the rest, beside what is taken.
    let after = with(&now, &changes, &columns);
    let broken = matrices
        .iter()
        .find(|m| speaks_of(&m.spec, &left) && !allowed(&m.spec, &after));
    Some((refused, broken.map_or_else(String::new, |m| words(ctx, m, &after))))
}

/// Every choice of columns but none of them, the larger first, then in order of their names.
fn subsets<'c>(columns: &[&'c str]) -> Vec<Vec<&'c str>> {
    if columns.len() > COLUMNS_MAX {
        return vec![columns.to_vec()];
    }
    let choice = |bits: u32| -> Vec<&'c str> {
        let places = columns.iter().zip(0_u32..);
        places
            .filter(|(_, place)| bits & (1 << place) != 0)
            .map(|(c, _)| *c)
            .collect()
    };
    let mut subsets: Vec<Vec<&str>> = (1..1_u32 << columns.len()).map(choice).collect();
    subsets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    subsets
}

fn speaks_of(matrix: &CompatibilityMatrixSpec, columns: &[&str]) -> bool {
    matrix
        .rows
        .iter()
        .any(|row| columns.iter().any(|c| row.contains_key(*c)))
}

/// The combination after the changes of some columns.
fn with(now: &Combination, changes: &BTreeMap<&str, Vec<(usize, Value)>>, columns: &[&str]) -> Combination {
    let mut after = now.clone();
    for (column, values) in columns.iter().filter_map(|c| changes.get_key_value(c)) {
        after.insert((*column).to_owned(), values.iter().map(|(_, v)| v.clone()).collect());
    }
    after
}

fn value_of(target: &Target) -> Value {
    let text = match target.kind() {
        Some(_) => target.version.to_string(),
        None => upstream(&target.version).to_owned(),
    };
    Value {
        scheme: target.scheme,
        text,
    }
}

/// What is on the machine now, as far as it is known and a matrix asks for it.
fn observed(ctx: &Context<'_>, asset: &Asset, named: &BTreeSet<&str>) -> Combination {
    let mut known = Combination::new();
    let mut add = |column: &str, scheme: Scheme, text: &str| {
        let value = Value {
            scheme,
            text: text.to_owned(),
        };
        known.entry(column.to_owned()).or_default().push(value);
    };
    let facts = &asset.facts;
    if let Some(running) = facts.kernel.as_ref().and_then(|k| k.running.as_deref()) {
        add("kernel", Scheme::Rpm, upstream(running));
    }
    for device in facts.gpu.iter().flat_map(|gpu| &gpu.devices) {
        add("gpu", Scheme::Dotted, device);
    }
    for part in parts_of(asset) {
        let Part {
            kind,
            vendor,
            product,
            version,
            ..
        } = &part;
        add(column_of_part(*kind, product), kind.scheme_of(vendor), version);
    }
    let tables = &ctx.observation.tables;
    let installed = facts.packages.map_or(&[][..], |set| tables.set(set));
    for package in installed.iter().map(|id| tables.package(*id)) {
        let name = tables.text(package.name);
        if named.contains(name) && name != "kernel" {
            add(name, Scheme::Rpm, upstream(tables.text(package.version)));
        }
    }
    // Columns of components are written as their vendor does; observed ones are in lower case.
    let cased = named.iter().filter(|c| c.chars().any(char::is_uppercase));
    let renamed: Vec<(String, Vec<Value>)> = cased
        .filter_map(|c| Some(((*c).to_owned(), known.get(&c.to_lowercase())?.clone())))
        .collect();
    known.extend(renamed);
    known
}

/// The version without epoch and release: matrices speak of `6.9`, packages of `0:6.9.1-1.el9`.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.split_once('-').map_or(version, |(upstream, _)| upstream)
}

/// Whether some row allows the combination.
fn allowed(matrix: &CompatibilityMatrixSpec, after: &Combination) -> bool {
    matrix.rows.iter().any(|row| missed(row, after).is_empty())
}

/// The columns by which a row is missed, in words.
fn missed(row: &BTreeMap<String, CompatibleValues>, after: &Combination) -> Vec<String> {
    let missed = row.iter().filter_map(|(column, wanted)| match after.get(column) {
        None => Some(format!("{column}, which was not observed")),
        Some(values) => {
            let value = values.iter().find(|value| admits(wanted, value) != Some(true))?;
            Some(match admits(wanted, value) {
                None => format!(
                    "{column} {}, which cannot be compared with {}",
                    value.text,
                    said(wanted)
                ),
                _ => format!("{column} {}, which is not {}", value.text, said(wanted)),
            })
        }
    });
    missed.collect()
}

fn said(wanted: &CompatibleValues) -> String {
    match wanted {
        CompatibleValues::Range(range) => range.clone(),
        CompatibleValues::OneOf(list) => list.join(" or "),
    }
}

fn admits(wanted: &CompatibleValues, value: &Value) -> Option<bool> {
    match wanted {
        CompatibleValues::OneOf(list) => Some(list.iter().any(|word| {
            let exact = || order(value.scheme, &value.text, word).is_some_and(std::cmp::Ordering::is_eq);
            is_of_family(&value.text, word) || exact()
        })),
        CompatibleValues::Range(range) => Range::parse(range)?.holds(|bound| order(value.scheme, &value.text, bound)),
    }
}

/// The row missed by least, and by what.
fn words(ctx: &Context<'_>, matrix: &Resource<CompatibilityMatrixSpec>, after: &Combination) -> String {
    let at = |pointer: &str| match ctx.catalog.at(matrix.doc, pointer) {
        place if place.is_empty() => String::new(),
        place => format!(" ({place})"),
    };
    let texts = |values: &Vec<Value>| values.iter().map(|v| v.text.as_str()).collect::<Vec<_>>().join("/");
    let columns: BTreeSet<&String> = matrix.spec.rows.iter().flat_map(BTreeMap::keys).collect();
    let known = columns
        .into_iter()
        .filter_map(|c| Some(format!("{c} {}", texts(after.get(c)?))));
    let known: Vec<String> = known.collect();
    let mut detail = format!(
        "no row of CompatibilityMatrix {}{} allows {}",
        matrix.name,
        at("/spec/rows"),
        known.join(", ")
    );
    let rows = matrix
        .spec
        .rows
        .iter()
        .enumerate()
        .map(|(i, row)| (i, missed(row, after)));
    if let Some((index, missed)) = rows.min_by_key(|(i, missed)| (missed.len(), *i)) {
        detail += &format!(
            "; nearest is row {}{}, missed by {}",
            index + 1,
            at(&format!("/spec/rows/{index}")),
            missed.join(" and by ")
        );
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: serde_json::Value) -> CompatibilityMatrixSpec {
        serde_json::from_value(serde_json::json!({"rows": rows})).unwrap()
    }

    fn combination(pairs: &[(&str, &str)]) -> Combination {
        let value = |text: &str| Value {
            scheme: Scheme::Dotted,
            text: text.to_owned(),
        };
        pairs.iter().map(|(c, v)| ((*c).to_owned(), vec![value(v)])).collect()
    }

    #[test]
    fn an_unknown_component_is_not_allowed() {
        let matrix = matrix(serde_json::json!([{"kernel": "<6.9", "cuda": ">=12"}]));
        assert!(!allowed(&matrix, &combination(&[("kernel", "5.14.0")])));
        assert!(allowed(
            &matrix,
            &combination(&[("kernel", "5.14.0"), ("cuda", "12.4")])
        ));
        let words = missed(&matrix.rows[0], &combination(&[("kernel", "6.12"), ("cuda", "x")]));
        assert_eq!(
            words,
            [
                "cuda x, which cannot be compared with >=12",
                "kernel 6.12, which is not <6.9"
            ]
        );
    }

    #[test]
    fn larger_choices_come_first() {
        assert_eq!(
            subsets(&["a", "b", "c"]),
            [
                vec!["a", "b", "c"],
                vec!["a", "b"],
                vec!["a", "c"],
                vec!["b", "c"],
                vec!["a"],
                vec!["b"],
                vec!["c"]
            ]
        );
    }
}
