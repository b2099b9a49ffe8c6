//! One batch: what each of its assets shows.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::assess::may_be_away;
use crate::history::{BatchProgress, FrozenAsset, FrozenBatch, FrozenRollout, Target};
use crate::load::wire::{AssetClassSpec, Lifecycle, RebootPolicy};
use crate::observe::{Asset, Observation, Package, PackageState, Part, parts_of};
use crate::version::{compare, kernel_release_version, order};

/// What one asset shows of its targets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AssetVerdict {
    /// Exactly the targets, or newer and fixed, seen after the release.
    Passed {
        /// When it was seen.
        seen: Timestamp,
        /// Something is newer than its target.
        newer: bool,
    },
    /// It shows its targets, but not because of this batch: seen before any release of it.
    OutOfBand {
        /// When it was seen.
        seen: Timestamp,
    },
    /// It was tried and does not show its targets.
    Failed(String),
    /// It was never touched.
    NotAttempted(String),
    /// Nothing can be said yet.
    Waiting(String),
}

/// The verdicts of a batch's assets, by name.
pub type BatchVerdict = BTreeMap<Arc<str>, AssetVerdict>;

/// When an opening is longer than this, a batch that shows nothing new has failed so long after its release.
const SILENCE: SignedDuration = SignedDuration::from_hours(24);

/// Judges every asset of a batch from the merged observation.
///
/// `class` gives what a class says by its name: where it allows assets to be away, one that was not seen since its release
/// was not attempted; where it never reboots, a pending reboot is not held
/// against an asset whose packages are right and whose kernel is not a target.
pub fn judge_batch<'c>(
    rollout: &FrozenRollout,
    batch: &FrozenBatch,
    progress: &BatchProgress,
    observation: &Observation,
    class: &dyn Fn(&str) -> Option<&'c AssetClassSpec>,
    now: Timestamp,
) -> BatchVerdict {
    let assets = batch.assets.iter();
    assets
        .map(|frozen| {
            let verdict = judge_asset(rollout, frozen, progress, observation, class(&frozen.class), now);
            (Arc::from(frozen.name.as_str()), verdict)
        })
        .collect()
}

fn judge_asset(
    rollout: &FrozenRollout,
    frozen: &FrozenAsset,
    progress: &BatchProgress,
    observation: &Observation,
    class: Option<&AssetClassSpec>,
    now: Timestamp,
) -> AssetVerdict {
    let name = frozen.name.as_str();
    let released = progress.released_at;
    let said = progress
        .evidence
        .get(name)
        .filter(|s| released.is_some_and(|r| s.at >= r));
    let untouched = said.filter(|s| s.outcome.as_ref() == "not-attempted");
    let found = observation.assets.binary_search_by(|a| a.name.as_ref().cmp(name));
    let Some(asset) = found.ok().and_then(|i| observation.assets.get(i)) else {
        return AssetVerdict::Waiting("no fleet lists or reports it any more".into());
    };
    let Some(seen) = asset.observed_at else {
        return AssetVerdict::Waiting("it was never observed".into());
    };
    if asset.lifecycle == Lifecycle::Retired {
        return AssetVerdict::NotAttempted("it is retired: nothing of it is patched any more".into());
    }
    if asset.stale {
        // Nobody saw it since its release: off, and allowed to be. It keeps its clock and holds nobody up.
        let away = released.is_some_and(|r| seen <= r) && class.is_some_and(|c| may_be_away(c, seen, now));
        return match away {
            true => AssetVerdict::NotAttempted(format!("away since {seen}, which its class allows")),
            false => AssetVerdict::Waiting(format!("its newest observation, of {seen}, is stale")),
        };
    }
    let reboot = class.map_or(RebootPolicy::IfNeeded, |c| c.disruption.reboot);
    let shown = targets_shown(rollout, frozen, asset, observation, reboot);
    // Right versions are not all there is: a failing check, a unit that is down and a %post that rpm calls a success leave
    // them right too, and only the executor saw it. Its word never makes an asset pass; it can keep one from passing until
    // it says better, or a person resumes the rollout or waives the asset.
    let broken = said.filter(|s| s.outcome.as_ref() == "failed");
    match (shown, released) {
        (Ok(_), Some(released)) if seen > released && broken.is_some() => {
            let reason = broken.and_then(|s| s.reason.as_deref()).unwrap_or("no reason given");
            AssetVerdict::Failed(format!("its versions are right, but its run failed: {reason}"))
        }
        (Ok(newer), Some(released)) if seen > released => AssetVerdict::Passed { seen, newer },
        (Ok(_), _) => AssetVerdict::OutOfBand { seen },
        (Err(_), None) => AssetVerdict::Waiting("its batch is not released".into()),
        (Err(what), Some(released)) => {
            if let Some(said) = untouched {
                return AssetVerdict::NotAttempted(said.reason.clone().unwrap_or_else(|| "not attempted".into()));
            }
            if seen <= released {
                return AssetVerdict::Waiting(format!("not observed since its release at {released}"));
            }
            let limit = failure_limit(released, progress.opening_end);
            let ran = said.is_some_and(|s| s.outcome.as_ref() != "started" && s.at < seen);
            if seen > limit || ran {
                return AssetVerdict::Failed(format!("{what} (seen {seen}, released {released})"));
            }
            AssetVerdict::Waiting(format!("{what} at {seen}; it may still run until {limit}"))
        }
    }
}

/// After this instant an observation that does not show the targets is a failure: the end of the opening, or 24 h after
/// the release where the opening is longer.
pub fn failure_limit(released: Timestamp, opening_end: Option<Timestamp>) -> Timestamp {
    let day = released.checked_add(SILENCE).unwrap_or(Timestamp::MAX);
    opening_end.map_or(day, |end| end.min(day))
}

/// Whether the asset shows all its targets: `Ok(newer)`, or what it shows instead.
fn targets_shown(
    rollout: &FrozenRollout,
    frozen: &FrozenAsset,
    asset: &Asset,
    observation: &Observation,
    reboot: RebootPolicy,
) -> Result<bool, String> {
    let mut newer = false;
    let mut faults = Vec::new();
    for target in frozen.targets.iter().filter_map(|i| rollout.patchset.targets.get(*i)) {
        match target_shown(target, asset, observation) {
            Ok(is_newer) => newer |= is_newer,
            Err(fault) => faults.push(fault),
        }
    }
    if asset.facts.pending_reboot == Some(true) && reboot != RebootPolicy::Never {
        faults.push("it waits for a reboot".into());
    }
    if faults.is_empty() {
        Ok(newer)
    } else {
        Err(faults.join("; "))
    }
}

fn target_shown(target: &Target, asset: &Asset, observation: &Observation) -> Result<bool, String> {
    if target.kind().is_some() {
        return part_shown(target, asset);
    }
    let tables = &observation.tables;
    let best = installed_best(target, asset, observation)?;
    // A package that is gone cannot be vulnerable: it is fixed, though not by this patch.
    let Some(best) = best else { return Ok(true) };
    let version = tables.text(best.version);
    if compare(target.scheme, version, &target.version).is_lt() {
        return Err(format!("{} is still {version}, not {}", target.name, target.version));
    }
    if best.state == PackageState::HalfConfigured {
        return Err(format!("{} {version} is half-configured", target.name));
    }
    let waits = asset.facts.restart_needed.as_deref().unwrap_or_default();
    if let Some(process) = waits.iter().find(|r| r.packages.contains(&target.name)) {
        return Err(format!(
            "{} still runs the old code of {}",
            process.process, target.name
        ));
    }
    if let Some(running) = running_kernel(target, asset)
        && compare(target.scheme, &running, &target.version).is_lt()
    {
        return Err(format!(
            "{} {version} is installed, but {running} is running",
            target.name
        ));
    }
    Ok(compare(target.scheme, version, &target.version).is_gt())
}

/// The newest installed package a target is for, if there is one.
pub(super) fn installed_best(
    target: &Target,
    asset: &Asset,
    observation: &Observation,
) -> Result<Option<Package>, String> {
    let tables = &observation.tables;
    let Some(set) = asset.facts.packages else {
        return Err("its packages were not observed".into());
    };
    let installed = tables.set(set).iter().map(|id| tables.package(*id)).filter(|p| {
        let arch = tables.text(p.arch);
        p.state != PackageState::ConfigFiles
            && tables.text(p.name) == target.name.as_ref()
            && (arch.is_empty() || target.arch.is_empty() || arch == target.arch.as_ref())
    });
    Ok(installed.max_by(|a, b| compare(target.scheme, tables.text(a.version), tables.text(b.version))))
}

/// A component, kubelet, driver or build shows its target where every instance runs it, or newer. One that is not
/// observed any more shows nothing: unlike a package, nobody takes a storage system's firmware away.
fn part_shown(target: &Target, asset: &Asset) -> Result<bool, String> {
    let parts = parts_of(asset).into_iter();
    let parts: Vec<Part> = parts.filter(|p| target.is_for(p)).collect();
    if parts.is_empty() {
        return Err(format!("its {} {} was not observed", target.os_id, target.name));
    }
    let mut newer = false;
    for part in &parts {
        let runs = part.running.as_ref().unwrap_or(&part.version);
        match order(target.scheme, runs, &target.version) {
            None => {
                return Err(format!(
                    "{} {runs} cannot be compared with {}",
                    target.name, target.version
                ));
            }
            Some(Ordering::Less) => return Err(format!("{} is still {runs}, not {}", target.name, target.version)),
            Some(order) => newer |= order.is_gt(),
        }
    }
    Ok(newer)
}

/// The running version of a kernel package, if `target` is one and the running kernel was observed.
pub(super) fn running_kernel(target: &Target, asset: &Asset) -> Option<String> {
    let release = asset.facts.kernel.as_ref()?.running.as_deref()?;
    kernel_release_version(target.scheme, &target.name, release)
}
