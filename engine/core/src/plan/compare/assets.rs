//! What moves for assets and findings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Aspect, Change, Side};
use crate::assess::{Judgement, Row};
use crate::load::Resource;
use crate::load::wire::{AssetClassSpec, WindowChoice};
use crate::lookup::Lookup;
use crate::observe::Asset;

/// What moves, and how much of it there is.
pub(super) struct Moved {
    pub(super) changes: Vec<Change>,
    pub(super) added: Vec<Arc<str>>,
    pub(super) removed: Vec<Arc<str>>,
    pub(super) touched: usize,
    pub(super) findings: usize,
}

/// What makes changes alike.
type Key = (Aspect, Option<Arc<str>>, Option<Arc<str>>, Option<i64>);

/// What one pair of finding lists differs in: by kind of change, how many findings and the earliest new deadline.
type ListChanges = Vec<(Key, usize, Option<Timestamp>)>;

/// A list of findings as a pair of its address and length: lists are shared, so equal addresses mean equal lists.
type ListId = (usize, usize);

pub(super) fn compare(before: &Side<'_>, after: &Side<'_>) -> Moved {
    let (mut changes, mut touched, mut findings) = (BTreeMap::<Key, Change>::new(), 0, 0);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    let (was_placed, is_placed) = (Placed::of(before), Placed::of(after));
    let mut known: Lookup<(ListId, ListId), (ListChanges, usize)> = Lookup::default();
    for (name, old, new) in both(&before.observation.assets, &after.observation.assets) {
        match (old, new) {
            (None, Some(_)) => added.push(Arc::clone(name)),
            (Some(_), None) => removed.push(Arc::clone(name)),
            _ => {}
        }
        let rows = |side: &Side<'_>, index: Option<usize>| index.map(|i| side.assessment.rows(i).to_vec());
        let id = |side: &Side<'_>, index: Option<usize>| {
            let rows = index.map_or(&[][..], |i| side.assessment.rows(i));
            (rows.as_ptr() as usize, rows.len())
        };
        let pair = (id(before, old), id(after, new));
        let (alike, count) = known.entry(pair).or_insert_with(|| {
            let (was, is) = (rows(before, old), rows(after, new));
            list_changes(before, &was.unwrap_or_default(), after, &is.unwrap_or_default())
        });
        findings += *count;
        let whole = whole_asset(before, old, &was_placed, after, new, &is_placed);
        if !alike.is_empty() || !whole.is_empty() || old.is_none() || new.is_none() {
            touched += 1;
        }
        let moves = alike.iter().cloned().chain(whole.into_iter().map(|key| (key, 0, None)));
        for (key, count, earliest) in moves {
            let change = changes.entry(key).or_insert_with_key(|key| Change {
                aspect: key.0,
                before: key.1.clone(),
                after: key.2.clone(),
                shift_seconds: key.3,
                earliest: None,
                assets: Vec::new(),
                findings: 0,
            });
            change.assets.push(Arc::clone(name));
            change.findings += count;
            change.earliest = change.earliest.into_iter().chain(earliest).min();
        }
    }
    Moved {
        changes: changes.into_values().collect(),
        added,
        removed,
        touched,
        findings,
    }
}

/// The assets of both sides by name, each with its index on either side. Both lists are sorted by name.
fn both<'a>(
    before: &'a [Asset],
    after: &'a [Asset],
) -> impl Iterator<Item = (&'a Arc<str>, Option<usize>, Option<usize>)> {
    let (mut old, mut new) = (
        before.iter().enumerate().peekable(),
        after.iter().enumerate().peekable(),
    );
    std::iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return None,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((_, a)), Some((_, b))) => a.name.cmp(&b.name),
        };
        let was = if order.is_le() { old.next() } else { None };
        let is = if order.is_ge() { new.next() } else { None };
        let name = was.or(is).map(|(_, a)| &a.name)?;
        Some((name, was.map(|(i, _)| i), is.map(|(i, _)| i)))
    })
}

/// Merges two lists of findings by what they are about, and says how each pair differs.
fn list_changes(before: &Side<'_>, was: &[Row], after: &Side<'_>, is: &[Row]) -> (ListChanges, usize) {
    let mut pairs: BTreeMap<FindingKey<'_>, (Option<&Judgement>, Option<&Judgement>)> = BTreeMap::new();
    for row in was {
        if let Some((key, judgement)) = finding(before, row) {
            pairs.entry(key).or_default().0 = Some(judgement);
        }
    }
    for row in is {
        if let Some((key, judgement)) = finding(after, row) {
            pairs.entry(key).or_default().1 = Some(judgement);
        }
    }
    let mut found: BTreeMap<Key, (usize, Option<Timestamp>)> = BTreeMap::new();
    let mut count = 0;
    for (old, new) in pairs.into_values() {
        let changes = finding_changes(old, new);
        count += usize::from(!changes.is_empty());
        for key in changes {
            let slot = found.entry(key).or_default();
            slot.0 += 1;
            slot.1 = slot.1.into_iter().chain(new.and_then(|j| j.deadline)).min();
        }
    }
    let list = found.into_iter().map(|(key, (count, at))| {
        let at = at.filter(|_| key.0 == Aspect::Deadline);
        (key, count, at)
    });
    (list.collect(), count)
}

/// Advisory, package, architecture, installed version, module.
type FindingKey<'a> = (&'a str, &'a str, &'a str, &'a str, Option<&'a str>);

fn finding<'a>(side: &Side<'a>, row: &Row) -> Option<(FindingKey<'a>, &'a Judgement)> {
    let hit = side.assessment.hits.get(row.hit as usize)?;
    let advisory = side.observation.advisories.get(hit.advisory as usize)?;
    let judgement = side.assessment.judgements.get(row.judgement as usize)?;
    let key = (
        advisory.id.as_ref(),
        hit.package.as_ref(),
        hit.arch.as_ref(),
        hit.installed.as_ref(),
        hit.module.as_deref(),
    );
    Some((key, judgement))
}

fn finding_changes(old: Option<&Judgement>, new: Option<&Judgement>) -> Vec<Key> {
    let status = |j: Option<&Judgement>| j.map(|j| Arc::from(j.status.as_str()));
    let lane = |j: Option<&Judgement>| j.map(|j| Arc::from(j.lane.as_str()));
    let mut changes = Vec::new();
    if old.map(|j| j.status) != new.map(|j| j.status) {
        changes.push((Aspect::Status, status(old), status(new), None));
    }
    // A finding that comes or goes has its status line; lane and deadline come and go with it.
    let (Some(old), Some(new)) = (old, new) else {
        return changes;
    };
    if old.lane != new.lane {
        changes.push((Aspect::Lane, lane(Some(old)), lane(Some(new)), None));
    }
    if old.deadline != new.deadline {
        let shift = old
            .deadline
            .zip(new.deadline)
            .map(|(a, b)| b.duration_since(a).as_secs());
        changes.push((Aspect::Deadline, rule(old), rule(new), shift));
    }
    changes
}

/// `sla/rule` of a judgement that has a deadline.
fn rule(judgement: &Judgement) -> Option<Arc<str>> {
    judgement.deadline?;
    let part = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("?").to_owned();
    Some(format!("{}/{}", part(&judgement.sla), part(&judgement.rule)).into())
}

/// Where the plan puts assets: waves as `policy: wave`, and tools.
struct Placed<'a>(Lookup<&'a str, (BTreeSet<String>, BTreeSet<&'a str>)>);

impl<'a> Placed<'a> {
    fn of(side: &Side<'a>) -> Self {
        let mut placed: Lookup<&'a str, (BTreeSet<String>, BTreeSet<&'a str>)> = Lookup::default();
        for rollout in &side.plan.rollouts {
            for wave in &rollout.waves {
                let words = format!("{}: {}", rollout.policy, wave.name);
                for asset in wave.batches.iter().flat_map(|b| &b.assets) {
                    let (waves, tools) = placed.entry(asset.name.as_ref()).or_default();
                    if !waves.contains(&words) {
                        waves.insert(words.clone());
                    }
                    tools.insert(asset.target.as_ref());
                }
            }
        }
        Self(placed)
    }

    fn waves(&self, asset: &str) -> Option<Arc<str>> {
        let waves: Vec<&str> = self.0.get(asset)?.0.iter().map(String::as_str).collect();
        Some(waves.join(", ").into())
    }

    /// The tools the plan uses; else those of the class.
    fn tools(&self, asset: &str, class: Option<&Resource<AssetClassSpec>>) -> Option<Arc<str>> {
        let planned = self
            .0
            .get(asset)
            .map(|(_, tools)| tools.iter().copied().collect::<Vec<_>>());
        let of_class = || {
            let spec = &class?.spec;
            let listed = spec.targets.iter().map(|t| t.target.as_str());
            Some(spec.target.as_deref().into_iter().chain(listed).collect::<Vec<_>>())
        };
        let tools = planned.filter(|t| !t.is_empty()).or_else(of_class)?;
        Some(tools.join(", ").into())
    }
}

/// What moves for an asset as a whole. An asset that comes or goes is named as such and has no further entries.
fn whole_asset(
    before: &Side<'_>,
    old: Option<usize>,
    was_placed: &Placed<'_>,
    after: &Side<'_>,
    new: Option<usize>,
    is_placed: &Placed<'_>,
) -> Vec<Key> {
    let (Some(old), Some(new)) = (old, new) else {
        return Vec::new();
    };
    let values = |side: &Side<'_>, index: usize, placed: &Placed<'_>| {
        let asset = side.observation.assets.get(index)?;
        let name = side.assessment.class_of.get(index).cloned().flatten();
        let class = name.as_ref().and_then(|name| side.catalog.classes.get(name));
        Some([
            (Aspect::Class, name),
            (Aspect::Wave, placed.waves(&asset.name)),
            (Aspect::Window, class.and_then(|c| window(c, asset))),
            (Aspect::Target, placed.tools(&asset.name, class)),
        ])
    };
    let (Some(was), Some(is)) = (values(before, old, was_placed), values(after, new, is_placed)) else {
        return Vec::new();
    };
    let pairs = was.into_iter().zip(is).filter(|((_, was), (_, is))| was != is);
    pairs.map(|((aspect, was), (_, is))| (aspect, was, is, None)).collect()
}

/// The window a class gives an asset.
fn window(class: &Resource<AssetClassSpec>, asset: &Asset) -> Option<Arc<str>> {
    match &class.spec.window {
        WindowChoice::Name(name) => Some(name.as_str().into()),
        WindowChoice::FromLabel { label, default } => asset.label(label).or(default.as_deref()).map(Arc::from),
    }
}
