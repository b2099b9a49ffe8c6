//! The way back: whether an asset shows again what it had before a wave.

use std::cmp::Ordering;

use super::judge::{installed_best, running_kernel};
use crate::history::{FrozenAsset, FrozenRollout, Target};
use crate::load::wire::RebootPolicy;
use crate::observe::{Asset, Observation, PackageState, parts_of};
use crate::version::{compare, order};

/// Whether every target of an asset is at the version it had before the wave, running and not only installed: what is
/// half-configured, waits for a restart or (unless its class never reboots) for a reboot is not back.
///
/// # Errors
/// What is not as it was, as a sentence.
pub fn shows_before(
    rollout: &FrozenRollout,
    frozen: &FrozenAsset,
    asset: &Asset,
    observation: &Observation,
    reboot: RebootPolicy,
) -> Result<(), String> {
    let pairs = frozen.targets.iter().zip(&frozen.before);
    let pairs = pairs.filter_map(|(index, before)| Some((rollout.patchset.targets.get(*index)?, before.as_str())));
    let mut faults: Vec<String> = pairs
        .filter_map(|(target, before)| target_back(target, before, asset, observation).err())
        .collect();
    if asset.facts.pending_reboot == Some(true) && reboot != RebootPolicy::Never {
        faults.push("it waits for a reboot".into());
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("; "))
    }
}

/// What an asset shows that is newer than what the wave brought, if anything is: something else patched it since, and going
/// back would undo that as well.
pub fn shows_newer(
    rollout: &FrozenRollout,
    frozen: &FrozenAsset,
    asset: &Asset,
    observation: &Observation,
) -> Option<String> {
    let targets = frozen.targets.iter();
    let targets = targets.filter_map(|index| rollout.patchset.targets.get(*index));
    targets
        .filter_map(|target| {
            let shown = shown_now(target, asset, observation)?;
            let is_newer = order(target.scheme, &shown, &target.version) == Some(Ordering::Greater);
            is_newer.then(|| {
                format!(
                    "{} is {shown}, newer than the {} of this wave",
                    target.name, target.version
                )
            })
        })
        .next()
}

fn shown_now(target: &Target, asset: &Asset, observation: &Observation) -> Option<String> {
    if target.kind().is_some() {
        let part = parts_of(asset).into_iter().find(|p| target.is_for(p))?;
        return Some(part.running.unwrap_or(part.version).to_string());
    }
    let running = running_kernel(target, asset).map(|running| running.to_string());
    running.or_else(|| {
        let best = installed_best(target, asset, observation).ok().flatten()?;
        Some(observation.tables.text(best.version).to_owned())
    })
}

fn target_back(target: &Target, before: &str, asset: &Asset, observation: &Observation) -> Result<(), String> {
    let name = &target.name;
    if target.kind().is_some() {
        let parts: Vec<_> = parts_of(asset).into_iter().filter(|p| target.is_for(p)).collect();
        if parts.is_empty() {
            return Err(format!("its {} {name} was not observed", target.os_id));
        }
        return parts
            .iter()
            .map(|part| part.running.as_ref().unwrap_or(&part.version))
            .find(|runs| order(target.scheme, runs, before) != Some(Ordering::Equal))
            .map_or(Ok(()), |runs| Err(format!("{name} is {runs}, not {before} as before")));
    }
    // The earlier kernel runs again; the newer one stays installed beside it.
    if let Some(running) = running_kernel(target, asset) {
        return match compare(target.scheme, &running, before) {
            Ordering::Equal => Ok(()),
            _ => Err(format!("{running} is running, not {before} as before")),
        };
    }
    let Some(best) = installed_best(target, asset, observation)? else {
        return match before.is_empty() {
            true => Ok(()),
            false => Err(format!("{name} is gone, and was {before} before")),
        };
    };
    let version = observation.tables.text(best.version);
    if compare(target.scheme, version, before).is_ne() {
        return Err(format!("{name} is {version}, not {before} as before"));
    }
    if best.state == PackageState::HalfConfigured {
        return Err(format!("{name} {version} is half-configured"));
    }
    let waits = asset.facts.restart_needed.as_deref().unwrap_or_default();
    match waits.iter().find(|r| r.packages.contains(name)) {
        Some(process) => Err(format!("{} still runs other code of {name}", process.process)),
        None => Ok(()),
    }
}
