//! A vulnerability as an advisory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::load::wire::AdvisoryType;
use patchwave_core::name::Severity;
use patchwave_core::observe::{
    AdvisoryRecord, Ecosystem, Exploited, Fix, Provenance, WindowsEdition, build_branch, is_shared_branch, kb_digits,
};
use patchwave_core::version::Scheme;

use super::{Product, Products, Remediation, Threat, Vulnerability};
use crate::fields::{excerpt, instant};
use crate::osv::{from_vector, from_word, is_id};
use crate::sheet::Sheet;
use crate::windows::{build_of, edition_of, release_of};

/// Takes in one vulnerability.
pub(super) fn take(read: &Vulnerability, products: &Products, at: &Provenance, sheet: &mut Sheet) {
    if !is_id(&read.id) {
        return sheet.skip(
            at,
            format!("`{}` cannot be the id of a vulnerability", excerpt(&read.id)),
        );
    }
    for why in &read.lost {
        sheet.drop_field(at, format!("{}: {why}", read.id));
    }
    let windows = builds(read, products, at, sheet);
    let (published, modified) = revisions(read, at, sheet);
    let record = AdvisoryRecord {
        id: read.id.as_str().into(),
        aliases: Vec::new(),
        severity: severity(read, products),
        types: vec![AdvisoryType::Security],
        published,
        modified,
        withdrawn: None,
        fixes: fixes(&windows),
        reboot: reboot(read, products),
        exploited: exploited(read).then(|| Exploited {
            since: None,
            ransomware: None,
            provenance: Some(at.clone()),
        }),
        cves: Vec::new(),
        provenance: at.clone(),
    };
    sheet.read();
    sheet.batch.advisories.push(record);
}

fn is_windows(product: &Product) -> bool {
    release_of(&product.name).is_some()
}

/// Whether the remediation is one for a Windows.
fn for_windows(remediation: &Remediation, products: &Products) -> bool {
    let mut named = remediation.products.iter().filter_map(|id| products.get(id));
    named.any(is_windows)
}

/// A branch of builds; with the edition where the branch is a client and a server.
type Branch = (String, Option<WindowsEdition>);

/// The branches a build fixes: as many as there are editions among the products, where the branch has several.
fn branches(build: &str, remediation: &Remediation, products: &Products) -> BTreeSet<Branch> {
    let branch = build_branch(build);
    let named = remediation.products.iter().filter_map(|id| products.get(id));
    let editions = named.filter_map(|product| edition_of(&product.name));
    let own = |edition| (branch.to_owned(), Some(edition).filter(|_| is_shared_branch(branch)));
    editions.map(own).collect()
}

/// Fixed builds of a branch.
#[derive(Default, PartialEq, Eq)]
struct Builds {
    /// Each with the article that brings it.
    updates: BTreeSet<(String, Option<Arc<str>>)>,
    /// Those that only hotpatching reaches.
    hotpatches: BTreeSet<(String, Option<Arc<str>>)>,
}

/// The fixed builds by branch; whatever cannot be compared is told.
fn builds(read: &Vulnerability, products: &Products, at: &Provenance, sheet: &mut Sheet) -> BTreeMap<Branch, Builds> {
    let mut windows: BTreeMap<Branch, Builds> = BTreeMap::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for remediation in &read.remediations {
        for id in &remediation.products {
            told.insert(id);
            match products.get(id) {
                Some(product) if !is_windows(product) => other(product, at, sheet),
                Some(_) => {}
                None => sheet.tally(&at.file, "a fix is for a product that the document does not name", 1),
            }
        }
        if !for_windows(remediation, products) {
            continue;
        }
        let parts: Vec<&str> = remediation
            .build
            .split([',', ';', ' ', '\n'])
            .filter(|part| !part.is_empty())
            .collect();
        let builds: Vec<&str> = parts.iter().filter_map(|part| build_of(part)).collect();
        if parts.is_empty() {
            sheet.tally(
                &at.file,
                "a fix of Windows names no build, so nothing is compared with it",
                1,
            );
        } else if builds.len() < parts.len() {
            sheet.drop_field(
                at,
                format!(
                    "{}: `FixedBuild` reads `{}`, which is no build; that fix is not compared",
                    read.id,
                    excerpt(&remediation.build)
                ),
            );
        }
        let kb: Option<Arc<str>> = kb_digits(&remediation.article).map(Arc::from);
        let hot = hotpatch(remediation, products);
        for build in builds {
            for branch in branches(build, remediation, products) {
                let branch = windows.entry(branch).or_default();
                let group = if hot {
                    &mut branch.hotpatches
                } else {
                    &mut branch.updates
                };
                group.insert((build.to_owned(), kb.clone()));
            }
        }
    }
    for id in read.affected.iter().filter(|id| !told.contains(id.as_str())) {
        match products.get(id) {
            Some(product) if is_windows(product) => {
                sheet.tally(&at.file, "a Windows is affected and no fix for it is published", 1);
            }
            Some(product) => other(product, at, sheet),
            None => {}
        }
    }
    windows
}

fn other(product: &Product, at: &Provenance, sheet: &mut Sheet) {
    let family = if product.family.is_empty() {
        "not said"
    } else {
        &product.family
    };
    let what = format!(
        "products of family `{}` have no build of Windows and match no asset",
        excerpt(family)
    );
    sheet.tally(&at.file, &what, 1);
}

/// Hotpatches reach builds of their own below that of the month's update; only enrolled machines get them.
fn hotpatch(remediation: &Remediation, products: &Products) -> bool {
    let says = |text: &str| text.to_ascii_lowercase().contains("hotpatch");
    let mut named = remediation.products.iter().filter_map(|id| products.get(id));
    says(&remediation.sort) || named.any(|product| says(&product.name))
}

/// One fix for each build and article. Where a branch has hotpatches as well, exactly their builds are not affected: a
/// machine that has one needs nothing, and any other machine needs the update.
///
/// Where client and server of a branch have the same fixes, none is for one of them alone.
fn fixes(windows: &BTreeMap<Branch, Builds>) -> Vec<Fix> {
    let mut fixes = Vec::new();
    for ((branch, edition), builds) in windows {
        let of = |edition| windows.get(&(branch.clone(), Some(edition)));
        let agree = WindowsEdition::ALL
            .into_iter()
            .all(|edition| of(edition) == Some(builds));
        let edition = edition.filter(|_| !agree);
        let revisions = |builds: &BTreeSet<(String, Option<Arc<str>>)>| -> BTreeSet<u64> {
            builds.iter().filter_map(|(build, _)| revision(build)).collect()
        };
        let (targets, holes) = match builds.updates.is_empty() {
            true => (&builds.hotpatches, BTreeSet::new()),
            false => (&builds.updates, revisions(&builds.hotpatches)),
        };
        for (build, kb) in targets {
            around(&holes, build, (kb, edition), &mut fixes);
        }
    }
    fixes.sort();
    fixes.dedup();
    fixes
}

/// The ranges below a build that lie around the holes; those that hold no revision are left out.
fn around(
    holes: &BTreeSet<u64>,
    build: &str,
    (kb, edition): (&Option<Arc<str>>, Option<WindowsEdition>),
    fixes: &mut Vec<Fix>,
) {
    let fix = |introduced| Fix {
        edition,
        ..fix(introduced, build, kb.clone())
    };
    let below = revision(build).unwrap_or_default();
    let at = |revision| with_revision(build, revision);
    // The first revision behind the last hole.
    let mut from: Option<u64> = None;
    for hole in holes.range(..below) {
        if let Some(last) = hole.checked_sub(1).filter(|last| from.is_none_or(|from| from <= *last)) {
            fixes.push(Fix {
                last_affected: Some(at(last)),
                ..fix(from.map(at))
            });
        }
        from = Some(hole + 1);
    }
    if from.is_none_or(|from| from < below) {
        fixes.push(fix(from.map(at)));
    }
}

fn revision(build: &str) -> Option<u64> {
    build.rsplit_once('.')?.1.parse().ok()
}

fn with_revision(build: &str, revision: u64) -> Arc<str> {
    format!("{}.{revision}", build_branch(build)).into()
}

fn fix(introduced: Option<Arc<str>>, build: &str, kb: Option<Arc<str>>) -> Fix {
    Fix {
        ecosystem: Ecosystem {
            scheme: Scheme::Windows,
            os_id: "os".into(),
            release: Some("microsoft".into()),
        },
        package: "windows".into(),
        by_source: false,
        arch: None,
        module: None,
        edition: None,
        introduced,
        fixed: Some(build.into()),
        last_affected: None,
        entitlement: None,
        kb,
    }
}

/// The worst that Microsoft says of a Windows, else of any product, else the worst of the CVSS vectors.
fn severity(read: &Vulnerability, products: &Products) -> Severity {
    let said = |windows: bool| {
        let of = move |ids: &[String]| !windows || ids.iter().filter_map(|id| products.get(id)).any(is_windows);
        let threats = read.threats.iter().filter(|(threat, _, _)| *threat == Threat::Severity);
        threats
            .filter(move |(_, ids, _)| of(ids))
            .filter_map(|(_, _, text)| from_word(text))
            .max()
    };
    let vectors = || read.vectors.iter().filter_map(|vector| from_vector(vector)).max();
    said(true)
        .or_else(|| said(false))
        .or_else(vectors)
        .unwrap_or(Severity::Unknown)
}

/// `Publicly Disclosed:No;Exploited:Yes;Latest Software Release:Exploitation Detected`.
fn exploited(read: &Vulnerability) -> bool {
    let says = |text: &str| {
        text.split(';').any(|part| {
            part.split_once(':').is_some_and(|(key, value)| {
                key.trim().eq_ignore_ascii_case("exploited") && value.trim().eq_ignore_ascii_case("yes")
            })
        })
    };
    read.threats
        .iter()
        .any(|(threat, _, text)| *threat == Threat::Exploit && says(text))
}

/// Whether the updates of Windows ask for a reboot: `Yes` of one says so; `Maybe` says nothing.
fn reboot(read: &Vulnerability, products: &Products) -> Option<bool> {
    let updates = read
        .remediations
        .iter()
        .filter(|remediation| for_windows(remediation, products) && !hotpatch(remediation, products));
    let answers: BTreeSet<String> = updates.map(|update| update.restart.to_ascii_lowercase()).collect();
    match (answers.contains("yes"), answers.contains("no"), answers.len()) {
        (true, _, _) => Some(true),
        (false, true, 1) => Some(false),
        _ => None,
    }
}

/// The first and the last revision.
fn revisions(read: &Vulnerability, at: &Provenance, sheet: &mut Sheet) -> (Option<Timestamp>, Option<Timestamp>) {
    let mut times = Vec::with_capacity(read.revisions.len());
    for text in &read.revisions {
        match instant(text) {
            Some(time) => times.push(time),
            None => sheet.drop_field(
                at,
                format!("{}: a revision was dropped: `{}` is no time", read.id, excerpt(text)),
            ),
        }
    }
    (times.iter().min().copied(), times.iter().max().copied())
}
