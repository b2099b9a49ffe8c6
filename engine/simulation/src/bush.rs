//! Many histories from few: histories that begin alike are played together until they part.
//!
//! Two hundred and fifty-six histories make a bush. A step rolls with dice made of the bush, the step and the way taken at the forks so
//! far, so a history is the same whether it is played alone or with the rest of its bush, and its number says it all.

use std::fmt;
use std::ops::Range;

use patchwave_core::propose::ForgeView;

use crate::counts::Counts;
use crate::dice::Dice;
use crate::engine::Stop;
use crate::faults::Fault;
use crate::history::{Estate, step, tick};

/// Steps of one history: enough for a patch to come from the first wave through the last.
pub const STEPS: usize = 18;

/// Before a step a history goes on in so many ways.
const FORKS: [(usize, u64); 4] = [(4, 2), (9, 4), (14, 4), (17, 8)];

/// Histories of one bush.
pub const HISTORIES: u64 = 2 * 4 * 4 * 8;

/// A history in which something happened that must not.
#[derive(Clone, Debug)]
pub struct Failure {
    /// It plays the history again.
    pub seed: u64,
    /// The invariants that do not hold, and what breaks them.
    pub broken: Vec<(&'static str, String)>,
    /// What happened until then.
    pub story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "history {}:", self.seed)?;
        self.story.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        self.broken
            .iter()
            .try_for_each(|(name, why)| writeln!(f, "{name}: {why}"))?;
        let seed = self.seed;
        write!(
            f,
            "to play it again: cargo run --release -p xtask -- simulate --seed {seed} --histories 1"
        )
    }
}

/// What came of several histories.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// What happened.
    pub counts: Counts,
    /// Those that failed, at most one of a bush, by number.
    pub failed: Vec<Failure>,
}

impl Played {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut failed = self.failed;
        failed.extend(other.failed);
        failed.sort_by_key(|f| f.seed);
        Self {
            failed,
            counts: self.counts.plus(other.counts),
        }
    }
}

/// Plays the histories of one bush whose numbers are wanted; `telling` keeps the story.
pub fn grow(wanted: &Range<u64>, fault: Option<Fault>, telling: bool) -> Played {
    let bush = wanted.start / HISTORIES;
    let mut sought = Bush {
        bush,
        wanted,
        played: Played::default(),
    };
    let estate = Estate::new(Dice::new([bush, u64::MAX, 0]), fault, telling);
    sought.go_on(estate, ForgeView::default(), 0, Twig::default());
    sought.played
}

/// The way taken at the forks so far.
#[derive(Clone, Copy, Default)]
struct Twig {
    forks: usize,
    way: u64,
}

impl Twig {
    /// The histories that begin like this.
    fn leaves(self, bush: u64) -> Range<u64> {
        let left: u64 = FORKS.iter().skip(self.forks).map(|(_, ways)| ways).product();
        let first = bush * HISTORIES + self.way * left;
        first..first + left
    }
}

struct Bush<'w> {
    bush: u64,
    wanted: &'w Range<u64>,
    played: Played,
}

impl Bush<'_> {
    fn go_on(&mut self, mut estate: Estate, mut view: ForgeView, from: usize, twig: Twig) {
        for number in from..STEPS {
            if let Some((_, ways)) = FORKS.get(twig.forks).filter(|(at, _)| *at == number) {
                self.part(&estate, &view, (number, *ways), twig);
                self.add(estate);
                return;
            }
            estate.dice = Dice::new([self.bush, u64::try_from(number).unwrap_or(u64::MAX), twig.way]);
            if number > 0 {
                tick(&mut estate);
            }
            match step(&mut estate, &view) {
                Ok(next) => view = next,
                Err(Stop::Forge(why)) => estate
                    .broken
                    .push(("comes_to_rest", format!("the forge failed: {why}"))),
                Err(Stop::Fault(why)) => estate.broken.push(("finds_no_fault_in_itself", why)),
            }
            if !estate.broken.is_empty() {
                let leaves = twig.leaves(self.bush);
                let seed = leaves.start.max(self.wanted.start);
                let (broken, story) = (std::mem::take(&mut estate.broken), std::mem::take(&mut estate.story));
                self.played.failed.push(Failure { seed, broken, story });
                self.add(estate);
                return;
            }
        }
        estate.counts.add("histories");
        self.add(estate);
    }

    fn part(&mut self, estate: &Estate, view: &ForgeView, (number, ways): (usize, u64), twig: Twig) {
        for turn in 0..ways {
            let next = Twig {
                forks: twig.forks + 1,
                way: twig.way * ways + turn,
            };
            let leaves = next.leaves(self.bush);
            let is_wanted = leaves.start < self.wanted.end && self.wanted.start < leaves.end;
            if is_wanted && self.played.failed.is_empty() {
                self.go_on(estate.fork(), view.clone(), number, next);
            }
        }
    }

    fn add(&mut self, estate: Estate) {
        let counts = std::mem::take(&mut self.played.counts);
        self.played.counts = counts.plus(estate.counts);
    }
}
