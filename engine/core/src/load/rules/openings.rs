//! # What it does
//! Counts the openings that the listed assets of a wave need, when all of them have the same window.
//!
//! # Why is this bad
//! Two hundred assets of a class with `maxUnavailable: 1` are two hundred batches. In a window of four hours a week that
//! takes months, and every deadline passes meanwhile; nobody sees it from the strategy or the class alone.
//!
//! # Example
//! ```yaml
//! disruption: {maxUnavailable: 1, per: class}      # 40 assets, 25 minutes each, Tuesdays from 22:00 to 02:00
//! ```
//!
//! # Fix
//! Let more assets go at once, or open the window longer or more often.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::catalog::Resource;
use crate::load::schedule;
use crate::load::wire::{
    AssetClassSpec, FleetAsset, FleetSpec, Lifecycle, RebootPolicy, RolloutStrategySpec, WaveSpec, WindowChoice,
};
use crate::name::Rounding;
use crate::time::{FreezeSet, Opening, Window, earliest_fit};

/// Waves that one opening cannot hold.
pub static RULE: Rule = Rule {
    name: "openings",
    codes: &[Code::WaveNeedsOpenings],
    check,
};

/// More batches than this are counted no further: the message is the same.
const BATCHES_MAX: usize = 200;

type Class<'a> = &'a Resource<AssetClassSpec>;

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    // A condition may move any asset to another class, and so to another wave.
    if context.catalog.classes.values().any(|c| c.spec.when.is_some()) {
        return;
    }
    let listed_count: usize = context.catalog.fleets.values().map(|f| f.spec.assets.len()).sum();
    let waves: usize = context.catalog.strategies.values().map(|s| s.spec.waves.len()).sum();
    if listed_count.saturating_mul(waves.saturating_add(context.catalog.classes.len())) > super::TRIALS_MAX {
        return;
    }
    let assets = listed(context);
    let mut counted = Counted::default();
    for strategy in context.catalog.strategies.values() {
        for (w, wave) in strategy.spec.waves.iter().enumerate() {
            let members: Vec<&Listed<'_>> = assets.iter().filter(|a| a.is_in(wave)).collect();
            let Some((window, needs)) = needs(context, &strategy.spec, wave, &members, &mut counted) else {
                continue;
            };
            let (openings, days) = needs;
            if openings < 2 {
                continue;
            }
            let weeks = (days + 6) / 7;
            let (weeks, plural) = (weeks.max(1), if weeks > 1 { "s" } else { "" });
            let message = format!(
                "the wave `{}` needs at least {openings} openings of `{}` = {weeks} week{plural} for its {} listed assets",
                wave.name,
                window.name,
                members.len()
            );
            let place = context.documents.locate_key(window.doc, "/metadata/name");
            diagnostics.push(
                context
                    .at(Code::WaveNeedsOpenings, strategy.doc, &format!("/spec/waves/{w}/name"), message)
                    .help("let more assets go at once (`batches`, `maxUnavailable`), or open the window longer or more often")
                    .related(place, "the window"),
            );
        }
    }
}

/// A listed asset with the class its labels give it.
struct Listed<'a> {
    fleet: &'a FleetSpec,
    asset: &'a FleetAsset,
    class: Class<'a>,
}

impl<'a> Listed<'a> {
    fn label(&self, key: &str) -> Option<&'a str> {
        let (own, common) = (&self.asset.labels, &self.fleet.labels);
        own.get(key).or_else(|| common.get(key)).map(String::as_str)
    }

    fn is_in(&self, wave: &WaveSpec) -> bool {
        wave.environments.contains(&self.class.spec.environment)
            && wave.selector.as_ref().is_none_or(|s| s.matches(|key| self.label(key)))
    }

    fn window(&self) -> Option<&'a str> {
        match &self.class.spec.window {
            WindowChoice::Name(name) => Some(name),
            WindowChoice::FromLabel { label, default } => self.label(label).or(default.as_deref()),
        }
    }
}

fn listed<'a>(context: &Context<'a>) -> Vec<Listed<'a>> {
    let catalog = context.catalog;
    let fleets = catalog
        .fleets
        .values()
        .flat_map(|f| f.spec.assets.iter().map(|asset| (&f.spec, asset)));
    let active = fleets.filter(|(_, asset)| asset.lifecycle != Some(Lifecycle::Retired));
    active
        .filter_map(|(fleet, asset)| {
            let label = |key: &str| {
                asset
                    .labels
                    .get(key)
                    .or_else(|| fleet.labels.get(key))
                    .map(String::as_str)
            };
            let classes = catalog.classes.values();
            let selected = classes.filter(|c| c.spec.selector.as_ref().is_some_and(|s| s.matches(label)));
            let class = selected.max_by_key(|c| c.spec.priority)?;
            Some(Listed { fleet, asset, class })
        })
        .collect()
}

/// The window of a wave and how many of its openings, over how many days, the wave takes at least. None where the assets
/// have different windows, or nothing can be said.
fn needs<'a>(
    context: &Context<'a>,
    strategy: &RolloutStrategySpec,
    wave: &WaveSpec,
    members: &[&Listed<'a>],
    counted: &mut Counted<'a>,
) -> Option<(&'a Resource<crate::load::wire::MaintenanceWindowSpec>, (usize, i64))> {
    let name = members.first()?.window()?;
    if members.iter().any(|m| m.window() != Some(name)) {
        return None;
    }
    let resource = context.catalog.windows.get(name)?;
    let reboots = members
        .iter()
        .any(|m| m.class.spec.disruption.reboot != RebootPolicy::Never);
    let estimate = strategy.estimate.clone().unwrap_or_default();
    let reboot = if reboots { estimate.reboot.seconds() } else { 0 };
    let seconds = estimate.per_asset.seconds().saturating_add(reboot);
    Some((
        resource,
        counted.openings(context, resource, batches(wave, members), seconds)?,
    ))
}

/// Window, batches, seconds of a batch.
type Wanted<'a> = (&'a str, usize, i64);

/// What was counted before: the waves of most strategies are alike, and looking for openings is dear.
#[derive(Default)]
struct Counted<'a> {
    known: BTreeMap<Wanted<'a>, Option<(usize, i64)>>,
    searched: usize,
}

/// Batches that openings are looked for, over all waves: far more than any estate has, and two seconds at most.
const SEARCHES_MAX: usize = 20_000;

impl<'a> Counted<'a> {
    fn openings(
        &mut self,
        context: &Context<'a>,
        resource: &'a Resource<crate::load::wire::MaintenanceWindowSpec>,
        batches: usize,
        seconds: i64,
    ) -> Option<(usize, i64)> {
        let key = (&*resource.name, batches, seconds);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        self.searched = self.searched.saturating_add(batches);
        if self.searched > SEARCHES_MAX {
            return None;
        }
        let window = schedule::window(resource, context.catalog).ok();
        let found = window.and_then(|window| openings(&window, context.now, batches, seconds));
        self.known.insert(key, found);
        found
    }
}

/// The fewest batches: by the sizes of the wave, or by what one class may have down at once.
fn batches(wave: &WaveSpec, members: &[&Listed<'_>]) -> usize {
    let mut left = members.len();
    let mut by_size = 0;
    let mut sizes = wave.batches.iter();
    let mut size = None;
    while left > 0 && by_size < BATCHES_MAX {
        size = sizes.next().or(size);
        let taken = size
            .map_or(left, |s| s.of(members.len(), Rounding::DownAtLeastOne))
            .max(1);
        left = left.saturating_sub(taken);
        by_size += 1;
    }
    let mut classes: BTreeMap<&str, (Class<'_>, usize)> = BTreeMap::new();
    for member in members {
        classes.entry(&member.class.name).or_insert((member.class, 0)).1 += 1;
    }
    let by_class = classes
        .values()
        .filter(|(class, _)| class.spec.disruption.per == "class")
        .map(|(class, count)| {
            let at_once = class
                .spec
                .disruption
                .max_unavailable
                .of(*count, Rounding::DownAtLeastOne);
            count.div_ceil(at_once.max(1))
        });
    by_class.max().unwrap_or(0).max(by_size).min(BATCHES_MAX)
}

/// How many openings so many batches of so many seconds take one after the other, and the days from the first to the end.
fn openings(window: &Window, now: Timestamp, batches: usize, seconds: i64) -> Option<(usize, i64)> {
    let freezes = FreezeSet::EMPTY;
    let (mut at, mut first) = (now, None);
    let (mut used, mut last): (usize, Option<Opening>) = (0, None);
    for _ in 0..batches {
        let fit = earliest_fit(
            window.openings(at, &freezes),
            at,
            seconds,
            window.cutoff_seconds,
            window.overrun,
        );
        let fit = fit.ok()?;
        if last.as_ref().is_none_or(|last| last.end != fit.opening.end) {
            used += 1;
        }
        at = fit.start.checked_add(SignedDuration::from_secs(seconds)).ok()?;
        first = first.or(Some(fit.start));
        last = Some(fit.opening);
    }
    Some((used, at.duration_since(first?).as_hours() / 24))
}
