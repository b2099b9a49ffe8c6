//! Which advisories speak of an installed package, and whether its version is affected.
//!
//! Invariant \[own-release\]: only fixes for the asset's own distribution and release are looked at. Module streams
//! follow design §5.3: a plain build is never hit by a modular fix nor the reverse, and what cannot be told is
//! undecidable with its reason, never a guess.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;

use crate::load::wire::ComponentKind;
use crate::lookup::Lookup;
use crate::observe::{AdvisoryRecord, Fix, Observation, WindowsEdition, build_branch};
use crate::version::{Scheme, compare, is_modular, order, rpm_evr};

/// A package as installed (or, for a kernel, running) on an asset. Empty texts are unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Installed<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) arch: &'a str,
    pub(super) source: &'a str,
    /// Version of the source package, where it is not `version`.
    pub(super) source_version: &'a str,
    pub(super) module: &'a str,
    /// The edition of a Windows, where it is known.
    pub(super) edition: Option<WindowsEdition>,
}

impl Installed<'_> {
    /// The same without the version of its source, where the fix is not a version of the source.
    pub(super) fn matched_by(self, of_source: bool) -> Self {
        Self {
            source_version: if of_source { self.source_version } else { "" },
            ..self
        }
    }
}

/// What an advisory means for one installed version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Affected; the least version outside every range, if one is published, and the entitlement it takes to get it.
    Affected(Option<Arc<str>>, Option<Arc<str>>),
    /// The advisory speaks of this package, and this version has the fix named here.
    Fixed(Option<Arc<str>>),
    /// It cannot be told, and why.
    Undecidable(String),
}

/// An advisory that speaks of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) advisory: u32,
    pub(super) scheme: Scheme,
    pub(super) verdict: Verdict,
    /// The version of the source was compared, because it is not that of the binary.
    pub(super) of_source: bool,
}

/// Release, whether it is a source name, and the name.
type Key<'o> = (&'o str, Option<&'o str>, bool, &'o str);

/// Fixes by (OS id, release, package), for every advisory that is not withdrawn.
pub(super) struct FixIndex<'o> {
    advisories: &'o [AdvisoryRecord],
    fixes: Lookup<Key<'o>, Vec<(u32, &'o Fix)>>,
    schemes: Lookup<&'o str, Scheme>,
    /// Releases of which some fix is for a source package.
    sourced: Lookup<(&'o str, Option<&'o str>), ()>,
    has_parts: bool,
}

impl<'o> FixIndex<'o> {
    /// Indexes every fix once. An advisory withdrawn at or before `now` says nothing any more.
    pub(super) fn new(observation: &'o Observation, now: Timestamp) -> Self {
        let mut fixes: Lookup<Key<'o>, Vec<(u32, &'o Fix)>> = Lookup::default();
        let mut schemes = Lookup::default();
        let mut sourced = Lookup::default();
        let mut has_parts = false;
        let standing = observation
            .advisories
            .iter()
            .enumerate()
            .filter(|(_, a)| a.withdrawn.is_none_or(|w| w > now));
        for (index, advisory) in standing {
            for fix in &advisory.fixes {
                let release = fix.ecosystem.release.as_deref();
                let key = (
                    fix.ecosystem.os_id.as_ref(),
                    release,
                    fix.by_source,
                    fix.package.as_ref(),
                );
                if fix.by_source {
                    sourced.insert((key.0, release), ());
                }
                fixes.entry(key).or_default().push((index as u32, fix));
                schemes.entry(fix.ecosystem.os_id.as_ref()).or_insert_with_key(|os_id| {
                    has_parts |= ComponentKind::parse(os_id).is_some();
                    fix.ecosystem.scheme
                });
            }
        }
        Self {
            advisories: &observation.advisories,
            fixes,
            schemes,
            sourced,
            has_parts,
        }
    }

    /// Whether any fix is for something that is no package.
    pub(super) fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// The version order of a distribution, if any advisory speaks of it.
    pub(super) fn scheme(&self, os_id: &str) -> Option<Scheme> {
        self.schemes.get(os_id).copied()
    }

    /// Whether any fix for the release is named by source package.
    pub(super) fn names_sources(&self, os_id: &str, major: &str) -> bool {
        let releases = [Some(major), None];
        releases
            .iter()
            .any(|release| self.sourced.contains_key(&(os_id, *release)))
    }

    /// Whether a fix for the release is for a source package of this name.
    pub(super) fn is_source(&self, os_id: &str, major: &str, name: &str) -> bool {
        let releases = [Some(major), None];
        releases
            .iter()
            .any(|release| self.fixes.contains_key(&(os_id, *release, true, name)))
    }

    /// Every advisory that speaks of the package on this release, in order of advisory.
    ///
    /// Where two sources give the same advisory id, the first by source name that speaks of the package is heard, so
    /// that a finding stands once.
    pub(super) fn matches(&self, os_id: &str, major: &str, installed: &Installed<'_>) -> Vec<Match> {
        let source = if installed.source.is_empty() {
            installed.name
        } else {
            installed.source
        };
        let signed = signed_source(source);
        let names = [(false, installed.name), (true, source)].into_iter();
        let names: Vec<(bool, &str)> = names.chain(signed.as_deref().map(|name| (true, name))).collect();
        let mut found: Vec<(u32, &Fix)> = Vec::new();
        for release in [Some(major), None] {
            for (by_source, name) in &names {
                let fixes = self.fixes.get(&(os_id, release, *by_source, *name));
                let fixes = fixes.into_iter().flatten();
                found.extend(fixes.filter(|(_, fix)| arch_applies(fix, installed.arch)));
            }
        }
        found.sort_by_key(|(advisory, _)| *advisory);
        let mut matches: Vec<Match> = Vec::new();
        let mut previous: Option<&str> = None;
        for group in found.chunk_by(|a, b| a.0 == b.0) {
            let Some((advisory, first)) = group.first() else {
                continue;
            };
            let id = self.advisories.get(*advisory as usize).map(|a| a.id.as_ref());
            if previous.is_some() && previous == id {
                continue;
            }
            let scheme = first.ecosystem.scheme;
            let fixes: Vec<&Fix> = group
                .iter()
                .map(|(_, fix)| *fix)
                .filter(|f| f.ecosystem.scheme == scheme)
                .collect();
            if let Some((verdict, of_source)) = verdict_of(scheme, fixes, installed) {
                previous = id;
                matches.push(Match {
                    advisory: *advisory,
                    scheme,
                    verdict,
                    of_source,
                });
            }
        }
        matches
    }
}

/// A fix for an architecture is for that architecture only. Packages for every architecture (`noarch`, `all`) are hit by
/// any, and where the architecture was not observed nothing can be ruled out.
fn arch_applies(fix: &Fix, installed: &str) -> bool {
    let any = |arch: &str| matches!(arch, "" | "noarch" | "all" | "(none)");
    fix.arch
        .as_deref()
        .is_none_or(|arch| any(arch) || any(installed) || arch == installed)
}

/// The source whose code a signed kernel image is: Debian and Ubuntu build the image of `linux` and sign it in a source
/// of its own (`linux-signed-amd64` on Debian, `linux-signed-aws` for `linux-aws` on Ubuntu), while their advisories
/// speak of the unsigned source. The signed binary has the version of the unsigned source, its own source has not
/// (`6.1.76+1`).
fn signed_source(source: &str) -> Option<String> {
    const ARCHITECTURES: [&str; 3] = ["-amd64", "-arm64", "-i386"];
    let rest = source.strip_prefix("linux-signed")?;
    let flavour = ARCHITECTURES
        .iter()
        .find_map(|arch| rest.strip_suffix(arch))
        .unwrap_or(rest);
    (flavour.is_empty() || flavour.starts_with('-')).then(|| format!("linux{flavour}"))
}

/// Fixes for the source package are versions of the source, and binary packages may count otherwise; the others are
/// compared with the binary version. What an advisory says of the binary itself comes first. Also tells whether the
/// version of the source was compared.
fn verdict_of(scheme: Scheme, fixes: Vec<&Fix>, installed: &Installed<'_>) -> Option<(Verdict, bool)> {
    if installed.source_version.is_empty() {
        return Some((verdict(scheme, &fixes, installed)?, false));
    }
    let (of_source, own): (Vec<&Fix>, Vec<&Fix>) = fixes
        .into_iter()
        .partition(|fix| fix.by_source && *fix.package == *installed.source);
    let built_from = Installed {
        version: installed.source_version,
        ..*installed
    };
    match verdict(scheme, &own, installed) {
        Some(verdict) => Some((verdict, false)),
        None => Some((verdict(scheme, &of_source, &built_from)?, true)),
    }
}

/// None when no fix is for this kind of build (plain or modular, or its stream).
fn verdict(scheme: Scheme, fixes: &[&Fix], installed: &Installed<'_>) -> Option<Verdict> {
    let (fixes, doubt) = match scheme {
        Scheme::Rpm => of_the_stream(fixes, installed),
        Scheme::Windows => {
            let own = of_the_branch(fixes, installed.version);
            if installed.edition.is_none() && own.iter().any(|fix| fix.edition.is_some()) {
                return of_either_edition(&own, installed);
            }
            (
                own.into_iter()
                    .filter(|fix| fix.edition.is_none() || fix.edition == installed.edition)
                    .collect(),
                None,
            )
        }
        _ => (fixes.to_vec(), None),
    };
    let (fixes, needs) = within_reach(fixes);
    if fixes.is_empty() {
        return None;
    }
    if let Some(reason) = unordered(scheme, &fixes, installed.version) {
        return Some(Verdict::Undecidable(reason));
    }
    let affected = least_outside(scheme, &fixes, installed.version);
    Some(match (affected, doubt) {
        (Some(_), Some(reason)) => Verdict::Undecidable(reason),
        (Some(fixed), None) => Verdict::Affected(fixed.map(Arc::clone), needs),
        (None, _) => Verdict::Fixed(newest_taken(scheme, &fixes, installed.version)),
    })
}

/// Fixes for the branch of a Windows build: `10.0.20348.2700` of Server 2022 is not older than `10.0.26100.1` of 2025, it
/// is another system.
fn of_the_branch<'f>(fixes: &[&'f Fix], build: &str) -> Vec<&'f Fix> {
    let mine = |bound: &Option<Arc<str>>| bound.as_deref().is_none_or(|b| build_branch(b) == build_branch(build));
    fixes
        .iter()
        .copied()
        .filter(|fix| mine(&fix.fixed) && mine(&fix.introduced))
        .collect()
}

/// Client and server share the branch, and nobody said which the asset is: what holds for both holds, and where they differ
/// nobody can tell. Neither the lower nor the higher build would do: the one leaves a hole open, the other may not exist for it.
fn of_either_edition(fixes: &[&Fix], installed: &Installed<'_>) -> Option<Verdict> {
    let [client, server] = WindowsEdition::ALL.map(|edition| {
        let edition = Some(edition);
        verdict(Scheme::Windows, fixes, &Installed { edition, ..*installed })
    });
    match (client, server) {
        (client, server) if client == server => client,
        (None | Some(Verdict::Fixed(_)), server @ (None | Some(Verdict::Fixed(_)))) => server,
        _ => Some(Verdict::Undecidable(format!(
            "build {} is a client and a server Windows, whose fixes differ, and the release of this one was not observed; report \
             its `os` with the version as its name says it, such as 11 or 2025",
            installed.version
        ))),
    }
}

/// Why the version cannot be compared with the bounds, if so: a version nobody can order is not equal, not older and not
/// newer.
fn unordered(scheme: Scheme, fixes: &[&Fix], version: &str) -> Option<String> {
    let bounds = fixes
        .iter()
        .flat_map(|fix| [&fix.introduced, &fix.fixed, &fix.last_affected])
        .flatten();
    let bound = bounds
        .into_iter()
        .find(|bound| order(scheme, version, bound).is_none())?;
    Some(format!(
        "version `{version}` cannot be compared with `{bound}` as {scheme} versions; say `scheme` in the advisory's \
         component, or observe the version as the vendor publishes it"
    ))
}

/// A fix anybody can have beats one behind a subscription; where only the latter is published, what it needs is said.
fn within_reach(fixes: Vec<&Fix>) -> (Vec<&Fix>, Option<Arc<str>>) {
    let (free, entitled): (Vec<&Fix>, Vec<&Fix>) = fixes.into_iter().partition(|f| f.entitlement.is_none());
    if entitled.is_empty() || free.iter().any(|f| f.fixed.is_some()) {
        return (free, None);
    }
    let needs = entitled.iter().find_map(|f| f.entitlement.clone());
    (entitled, needs)
}

/// Whether `version` lies below `bound`. An rpm bound without a release is a bound on the version only: every release of
/// that version is at it, not above (rpm itself would call a missing release older than any).
fn below(scheme: Scheme, version: &str, bound: &str) -> bool {
    if scheme == Scheme::Rpm && rpm_evr(bound).2.is_none() {
        let (epoch, version, _) = rpm_evr(version);
        return compare(scheme, &format!("{epoch}:{version}"), bound) == Ordering::Less;
    }
    compare(scheme, version, bound) == Ordering::Less
}

fn contains(scheme: Scheme, fix: &Fix, version: &str) -> bool {
    let introduced = fix
        .introduced
        .as_deref()
        .is_none_or(|from| !below(scheme, version, from));
    let fixed = fix.fixed.as_deref().is_some_and(|to| !below(scheme, version, to));
    introduced
        && !fixed
        && fix
            .last_affected
            .as_deref()
            .is_none_or(|last| !above(scheme, version, last))
}

/// Whether `version` lies above `bound`; an rpm bound without a release takes in every release of its version.
fn above(scheme: Scheme, version: &str, bound: &str) -> bool {
    if scheme == Scheme::Rpm && rpm_evr(bound).2.is_none() {
        let (epoch, version, _) = rpm_evr(version);
        return compare(scheme, &format!("{epoch}:{version}"), bound) == Ordering::Greater;
    }
    compare(scheme, version, bound) == Ordering::Greater
}

/// The least fixed version that lies in no range, when a range contains `version`: taking it closes the finding for
/// good. `Some(None)` = affected, and no fix is published.
fn least_outside<'f>(scheme: Scheme, fixes: &[&'f Fix], version: &str) -> Option<Option<&'f Arc<str>>> {
    let around = |version: &str| {
        let ranges = fixes.iter().filter(|fix| contains(scheme, fix, version));
        ranges.map(|fix| fix.fixed.as_ref()).min_by(|a, b| match (a, b) {
            (Some(a), Some(b)) => compare(scheme, a, b),
            // A range without end beats every fix: nothing published leaves it.
            (a, b) => a.is_some().cmp(&b.is_some()),
        })
    };
    let mut fixed = around(version)?;
    // Each step leaves one range for good, so there are at most as many steps as ranges.
    for _ in fixes {
        let Some(next) = fixed.and_then(|at| around(at)) else {
            break;
        };
        fixed = next;
    }
    Some(fixed)
}

/// The newest published fix that `version` already has.
fn newest_taken(scheme: Scheme, fixes: &[&Fix], version: &str) -> Option<Arc<str>> {
    let taken = fixes
        .iter()
        .filter_map(|fix| fix.fixed.as_ref())
        .filter(|fixed| !below(scheme, version, fixed));
    taken.max_by(|a, b| compare(scheme, a, b)).map(Arc::clone)
}

/// The fixes that are for a build of this kind, and a doubt where the stream cannot be told.
fn of_the_stream<'f>(fixes: &[&'f Fix], installed: &Installed<'_>) -> (Vec<&'f Fix>, Option<String>) {
    let modular = |fix: &&Fix| fix.module.is_some() || fix.fixed.as_deref().is_some_and(is_modular);
    // A range that names neither module nor fixed version is for any build.
    let open_ended = |fix: &&Fix| fix.module.is_none() && fix.fixed.is_none();
    if installed.module.is_empty() && !is_modular(installed.version) {
        return (fixes.iter().copied().filter(|f| !modular(f)).collect(), None);
    }
    let mine: Vec<&Fix> = fixes.iter().copied().filter(|f| modular(f) || open_ended(f)).collect();
    let label = stream(installed.module);
    if label.is_some() && mine.iter().any(|f| f.module.as_deref().and_then(stream) == label) {
        return (
            mine.into_iter()
                .filter(|f| f.module.as_deref().and_then(stream) == label)
                .collect(),
            None,
        );
    }
    let (named, unnamed): (Vec<&Fix>, Vec<&Fix>) = mine.into_iter().partition(|f| f.module.is_some());
    if label.is_some() || named.is_empty() {
        return one_build(unnamed, installed);
    }
    // The feed names streams, the observation does not.
    let mut all = named;
    all.extend(unnamed);
    if let Some(same) = narrowed(&all, |fix| upstream(fix) == Some(rpm_evr(installed.version).1)) {
        return (same, None);
    }
    let streams: std::collections::BTreeSet<&str> = all.iter().filter_map(|f| f.module.as_deref()).collect();
    let streams: Vec<&str> = streams.into_iter().collect();
    let reason = format!(
        "the installed build is modular, but its stream was not observed; the advisory fixes {}",
        streams.join(", ")
    );
    (all, Some(reason))
}

/// Among several modular fixes of one package without a stream: the one of the installed label (`el8.5.0` of
/// `.module_el8.5.0+94`), else of the installed upstream version, else nobody can tell.
fn one_build<'f>(fixes: Vec<&'f Fix>, installed: &Installed<'_>) -> (Vec<&'f Fix>, Option<String>) {
    if distinct(&fixes) <= 1 {
        return (fixes, None);
    }
    let label = module_label(installed.version);
    let same_label = |fix: &Fix| label.is_some() && fix.fixed.as_deref().and_then(module_label) == label;
    let same_upstream = |fix: &Fix| upstream(fix) == Some(rpm_evr(installed.version).1);
    let by_label: Vec<&Fix> = fixes.iter().copied().filter(|f| same_label(f)).collect();
    let pool = if by_label.is_empty() { &fixes } else { &by_label };
    if distinct(pool) == 1 {
        return (pool.clone(), None);
    }
    if let Some(one) = narrowed(pool, same_upstream) {
        return (one, None);
    }
    let versions: Vec<&str> = fixes.iter().filter_map(|f| f.fixed.as_deref()).collect();
    let reason = format!(
        "the advisory has several modular fixes ({}) and neither the label nor the upstream version of the installed \
         build tells which is meant",
        versions.join(", ")
    );
    (fixes, Some(reason))
}

fn distinct(fixes: &[&Fix]) -> usize {
    fixes
        .iter()
        .map(|f| (&f.introduced, &f.fixed))
        .collect::<std::collections::BTreeSet<_>>()
        .len()
}

/// Those for which `keep` holds, if they agree on one range.
fn narrowed<'f>(fixes: &[&'f Fix], keep: impl Fn(&Fix) -> bool) -> Option<Vec<&'f Fix>> {
    let kept: Vec<&Fix> = fixes.iter().copied().filter(|f| keep(f)).collect();
    (distinct(&kept) == 1).then_some(kept)
}

fn upstream(fix: &Fix) -> Option<&str> {
    fix.fixed.as_deref().map(|fixed| rpm_evr(fixed).1)
}

/// `name:stream` of `name:stream[:version[:context]]`.
pub(super) fn stream(label: &str) -> Option<&str> {
    let end = label.match_indices(':').nth(1).map_or(label.len(), |(at, _)| at);
    label.get(..end).filter(|s| !s.is_empty())
}

/// `el8.5.0` of `…-6.module_el8.5.0+94+abcdef` and `…-6.module+el8.5.0+94+abcdef`.
fn module_label(version: &str) -> Option<&str> {
    let (_, rest) = version.split_once(".module")?;
    let rest = rest.strip_prefix(['_', '+'])?;
    rest.split('+').next().filter(|label| !label.is_empty())
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
