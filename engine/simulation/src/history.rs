//! One history: steps of the world and runs of the engine in turns, checked after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use patchwave_adapters::forge::{FakeForge, Forge};
use patchwave_core::propose::ForgeView;

use crate::dice::Dice;
use crate::engine::{Given, Look, Monitor, Stop, reconcile};
use crate::estate::{InForce, ROLLOUTS, START, after, instant, next_night};
use crate::executor::{self, Touch, files_of};
use crate::faults::{Disturbance, Fault, Met};
use crate::invariants;
use crate::ledger::{self, Ledger};
use crate::machines::{Feed, Machines, machines, observe};
use crate::people;

/// Steps of one history.
const STEPS: usize = 16;

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<String, u64>);

impl Counts {
    /// Once more.
    pub fn add(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(what.to_owned(), 1);
            }
        }
    }

    /// Both together.
    pub fn plus(mut self, other: Self) -> Self {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
        self
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(what, count)| writeln!(f, "{count:>12} {what}"))
    }
}

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
        writeln!(f, "seed {}:", self.seed)?;
        self.story.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        self.broken
            .iter()
            .try_for_each(|(name, why)| writeln!(f, "{name}: {why}"))
    }
}

/// The estate in the middle of a history.
pub struct Estate {
    /// Chance.
    pub dice: Dice,
    /// The true time.
    pub clock: Timestamp,
    /// The resources in force.
    pub in_force: InForce,
    /// The machines.
    pub machines: Machines,
    /// The feed.
    pub feed: Feed,
    /// The monitor.
    pub monitor: Monitor,
    /// The forge.
    pub forge: FakeForge,
    /// How the engine is broken.
    pub fault: Option<Fault>,
    /// Every touch so far.
    pub touches: Vec<Touch>,
    /// What the executor has tried: rollout, wave, batch, asset, and the release it was for.
    pub tried: BTreeSet<(String, String, String, String, usize)>,
    /// Result files not handed in yet: rollout, wave, when, bytes.
    pub results: Vec<(String, String, Timestamp, Vec<u8>)>,
    /// Digest of the files of each wave when it was approved.
    pub approved: BTreeMap<(String, String), String>,
    /// What people edited on base, as it was.
    pub originals: BTreeMap<String, Vec<u8>>,
    /// Rollouts that people edited.
    pub edited: BTreeSet<String>,
    /// The ledger when it was last read.
    pub ledger: Ledger,
    /// What does not hold.
    pub broken: Vec<(&'static str, String)>,
    /// How often what happened.
    pub counts: Counts,
    story: Vec<String>,
}

impl Estate {
    /// Notes that something happened.
    pub fn tell(&mut self, what: &str, detail: &str) {
        self.counts.add(what);
        self.story.push(format!("{} {what}: {detail}", self.clock));
    }
}

/// Plays one history.
///
/// # Errors
/// What happened that must not.
pub fn play(seed: u64, fault: Option<Fault>) -> Result<Counts, Box<Failure>> {
    let forge = FakeForge::new(ROLLOUTS);
    let mut dice = Dice::new(seed);
    let start = instant(START);
    let files = BTreeMap::from([("patchwave.yaml".to_owned(), b"kind: Project\n".to_vec())]);
    let _ = forge.commit_outside(&files, start).and_then(|_| forge.take_in(start));
    let published = 1 + usize::try_from(dice.roll(2)).unwrap_or(0);
    let mut estate = Estate {
        dice,
        clock: start,
        in_force: InForce::default(),
        machines: machines(start),
        feed: Feed {
            published,
            ..Feed::default()
        },
        monitor: Monitor::Green,
        forge,
        fault,
        touches: Vec::new(),
        tried: BTreeSet::new(),
        results: Vec::new(),
        approved: BTreeMap::new(),
        originals: BTreeMap::new(),
        edited: BTreeSet::new(),
        ledger: Ledger::new(),
        broken: Vec::new(),
        counts: Counts::default(),
        story: Vec::new(),
    };
    let mut view = ForgeView::default();
    for _ in 0..STEPS {
        let stepped = step(&mut estate, &view);
        match stepped {
            Ok(next) => view = next,
            Err(Stop::Forge(why)) => estate
                .broken
                .push(("comes_to_rest", format!("the forge failed: {why}"))),
            Err(Stop::Fault(why)) => estate.broken.push(("finds_no_fault_in_itself", why)),
        }
        if !estate.broken.is_empty() {
            let (broken, story) = (estate.broken, estate.story);
            return Err(Box::new(Failure { seed, broken, story }));
        }
        tick(&mut estate);
    }
    count_ledger(&mut estate);
    Ok(estate.counts)
}

fn tick(estate: &mut Estate) {
    let minutes = [5, 10, 20, 45, 120, 60 * 7, 60 * 13, 60 * 26];
    estate.clock = match estate.dice.roll(12) {
        0..=2 => next_night(estate.clock),
        3 if estate.dice.one_in(3) => after(estate.clock, 60 * 60),
        _ => after(estate.clock, *estate.dice.pick(&minutes).unwrap_or(&5)),
    };
}

/// What the clock of a runner shows: mostly the time.
fn clock_of_runner(estate: &mut Estate) -> Timestamp {
    match estate.dice.roll(20) {
        0 | 1 => after(estate.clock, -12),
        2 => after(estate.clock, 9),
        _ => estate.clock,
    }
}

fn step(estate: &mut Estate, before: &ForgeView) -> Result<ForgeView, Stop> {
    people::machines(estate);
    people::feeds(estate);
    people::monitor(estate);
    let view = seen(estate)?;
    estate.ledger = ledger::read(&view);
    let look = look(estate)?;
    people::act(estate, &look, &view);
    let view = seen(estate)?;
    estate.ledger = ledger::read(&view);
    let now = self::look(estate)?;
    let lines = estate.ledger.clone();
    executor::work(estate, &now, &view, &lines);
    people::hand_in(estate, &now);
    run(estate)?;
    let view = seen(estate)?;
    let lines = ledger::read(&view);
    note_approvals(estate, &view, &lines);
    invariants::of_run(estate, before, &view, &lines);
    estate.ledger = lines;
    Ok(view)
}

fn seen(estate: &Estate) -> Result<ForgeView, Stop> {
    estate.forge.view().map_err(|e| Stop::Forge(e.to_string()))
}

fn given(estate: &Estate, now: Timestamp) -> Result<Given, Stop> {
    Given::new(
        estate.in_force,
        observe(&estate.machines, &estate.feed, now),
        estate.monitor,
        estate.fault,
    )
}

/// What people and executors see: the true time, and nothing planned.
fn look(estate: &Estate) -> Result<Look, Stop> {
    let given = given(estate, estate.clock)?;
    Look::new(&given, &Met::new(&estate.forge, estate.fault, None), None, estate.clock)
}

fn run(estate: &mut Estate) -> Result<(), Stop> {
    let now = clock_of_runner(estate);
    let own = given(estate, now)?;
    let effect = 1 + estate.dice.roll(4);
    let (crash, overtake) = (estate.dice.one_in(8), estate.dice.one_in(5));
    let other_now = clock_of_runner(estate);
    let other = given(estate, other_now)?;
    let forge = estate.forge.clone();
    let fault = estate.fault;
    let other_run = || {
        // The other runner may fail for its own reasons; it is run again with the rest.
        let _ = reconcile(&other, &Met::new(&forge, fault, None), other_now);
    };
    let disturbed = match (crash, overtake) {
        (true, _) => Some((effect, Disturbance::Crash)),
        (_, true) => Some((effect, Disturbance::Overtake(&other_run))),
        _ => None,
    };
    let met = Met::new(&estate.forge, fault, disturbed);
    let mut ended = reconcile(&own, &met, now);
    if let Err(Stop::Forge(why)) = &ended {
        let word = if crash {
            "runs that crashed"
        } else {
            "runs that were overtaken"
        };
        let why = why.clone();
        estate.tell(word, &why);
        ended = reconcile(&own, &Met::new(&estate.forge, fault, None), now);
    }
    let done = ended?;
    for line in &done {
        estate.story.push(format!("{} engine at {now}: {line}", estate.clock));
    }
    // Looking twice costs as much as the step itself, so it is done now and then.
    if estate.dice.one_in(4) {
        let shown = estate.forge.references();
        let again = reconcile(&own, &Met::new(&estate.forge, fault, None), now)?;
        if !again.is_empty() || estate.forge.references() != shown {
            estate
                .broken
                .push(("rests_when_done", format!("a second run at {now} did: {again:?}")));
        }
    }
    Ok(())
}

/// What is approved now is what may run.
fn note_approvals(estate: &mut Estate, view: &ForgeView, ledger: &Ledger) {
    for (rollout, lines) in ledger {
        let known = estate.ledger.get(rollout).map_or(0, Vec::len);
        for line in lines.iter().skip(known) {
            if line.event == "wave" && line.text("moved") == "approved" {
                let wave = line.text("wave").to_owned();
                let files = files_of(&view.merged_files, rollout, &wave);
                estate.approved.insert((rollout.clone(), wave), files);
            }
        }
    }
}

fn count_ledger(estate: &mut Estate) {
    for lines in estate.ledger.values() {
        for line in lines {
            let what = match line.event.as_str() {
                "wave" => format!("waves {}", line.text("moved")),
                event => format!("ledger: {event}"),
            };
            estate.counts.add(&what);
        }
    }
    let emergencies = estate.ledger.keys().filter(|r| r.contains("-emergency")).count();
    (0..emergencies).for_each(|_| estate.counts.add("rollouts of the emergency lane"));
    (0..estate.ledger.len()).for_each(|_| estate.counts.add("rollouts"));
    estate.counts.add("histories");
}
