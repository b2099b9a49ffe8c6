//! Why a deadline is missed: which limit, left out alone or with one other, would make it; and which edits do.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::budget::Bookings;
use super::edit::Edit;
use super::feasible::{self, Miss};
use super::prepare::Prepared;
use super::schedule::Without;
use super::trial::{Effort, Situation};
use super::{Binding, Refusal, Wave};
use crate::load::wire::Lane;
use crate::time::DurationSeconds;

/// What could be edited, in the order in which one would rather: a window is an agreement with users, a freeze with the
/// business, a soak and sizes are caution, budgets and order keep services up, an age is trust in the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// One more opening.
    Opening,
    /// An Override of a window.
    Outside,
    /// An Override of a freeze.
    Freeze,
    /// Soak and what gates ask for.
    Soak,
    /// Batches.
    Size,
    /// Disruption budgets.
    Budget,
    /// `dependsOn` and `order`.
    Order,
    /// `release.minAge`.
    MinAge,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Opening,
        Self::Outside,
        Self::Freeze,
        Self::Soak,
        Self::Size,
        Self::Budget,
        Self::Order,
        Self::MinAge,
    ];

    pub(super) const fn binding(self) -> Binding {
        match self {
            Self::Opening | Self::Outside => Binding::Window,
            Self::Freeze => Binding::Freeze,
            // Waiting for an age is a soak before the first wave.
            Self::Soak | Self::MinAge => Binding::Soak,
            Self::Size => Binding::Size,
            Self::Budget => Binding::Budget,
            Self::Order => Binding::Predecessor,
        }
    }

    /// The limit, as words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Opening | Self::Outside => "windows",
            Self::Freeze => "freezes",
            Self::Soak => "the soak",
            Self::Size => "batch sizes",
            Self::Budget => "disruption budgets",
            Self::Order => "what goes first",
            Self::MinAge => "the age of advisories",
        }
    }
}

/// What happens without the limits of some kinds.
pub(super) fn without(kinds: &[Kind]) -> Without {
    let has = |kind| kinds.contains(&kind);
    Without {
        window: has(Kind::Opening) || has(Kind::Outside),
        freeze: has(Kind::Freeze),
        soak: has(Kind::Soak),
        size: has(Kind::Size),
        budget: has(Kind::Budget),
        predecessor: has(Kind::Order),
        min_age: has(Kind::MinAge),
    }
}

/// What is to be said of the missed waves of a plan: by rollout and wave, in their order, and a refusal each.
#[derive(Default)]
pub(super) struct Explained {
    /// Position of the rollout and of the wave in it; binding and edits.
    pub(super) waves: Vec<(usize, usize, Miss)>,
    pub(super) refusals: Vec<Refusal>,
}

/// Misses that are alike: strategy, lane and wave.
type Like = (Arc<str>, Lane, Arc<str>);

/// Explains every wave that misses its deadline or has no place in time. `marks` say how much was booked before each
/// rollout of `bookings`, which holds all of them.
///
/// What helped a wave of the same strategy, lane and name is tried first: misses that are alike get the same words.
pub(super) fn explain(situation: &Situation<'_, '_>, bookings: &Bookings, marks: &[usize]) -> Explained {
    let mut explained = Explained::default();
    let mut effort = Effort::new(situation.calendars);
    let mut known: BTreeMap<Like, Vec<Vec<Edit>>> = BTreeMap::new();
    let rollouts = situation.prepared.iter().zip(situation.placed).zip(marks).enumerate();
    for (index, ((prepared, waves), mark)) in rollouts {
        if !waves.iter().any(is_missed) {
            continue;
        }
        let before = bookings.rewound(situation.budgets, *mark);
        for (position, wave) in waves.iter().enumerate().filter(|(_, w)| is_missed(w)) {
            let draft = &prepared.draft;
            let like = (Arc::clone(&draft.strategy.name), draft.lane, Arc::clone(&wave.name));
            let alike = known.get(&like).map_or(&[][..], |k| k.as_slice());
            let mut miss = feasible::examine(situation, &mut effort, (index, &before), wave, alike);
            miss.fixes = miss.edits.iter().map(|e| sentence(situation, e)).collect();
            explained.refusals.push(refusal(prepared, wave, &miss));
            if !miss.edits.is_empty() {
                known.insert(like, miss.edits.clone());
            }
            explained.waves.push((index, position, miss));
        }
    }
    explained
}

pub(super) fn is_missed(wave: &Wave) -> bool {
    wave.slack_seconds.is_some_and(|s| s < 0)
        || (!wave.state.is_final() && wave.batches.iter().any(|b| b.start.is_none()))
}

pub(super) fn finish_of(wave: &Wave) -> Option<Timestamp> {
    let finishes: Option<Vec<Timestamp>> = wave.batches.iter().map(|b| b.finish).collect();
    finishes?.into_iter().max()
}

/// A fix as one sentence.
fn sentence(situation: &Situation<'_, '_>, edits: &[Edit]) -> String {
    let sentences: Vec<String> = edits.iter().map(|e| e.sentence(situation.ctx.catalog)).collect();
    sentences.join(", and ")
}

fn refusal(prepared: &Prepared<'_>, wave: &Wave, miss: &Miss) -> Refusal {
    let mut detail = format!("rollout {}, wave {}: ", prepared.draft.name, wave.name);
    detail += &match (wave.deadline, finish_of(wave)) {
        (Some(deadline), Some(finish)) => {
            format!(
                "finishes {finish}, {} after the earliest deadline {deadline}",
                span(deadline, finish)
            )
        }
        (_, Some(finish)) => format!("finishes {finish}"),
        (Some(deadline), None) => format!("has no place in time; the earliest deadline is {deadline}"),
        (None, None) => "has no place in time".to_owned(),
    };
    if let Some((kinds, finish, is_late)) = &miss.closest {
        let words: Vec<&str> = kinds.iter().map(|k| k.words()).collect();
        let verdict = match (is_late, wave.deadline) {
            (true, Some(deadline)) => format!("which is still {} too late", span(deadline, *finish)),
            (true, None) => "but not all of it".to_owned(),
            (false, _) => "which is in time".to_owned(),
        };
        let together = if kinds.len() > 1 { ", which bind together," } else { "" };
        let limits = words.join(" and ");
        detail += &format!("; without the limit of {limits}{together} it would finish {finish}, {verdict}");
    }
    for word in &miss.words {
        detail += "; ";
        detail += word;
    }
    Refusal {
        reason: if finish_of(wave).is_some() {
            "deadline"
        } else {
            "unscheduled"
        }
        .into(),
        asset: "".into(),
        detail,
        binding: miss.binding,
        fixes: miss.fixes.clone(),
    }
}

fn span(from: Timestamp, to: Timestamp) -> DurationSeconds {
    let seconds: SignedDuration = to.duration_since(from);
    DurationSeconds(seconds.as_secs())
}
