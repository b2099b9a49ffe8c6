//! What is carried: every planned finding, no downgrade, nothing untested, and digests that name it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Faults;
use super::estate::Estate;
use super::parts;
use crate::assess::{Finding, Status};
use crate::canonical;
use crate::history::{Target, WaveState};
use crate::load::wire::{Lane, Mode, Reversibility, Untested};
use crate::observe::{Asset, PackageState};
use crate::plan::{BatchAsset, Plan, Rollout, Wave, carrier};
use crate::time::Boundary;
use crate::version::compare;

pub(super) fn check(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    let known = known_versions(estate);
    for rollout in &plan.rollouts {
        digest(rollout, faults);
        name(estate, rollout, faults);
        for target in &rollout.targets {
            let open = estate.open(rollout).is_some_and(|o| o.targets.contains(target));
            if !open
                && !parts::is_first_of_minor(target)
                && !known.contains(&(Arc::clone(&target.name), target.version.as_ref()))
            {
                faults.add(
                    "target",
                    &rollout.name,
                    format!("nobody offers {} {}", target.name, target.version),
                );
            }
        }
        let proofs: Proofs<'_> = rollout
            .waves
            .iter()
            .map(|w| (w.name.as_ref(), proofs(estate, rollout, w)))
            .collect();
        for wave in &rollout.waves {
            wave.batches
                .iter()
                .flat_map(|b| &b.assets)
                .for_each(|a| asset(estate, rollout, wave, a, faults));
            if wave.state == WaveState::Pending {
                tested(estate, rollout, wave, &proofs, faults);
            }
        }
    }
    coverage(estate, plan, faults);
}

fn digest(rollout: &Rollout, faults: &mut Faults) {
    let sorted: BTreeSet<&Target> = rollout.targets.iter().collect();
    if sorted.len() != rollout.targets.len() || !rollout.targets.is_sorted() {
        faults.add("digest", &rollout.name, "targets are not sorted, or one is there twice");
    }
    let list: Vec<&Target> = sorted.into_iter().collect();
    if canonical::digest(&list).ok().as_deref() != Some(rollout.digest.as_ref()) {
        faults.add(
            "digest",
            &rollout.name,
            "the patch-set digest is not that of the targets",
        );
    }
    let used: BTreeSet<usize> = rollout
        .waves
        .iter()
        .flat_map(|w| &w.batches)
        .flat_map(|b| &b.assets)
        .flat_map(|a| a.targets.iter().copied())
        .collect();
    if used.iter().any(|t| *t >= rollout.targets.len()) {
        faults.add("target", &rollout.name, "an asset takes a target that is not there");
    }
}

fn name(estate: &Estate<'_>, rollout: &Rollout, faults: &mut Faults) {
    let Some(open) = estate.open(rollout) else {
        if estate.history.names.contains(&rollout.name) {
            faults.add("name", &rollout.name, "the name was taken before");
        }
        if rollout.revision != 1 {
            faults.add("revision", &rollout.name, "a new rollout starts at revision 1");
        }
        return;
    };
    let changed = open.targets != rollout.targets;
    if changed && (open.frozen || rollout.revision != open.revision + 1 || rollout.restarts != open.restarts + 1) {
        faults.add(
            "revision",
            &rollout.name,
            "the patch set changed where it must not, or without a new revision",
        );
    }
    if !changed && rollout.revision != open.revision {
        faults.add(
            "revision",
            &rollout.name,
            "the revision rose without a change of the patch set",
        );
    }
}

/// Every (package, version) that an advisory fixes at or an asset can reach.
fn known_versions<'a>(estate: &Estate<'a>) -> BTreeSet<(Arc<str>, &'a str)> {
    let hits = estate.assessment.hits.iter();
    let mut known: BTreeSet<(Arc<str>, &str)> = hits.filter_map(|h| Some((carrier(h), h.fixed.as_deref()?))).collect();
    let fixes = estate.observation.advisories.iter().flat_map(|a| &a.fixes);
    known.extend(fixes.filter_map(|f| Some((Arc::clone(&f.package), f.fixed.as_deref()?))));
    let tables = &estate.observation.tables;
    let sets: BTreeSet<_> = estate
        .observation
        .assets
        .iter()
        .filter_map(|a| a.facts.available)
        .collect();
    for id in sets.into_iter().flat_map(|s| tables.set(s)) {
        let package = tables.package(*id);
        known.insert((tables.text(package.name).into(), tables.text(package.version)));
    }
    known
}

/// An asset is in the wave of its environment, takes nothing older than it has, and has the way back the policy asks for.
fn asset(estate: &Estate<'_>, rollout: &Rollout, wave: &Wave, planned: &BatchAsset, faults: &mut Faults) {
    if !matches!(wave.state, WaveState::Pending | WaveState::Proposed) {
        return;
    }
    let mut add = |rule, message: String| faults.add(rule, &rollout.name, format!("{}: {message}", planned.name));
    let Some(asset) = estate.asset(&planned.name) else {
        if wave.state == WaveState::Pending {
            add("member", "is in no fleet".to_owned());
        }
        return;
    };
    let environment = estate.class(&planned.name).map(|c| c.spec.environment.as_str());
    let takes = estate.wave_specs(rollout).iter().filter(|w| {
        let selected = w.selector.as_ref().is_none_or(|s| s.matches(|key| asset.label(key)));
        selected && environment.is_some_and(|e| w.environments.iter().any(|x| x == e))
    });
    let takes: Vec<&str> = takes.map(|w| w.name.as_str()).collect();
    if wave.state == WaveState::Pending && takes != [wave.name.as_ref()] {
        add("member", format!("is in wave {}, where {takes:?} take it", wave.name));
    }
    for (target, before) in planned.targets.iter().zip(&planned.before) {
        let Some(target) = rollout.targets.get(*target) else {
            continue;
        };
        // What runs may be older than what is installed; what is installed must not go back.
        let part = parts::part_of(asset, target).map(|p| Arc::<str>::from(p.version));
        let installed = part
            .as_deref()
            .or_else(|| newest_installed(estate, asset, target))
            .unwrap_or(before);
        if compare(target.scheme, installed, &target.version).is_gt() {
            add(
                "downgrade",
                format!("{} would go from {installed} to {}", target.name, target.version),
            );
        }
        let os = asset.facts.os.as_ref();
        let is_release = os.is_some_and(|os| os.id == target.os_id && os.major() == target.os_major.as_ref());
        if !is_release && part.is_none() {
            add(
                "target",
                format!("{} is for {} {}", target.name, target.os_id, target.os_major),
            );
        }
    }
    let wanted = estate
        .catalog
        .policies
        .get(&rollout.policy)
        .map(|p| p.spec.requires.reversible);
    if wave.state == WaveState::Pending && wanted.is_some_and(|w| planned.rollback < w) {
        add(
            "irreversible",
            format!("its way back is {:?}, the policy wants {wanted:?}", planned.rollback),
        );
    }
    if planned.rollback > Reversibility::None
        && estate
            .class(&planned.name)
            .is_some_and(|c| c.spec.protection.rollback == "none")
    {
        add("irreversible", "its class has no way back at all".to_owned());
    }
}

/// The newest installed version of a target's package, of its architecture and module stream.
fn newest_installed<'a>(estate: &Estate<'a>, asset: &Asset, target: &Target) -> Option<&'a str> {
    let tables = &estate.observation.tables;
    let stream = |label: &str| label.split(':').take(2).collect::<Vec<_>>().join(":");
    let ids = asset.facts.packages.map_or(&[][..], |s| tables.set(s));
    let same = ids.iter().map(|id| tables.package(*id)).filter(|p| {
        p.state != PackageState::ConfigFiles
            && tables.text(p.name) == target.name.as_ref()
            && tables.text(p.arch) == target.arch.as_ref()
            && tables.known(p.module).map(stream) == target.module.as_deref().map(stream)
    });
    same.map(|p| tables.text(p.version))
        .max_by(|a, b| compare(target.scheme, a, b))
}

/// What an asset with a target is like: package, version, release, architectures, module, labels.
type Kind<'a> = (&'a Target, &'a str, Vec<&'a str>);
type Proofs<'a> = BTreeMap<&'a str, BTreeSet<Kind<'a>>>;

fn kind<'a>(estate: &Estate<'a>, likeness: &[String], target: &'a Target, asset: &'a Asset) -> Kind<'a> {
    let _ = estate;
    let arch = asset.facts.os.as_ref().map_or("", |os| os.arch.as_ref());
    // A label that is missing is not the same as one that is empty.
    let labels = likeness.iter().map(|key| asset.label(key).unwrap_or("\0"));
    (target, arch, labels.collect())
}

fn likeness<'a>(estate: &Estate<'a>, rollout: &Rollout) -> &'a [String] {
    estate
        .catalog
        .policies
        .get(&rollout.policy)
        .map_or(&[], |p| &p.spec.requires.likeness)
}

/// What the assets of a wave take.
fn proofs<'a>(estate: &Estate<'a>, rollout: &'a Rollout, wave: &'a Wave) -> BTreeSet<Kind<'a>> {
    let likeness = likeness(estate, rollout);
    let assets = wave.batches.iter().flat_map(|b| &b.assets);
    let pairs = assets.filter_map(|a| Some((a, estate.asset(&a.name)?)));
    pairs
        .flat_map(|(planned, asset)| {
            let targets = planned.targets.iter().filter_map(|t| rollout.targets.get(*t));
            targets.map(|t| kind(estate, likeness, t, asset)).collect::<Vec<_>>()
        })
        .collect()
}

/// Every target of a wave that needs others was proved by one of them.
fn tested<'a>(estate: &Estate<'a>, rollout: &'a Rollout, wave: &'a Wave, proofs: &Proofs<'a>, faults: &mut Faults) {
    let Some(requires) = estate.catalog.policies.get(&rollout.policy).map(|p| &p.spec.requires) else {
        return;
    };
    let specs = estate.wave_specs(rollout);
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    let mut open = vec![wave.name.as_ref()];
    while let Some(current) = open.pop() {
        for need in specs.iter().filter(|s| s.name == current).flat_map(|s| &s.needs) {
            if needed.insert(need) {
                open.push(need);
            }
        }
    }
    if !requires.tested || needed.is_empty() {
        return;
    }
    let taken: BTreeSet<&Kind<'_>> = needed.iter().filter_map(|n| proofs.get(n)).flatten().collect();
    let unproved: Vec<&Kind<'_>> = proofs
        .get(wave.name.as_ref())
        .into_iter()
        .flatten()
        .filter(|k| !taken.contains(k))
        .collect();
    for kind in unproved {
        if seen_running(estate, rollout, &needed, kind) {
            continue;
        }
        match requires.untested {
            Untested::Refuse => {
                let message = format!(
                    "wave {} takes {} {}, which nothing has proved",
                    wave.name, kind.0.name, kind.0.version
                );
                faults.add("tested", &rollout.name, message);
            }
            Untested::ExtraApproval if !wave.extra_approval => {
                faults.add(
                    "tested",
                    &rollout.name,
                    format!("wave {} needs one more approval", wave.name),
                );
            }
            Untested::ExtraApproval => {}
            Untested::Canary => canary(estate, rollout, wave, kind, faults),
        }
    }
}

/// The first batch that takes what is unproved holds one asset.
fn canary(estate: &Estate<'_>, rollout: &Rollout, wave: &Wave, wanted: &Kind<'_>, faults: &mut Faults) {
    let likeness = likeness(estate, rollout);
    let takes = |a: &BatchAsset| {
        let asset = estate.asset(&a.name);
        let targets = a.targets.iter().filter_map(|t| rollout.targets.get(*t));
        asset.is_some_and(|asset| targets.into_iter().any(|t| kind(estate, likeness, t, asset) == *wanted))
    };
    let first = wave.batches.iter().find(|b| b.assets.iter().any(takes));
    // What has no place in time stands together and is not run that way.
    if first.is_some_and(|b| b.start.is_some() && b.assets.len() != 1) {
        faults.add(
            "tested",
            &rollout.name,
            format!("wave {}: {} has no canary", wave.name, wanted.0.name),
        );
    }
}

/// Whether a fresh asset of one of the waves runs exactly this version.
fn seen_running(estate: &Estate<'_>, rollout: &Rollout, waves: &BTreeSet<&str>, wanted: &Kind<'_>) -> bool {
    let specs: Vec<_> = estate
        .wave_specs(rollout)
        .iter()
        .filter(|w| waves.contains(w.name.as_str()))
        .collect();
    let (likeness, tables) = (likeness(estate, rollout), &estate.observation.tables);
    estate.observation.assets.iter().enumerate().any(|(index, asset)| {
        let target = wanted.0;
        let os = asset.facts.os.as_ref();
        let in_wave = || {
            estate.class_at(index).is_some_and(|c| {
                specs.iter().any(|w| {
                    let selected = w.selector.as_ref().is_none_or(|s| s.matches(|key| asset.label(key)));
                    selected && w.environments.contains(&c.spec.environment)
                })
            })
        };
        let runs = || {
            if target.kind().is_some() {
                return parts::runs(asset, target);
            }
            let ids = asset.facts.packages.map_or(&[][..], |s| tables.set(s));
            ids.iter().map(|id| tables.package(*id)).any(|p| {
                let installed = p.state != PackageState::ConfigFiles && tables.text(p.name) == target.name.as_ref();
                installed && compare(target.scheme, tables.text(p.version), &target.version).is_eq()
            })
        };
        let is_release = || os.is_some_and(|os| os.id == target.os_id && os.major() == target.os_major.as_ref());
        !asset.stale
            && (target.kind().is_some() || is_release())
            && kind(estate, likeness, target, asset) == *wanted
            && in_wave()
            && runs()
    })
}

/// Every planned finding is carried, or refused by name, or counted among those that wait.
fn coverage(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    let carried = carried(plan);
    let refused: BTreeSet<&str> = plan.refusals.iter().map(|r| r.asset.as_ref()).collect();
    let broken = plan.refusals.iter().any(|r| r.reason.as_ref() == "limit");
    let mut left: BTreeMap<Arc<str>, (usize, usize)> = BTreeMap::new();
    for finding in estate.assessment.findings(estate.observation) {
        let judgement = finding.judgement;
        let Some(policy) = judgement.policy.as_ref().filter(|_| judgement.is_planned()) else {
            continue;
        };
        if finding.hit.fixed.is_none() || covers(plan, &carried, &finding) {
            continue;
        }
        let entry = left.entry(Arc::clone(policy)).or_default();
        entry.0 += 1;
        entry.1 += usize::from(!refused.contains(finding.asset.name.as_ref()));
    }
    let waiting: BTreeMap<&str, usize> = plan.waiting.iter().map(|w| (w.policy.as_ref(), w.findings)).collect();
    for (policy, (uncovered, unrefused)) in left {
        let Some(resource) = estate.catalog.policies.get(&policy) else {
            continue;
        };
        let speaks = |m: &str| m.starts_with("paused") || m.contains("finding(s)");
        let noted = plan.notes.iter().any(|n| n.subject == policy && speaks(&n.message));
        let zone = &estate.catalog.zone.0;
        let paused = resource
            .spec
            .pause
            .as_ref()
            .is_some_and(|p| p.until.resolve(Boundary::End, zone) > estate.now);
        let counted = waiting.get(policy.as_ref()).copied().unwrap_or(0);
        if resource.spec.mode == Mode::Observe || broken || (noted && (paused || counted == 0)) {
            continue;
        }
        if counted < unrefused || counted > uncovered {
            let message = format!(
                "{unrefused} to {uncovered} findings are neither carried nor refused, and {counted} are said to wait"
            );
            faults.add("coverage", &policy, message);
        }
    }
    for (policy, counted) in waiting {
        if counted == 0 {
            faults.add("coverage", policy, "nothing waits, and yet it is said to");
        }
    }
    no_extra(estate, plan, faults);
}

/// For each asset: the rollouts and waves it is in, with its targets.
type Carried<'p> = BTreeMap<&'p str, Vec<(&'p Rollout, &'p [usize])>>;

fn carried(plan: &Plan) -> Carried<'_> {
    let mut carried: Carried<'_> = BTreeMap::new();
    for rollout in &plan.rollouts {
        for wave in rollout
            .waves
            .iter()
            .filter(|w| !matches!(w.state, WaveState::Superseded | WaveState::RolledBack))
        {
            for asset in wave.batches.iter().flat_map(|b| &b.assets) {
                carried.entry(&asset.name).or_default().push((rollout, &asset.targets));
            }
        }
    }
    carried
}

fn covers(_: &Plan, carried: &Carried<'_>, finding: &Finding<'_>) -> bool {
    let hit = finding.hit;
    let Some(fixed) = &hit.fixed else { return false };
    carried
        .get(finding.asset.name.as_ref())
        .into_iter()
        .flatten()
        .any(|(rollout, targets)| {
            targets.iter().filter_map(|t| rollout.targets.get(*t)).any(|t| {
                t.name == carrier(hit)
                    && t.arch == hit.arch
                    && t.os_id == hit.os_id
                    && t.os_major == hit.os_major
                    && t.module == hit.module
                    && (compare(t.scheme, fixed, &t.version).is_le() || parts::is_step(finding, t))
            })
        })
}

/// Nothing is touched that a person or missing facts keep out: an excepted, held or unknown finding stays as it is unless
/// another finding of the same package asks for the update.
fn no_extra(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    for rollout in &plan.rollouts {
        if (rollout.lane == Lane::Emergency) != rollout.name.contains("-emergency") {
            faults.add(
                "name",
                &rollout.name,
                "an emergency rollout says so in its name, and no other does",
            );
        }
        for wave in rollout.waves.iter().filter(|w| w.state == WaveState::Pending) {
            for planned in wave.batches.iter().flat_map(|b| &b.assets) {
                wanted(estate, rollout, planned, faults);
            }
        }
    }
}

fn wanted(estate: &Estate<'_>, rollout: &Rollout, planned: &BatchAsset, faults: &mut Faults) {
    let Some(index) = estate.index(&planned.name) else {
        return;
    };
    for target in planned.targets.iter().filter_map(|t| rollout.targets.get(*t)) {
        let closed_by_it = |f: &Finding<'_>| {
            let same = carrier(f.hit) == target.name && f.hit.arch == target.arch && f.hit.module == target.module;
            same && f
                .hit
                .fixed
                .as_ref()
                .is_some_and(|v| compare(target.scheme, v, &target.version).is_le())
        };
        let findings: Vec<Finding<'_>> = estate
            .assessment
            .of(estate.observation, index)
            .filter(closed_by_it)
            .collect();
        let asked = findings.iter().any(|f| f.judgement.is_planned());
        let kept = findings
            .iter()
            .find(|f| !f.judgement.is_planned() && f.judgement.status != Status::Compliant);
        if let Some(kept) = kept.filter(|_| !asked) {
            let message = format!(
                "{} takes {}, which is {}",
                planned.name, target.name, kept.judgement.status
            );
            faults.add("kept", &rollout.name, message);
        }
    }
}
