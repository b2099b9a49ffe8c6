//! What an edit changes: the same facts judged and planned by two sets of resources, put side by side.
//!
//! A reviewer of a pull request wants to know who is touched and how: whose deadline moves, who changes lane, wave, window
//! or tool, what becomes a finding or stops being one, which rollouts appear, vanish or run late. Changes that are alike
//! are one entry with a count, because an edit of one line may move a hundred thousand findings.

mod assets;
mod display;
mod rollouts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

pub use display::{markdown as comparison_markdown, text as comparison_text};

use super::{Binding, Plan, Refusal};
use crate::assess::Assessment;
use crate::load::Catalog;
use crate::observe::Observation;

/// Everything that stands on one side of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The resources.
    pub catalog: &'a Catalog,
    /// The facts, merged by the fleets of these resources.
    pub observation: &'a Observation,
    /// The findings.
    pub assessment: &'a Assessment,
    /// The plan.
    pub plan: &'a Plan,
}

/// What differs between two sides. Everything is sorted; an empty comparison means that an edit changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The instant both sides are judged at.
    pub now: Timestamp,
    /// Assets that only the new side knows.
    pub assets_added: Vec<Arc<str>>,
    /// Assets that only the old side knows.
    pub assets_removed: Vec<Arc<str>>,
    /// What moves, alike changes together.
    pub changes: Vec<Change>,
    /// Rollouts that appear, vanish or move.
    pub rollouts: Vec<RolloutChange>,
    /// Refusals that only the new plan has.
    pub refusals_added: Vec<RefusalChange>,
    /// Refusals that only the old plan has.
    pub refusals_removed: Vec<RefusalChange>,
    /// Counts.
    pub summary: ComparisonSummary,
}

/// What can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// The class of an asset.
    Class,
    /// The status of findings; none = no finding.
    Status,
    /// The lane of findings.
    Lane,
    /// The deadline of findings.
    Deadline,
    /// The waves an asset is in.
    Wave,
    /// The window of an asset.
    Window,
    /// The tools that patch an asset.
    Target,
}

impl Aspect {
    /// The word used in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Status => "status",
            Self::Lane => "lane",
            Self::Deadline => "deadline",
            Self::Wave => "wave",
            Self::Window => "window",
            Self::Target => "target",
        }
    }
}

/// One change and everybody it happens to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What moves.
    pub aspect: Aspect,
    /// The value before; none = there was none. Of a deadline: the rule that gave it.
    pub before: Option<Arc<str>>,
    /// The value after; none = there is none any more. Of a deadline: the rule that gives it.
    pub after: Option<Arc<str>>,
    /// By how much a deadline moves, whole seconds; negative = earlier.
    pub shift_seconds: Option<i64>,
    /// The earliest deadline after the move.
    pub earliest: Option<Timestamp>,
    /// The assets, sorted.
    pub assets: Vec<Arc<str>>,
    /// How many findings; 0 where the change is one of assets.
    pub findings: usize,
}

/// What happens to a rollout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutChange {
    /// Its name.
    pub rollout: Arc<str>,
    /// It appears, vanishes, or is there on both sides.
    pub kind: RolloutChangeKind,
    /// How many assets before.
    pub assets_before: usize,
    /// How many assets after.
    pub assets_after: usize,
    /// Targets that only the new one has, as `name version`.
    pub targets_added: Vec<String>,
    /// Targets that only the old one has.
    pub targets_removed: Vec<String>,
    /// Waves that move.
    pub waves: Vec<WaveChange>,
}

/// Whether a rollout is on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutChangeKind {
    /// Only the new side has it.
    Added,
    /// Only the old side has it.
    Removed,
    /// Both have it, and it differs.
    Moved,
}

/// How a wave moves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveChange {
    /// Its name.
    pub wave: Arc<str>,
    /// Before; none = the wave is new.
    pub before: Option<WavePlace>,
    /// After; none = the wave is gone.
    pub after: Option<WavePlace>,
}

/// Where a wave lies in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WavePlace {
    /// Start of its first batch.
    pub start: Option<Timestamp>,
    /// Finish of its last batch; none = a batch has no place in time.
    pub finish: Option<Timestamp>,
    /// Sizes of its batches.
    pub batches: Vec<usize>,
    /// Deadline minus finish, whole seconds; negative = missed.
    pub slack_seconds: Option<i64>,
    /// Its soak, whole seconds.
    pub soak_seconds: i64,
}

/// A refusal that comes or goes, with everybody it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalChange {
    /// The reason.
    pub reason: Arc<str>,
    /// The assets, sorted; empty when it is about a rollout or policy.
    pub assets: Vec<Arc<str>>,
    /// The words of the first.
    pub detail: String,
    /// What binds.
    pub binding: Option<Binding>,
}

/// Counts of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparisonSummary {
    /// Assets that anything happens to.
    pub assets: usize,
    /// Findings that appear, vanish or move.
    pub findings: usize,
    /// Deadlines that become earlier.
    pub earlier: usize,
    /// Deadlines that become later.
    pub later: usize,
    /// Waves that met their deadline and miss it now, or lost their place in time.
    pub missed: usize,
}

impl Comparison {
    /// Whether the edit changes nothing.
    pub fn is_empty(&self) -> bool {
        self.assets_added.is_empty()
            && self.assets_removed.is_empty()
            && self.changes.is_empty()
            && self.rollouts.is_empty()
            && self.refusals_added.is_empty()
            && self.refusals_removed.is_empty()
    }
}

/// Puts two sides side by side. Both are judged and planned for the same instant and history, from the same observed facts:
/// what differs is what the resources differ in.
pub fn compare(before: &Side<'_>, after: &Side<'_>) -> Comparison {
    let moved = assets::compare(before, after);
    let rollouts = rollouts::compare(before.plan, after.plan);
    let missed = rollouts.iter().flat_map(|r| &r.waves).filter(|w| becomes_late(w));
    let summary = ComparisonSummary {
        assets: moved.touched,
        findings: moved.findings,
        earlier: shifted(&moved.changes, |s| s < 0),
        later: shifted(&moved.changes, |s| s > 0),
        missed: missed.count(),
    };
    Comparison {
        now: after.plan.now,
        assets_added: moved.added,
        assets_removed: moved.removed,
        changes: moved.changes,
        rollouts,
        refusals_added: only_in(&after.plan.refusals, &before.plan.refusals),
        refusals_removed: only_in(&before.plan.refusals, &after.plan.refusals),
        summary,
    }
}

fn shifted(changes: &[Change], which: impl Fn(i64) -> bool) -> usize {
    let those = changes.iter().filter(|c| c.shift_seconds.is_some_and(&which));
    those.map(|c| c.findings).sum()
}

/// A wave that is late now and was not, or that lost its place in time.
pub(super) fn becomes_late(wave: &WaveChange) -> bool {
    let late = |place: &WavePlace| place.finish.is_none() || place.slack_seconds.is_some_and(|s| s < 0);
    wave.after.as_ref().is_some_and(late) && !wave.before.as_ref().is_some_and(late)
}

/// Refusals of `these` that `those` lack; the same words about many assets are one entry.
fn only_in(these: &[Refusal], those: &[Refusal]) -> Vec<RefusalChange> {
    let key = |r: &Refusal| (Arc::clone(&r.reason), Arc::clone(&r.asset), r.binding, spoken(r));
    let known: BTreeSet<_> = those.iter().map(key).collect();
    let mut groups: BTreeMap<_, RefusalChange> = BTreeMap::new();
    for refusal in these.iter().filter(|r| !known.contains(&key(r))) {
        let alike = (Arc::clone(&refusal.reason), refusal.binding, spoken(refusal));
        let group = groups.entry(alike).or_insert_with(|| RefusalChange {
            reason: Arc::clone(&refusal.reason),
            assets: Vec::new(),
            detail: refusal.detail.clone(),
            binding: refusal.binding,
        });
        if !refusal.asset.is_empty() && group.assets.last() != Some(&refusal.asset) {
            group.assets.push(Arc::clone(&refusal.asset));
        }
    }
    groups.into_values().collect()
}

/// The words of a refusal without the name of its asset and the lines it points to, so that the same words about many
/// assets are one group, and a resource that only moved within its file, or to another, changes nothing.
fn spoken(refusal: &Refusal) -> String {
    let is_place = |word: &str| {
        let word = word.trim_matches(|c: char| matches!(c, '(' | ')' | ',' | ';' | ':' | '.'));
        let line = word
            .rsplit_once(':')
            .filter(|(path, _)| path.ends_with(".yaml") || path.ends_with(".yml"));
        line.is_some_and(|(_, line)| line.bytes().all(|b| b.is_ascii_digit()))
    };
    let words: Vec<&str> = refusal.detail.split(' ').filter(|word| !is_place(word)).collect();
    let text = words.join(" ");
    if refusal.asset.is_empty() {
        return text;
    }
    text.replace(refusal.asset.as_ref(), "*")
}
