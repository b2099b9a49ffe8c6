//! Which edits make a missed deadline: each is planned again before it is said.

use jiff::{SignedDuration, Timestamp};

use super::binding::{Kind, finish_of, is_missed, without};
use super::budget::Bookings;
use super::edit::Edit;
use super::levers::{Case, Lever};
use super::prepare::Prepared;
use super::schedule::Without;
use super::trial::{Effort, Situation};
use super::{Binding, Wave};

/// A wave without a deadline that has no place in time is to get one within so many days: longer than a month's window
/// needs to come round twice, and nobody agrees to an opening later than that.
const PLACE_DAYS: i64 = 62;

/// How many fields of a kind are tried alone, nearest to the wave first. Further away there are ever more of them, and a
/// person reads a few.
const ALONE_MAX: usize = 6;

/// What was found out about a missed wave.
#[derive(Clone, Debug, Default)]
pub(super) struct Miss {
    pub(super) binding: Option<Binding>,
    /// Each of these makes it.
    pub(super) edits: Vec<Vec<Edit>>,
    /// The same as sentences.
    pub(super) fixes: Vec<String>,
    /// The limits without which it would be in time, or else come nearest: its finish, and whether that is late.
    pub(super) closest: Option<(Vec<Kind>, Timestamp, bool)>,
    /// What else a person should know.
    pub(super) words: Vec<String>,
}

struct Search<'s, 'a> {
    case: Case<'s, 'a>,
    effort: &'s mut Effort,
    /// The rollout's position and the bookings before it.
    at: (usize, &'s Bookings),
    wave: &'s Wave,
    /// The rollout without some limits.
    known: Vec<(Without, Option<Relaxed>)>,
}

/// The waves of a rollout, the finish of the wave in question, and whether that is late.
type Relaxed = (Vec<Wave>, Timestamp, bool);

/// Why `wave` is missed, and which edits would make it. `alike` are those that made a wave like it.
pub(super) fn examine(
    situation: &Situation<'_, '_>,
    effort: &mut Effort,
    at: (usize, &Bookings),
    wave: &Wave,
    alike: &[Vec<Edit>],
) -> Miss {
    let Some(prepared) = situation.prepared.get(at.0) else {
        return Miss::default();
    };
    let now = situation.ctx.now;
    let someday = now.saturating_add(SignedDuration::from_hours(24 * PLACE_DAYS));
    let by = wave.deadline.unwrap_or(someday.unwrap_or(now));
    let mut search = Search {
        case: Case::new(situation, prepared, (wave.number as usize).wrapping_sub(1), by),
        effort,
        at,
        wave,
        known: Vec::new(),
    };
    let mut miss = search.explain(alike);
    let stuck = down_for_good(prepared, wave);
    if stuck > 0 {
        miss.words.push(format!(
            "{stuck} assets that failed or are silent still count as down: bring them back and it may come earlier"
        ));
    }
    if miss.edits.is_empty() {
        miss.words.push(match search.effort.is_spent {
            true => "not every edit was tried, because the estate is large".to_owned(),
            false if by <= now => "the deadline has passed already, so no edit makes it".to_owned(),
            false => "no edit of one limit makes it, and none of two together".to_owned(),
        });
    }
    miss
}

/// Assets of the wave's batches so far that failed or were never heard of again.
fn down_for_good(prepared: &Prepared<'_>, wave: &Wave) -> usize {
    let blocked = wave.batches.iter().any(|b| b.blocked == Some(Binding::Budget));
    let batches = prepared.waves.iter().flat_map(|w| &w.fixed).filter(|_| blocked);
    batches.map(|(progress, _)| progress.failed.len()).sum()
}

impl Search<'_, '_> {
    fn explain(&mut self, alike: &[Vec<Edit>]) -> Miss {
        let mut miss = Miss::default();
        let mut makes_it: Vec<(Kind, Vec<Wave>)> = Vec::new();
        let finish = finish_of(self.wave);
        for kind in Kind::ALL {
            let Some((relaxed, found, is_late)) = self.relaxed(&[kind]) else {
                continue;
            };
            if !is_late {
                makes_it.push((kind, relaxed));
            }
            let helps = finish.is_none_or(|now| found < now);
            // The first that makes it; while none does, the one that helps most.
            let better = match &miss.closest {
                None => true,
                Some((_, best, late)) => *late && (!is_late || found < *best),
            };
            if helps && better {
                miss.closest = Some((vec![kind], found, is_late));
            }
        }
        let blocked = self.wave.batches.iter().find_map(|b| b.blocked);
        let first = miss.closest.as_ref().and_then(|(kinds, ..)| kinds.first());
        miss.binding = first.map(|k| k.binding()).or(blocked);
        let known = alike.iter().filter(|e| self.is_fixed_by(e)).cloned();
        miss.edits = known.collect();
        if miss.edits.is_empty() {
            miss.edits = makes_it
                .iter()
                .filter_map(|(kind, relaxed)| self.solve(&[*kind], relaxed))
                .collect();
        }
        if miss.edits.is_empty() && self.relaxed(&Kind::ALL).is_some_and(|(.., is_late)| !is_late) {
            self.pairs(&mut miss, makes_it.is_empty());
        }
        miss
    }

    /// Two limits at once: the first pair for which edits are found.
    fn pairs(&mut self, miss: &mut Miss, together: bool) {
        let placing = Kind::ALL.into_iter().filter(|k| *k != Kind::Order);
        let placing: Vec<Kind> = placing.collect();
        for (n, one) in placing.iter().enumerate() {
            for other in placing
                .iter()
                .skip(n + 1)
                .filter(|o| o.binding() != one.binding() || **o == Kind::MinAge)
            {
                let kinds = [*one, *other];
                let Some((relaxed, finish, false)) = self.relaxed(&kinds) else {
                    continue;
                };
                if let Some(edits) = self.solve(&kinds, &relaxed) {
                    if together {
                        miss.binding = Some(one.binding());
                        miss.closest = Some((kinds.to_vec(), finish, false));
                    }
                    miss.edits.push(edits);
                    return;
                }
            }
        }
    }

    /// The rollout without some limits.
    fn relaxed(&mut self, kinds: &[Kind]) -> Option<Relaxed> {
        let without = without(kinds);
        if let Some((_, known)) = self.known.iter().find(|(w, _)| *w == without) {
            return known.clone();
        }
        let waves = self.case.situation.place_one(self.effort, self.at, &[], without);
        let relaxed = waves.and_then(|waves| {
            let same = waves.iter().find(|w| w.name == self.wave.name)?;
            let (finish, is_late) = (finish_of(same)?, is_missed(same));
            Some((waves, finish, is_late))
        });
        self.known.push((without, relaxed.clone()));
        relaxed
    }

    /// Whether the wave is in time with `edits` made, as far as its own rollout goes.
    fn is_met(&mut self, edits: &[Edit]) -> bool {
        let composes = |e: &Edit| matches!(e, Edit::DropDependency { .. } | Edit::DropOrder { .. });
        if edits.iter().any(composes) {
            return self.is_fixed_by(edits);
        }
        let situation = self.case.situation;
        let waves = situation.place_one(self.effort, self.at, edits, without(&[]));
        waves.is_some_and(|w| w.iter().any(|w| w.name == self.wave.name && !is_missed(w)))
    }

    fn is_fixed_by(&mut self, edits: &[Edit]) -> bool {
        self.case
            .situation
            .is_fixed_by(self.effort, self.at.0, &self.wave.name, edits)
    }

    /// The smallest edits of some kinds that make it, planned in full before they are given back.
    fn solve(&mut self, kinds: &[Kind], relaxed: &[Wave]) -> Option<Vec<Edit>> {
        let levers: Vec<Lever> = kinds.iter().flat_map(|k| self.case.levers(*k, relaxed)).collect();
        if kinds.len() == 1 {
            for lever in levers.iter().take(ALONE_MAX) {
                let alone = [lever];
                if self.is_met(&most(&alone))
                    && let Some(edits) = self.verified(&alone)
                {
                    return Some(edits);
                }
            }
        }
        let mut used: Vec<&Lever> = levers.iter().collect();
        if used.len() < 2 || !self.is_met(&most(&used)) {
            return None;
        }
        // The furthest are left out first.
        for position in (0..used.len()).rev() {
            let mut fewer = used.clone();
            fewer.remove(position);
            if self.is_met(&most(&fewer)) {
                used = fewer;
            }
        }
        self.verified(&used)
    }

    /// The mildest values of `levers`, if they make it in the whole plan.
    fn verified(&mut self, levers: &[&Lever]) -> Option<Vec<Edit>> {
        let edits = self.softened(levers);
        (!edits.is_empty() && self.is_fixed_by(&edits)).then_some(edits)
    }

    /// Each field in turn as little changed as the others, changed as they are, allow.
    fn softened(&mut self, levers: &[&Lever]) -> Vec<Edit> {
        let mut edits = most(levers);
        for (position, lever) in levers.iter().enumerate() {
            let mut with = |edit: &Edit| {
                let mut changed = edits.clone();
                changed.get_mut(position).into_iter().for_each(|e| *e = edit.clone());
                self.is_met(&changed)
            };
            let choice = lever.choices.iter().find(|c| with(c)).cloned();
            let mild = choice.or_else(|| {
                let first = lever.rungs.partition_point(|rung| !with(rung));
                lever.rungs.get(first).cloned()
            });
            if let (Some(edit), Some(mild)) = (edits.get_mut(position), mild) {
                *edit = mild;
            }
        }
        edits
    }
}

fn most(levers: &[&Lever]) -> Vec<Edit> {
    levers.iter().filter_map(|l| l.most().cloned()).collect()
}
