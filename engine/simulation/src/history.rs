//! One step of a history: the world moves, people and executors act, the engine runs, and every invariant is asked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_adapters::forge::{FakeForge, Forge};
use patchwave_core::observe::Observation;
use patchwave_core::propose::ForgeView;

use crate::counts::Counts;
use crate::dice::Dice;
use crate::engine::{Given, Kept, Look, Monitor, Stop, reconcile};
use crate::estate::{InForce, ROLLOUTS, START, after, instant, next_night};
use crate::executor::{self, Touch, files_of};
use crate::faults::{Disturbance, Fault, Met};
use crate::invariants::{self, After};
use crate::ledger::{self, Ledger};
use crate::machines::{Feed, Machines, machines, observe};
use crate::people;

/// Rollout, wave, batch, asset, and the release it was for.
pub type Try = (String, String, String, String, usize);

/// The estate in the middle of a history.
pub struct Estate {
    /// Chance.
    pub dice: Dice,
    /// How seldom things go wrong: so many times as seldom as they could.
    pub temper: u64,
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
    /// Pull requests that people have labelled to halt their rollouts.
    pub labels: BTreeSet<u64>,
    /// How the engine is broken.
    pub fault: Option<Fault>,
    /// Every touch so far.
    pub touches: Vec<Touch>,
    /// What the executor has tried.
    pub tried: BTreeSet<Try>,
    /// Result files not handed in yet: rollout, wave, when, bytes.
    pub results: Vec<(String, String, Timestamp, Vec<u8>)>,
    /// Digest of the files of each wave when it was approved.
    pub approved: BTreeMap<(String, String), String>,
    /// What people edited on base, as it was, by rollout.
    pub originals: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Rollouts that people edited.
    pub edited: BTreeSet<String>,
    /// The ledger when it was last read.
    pub ledger: Ledger,
    /// What does not hold.
    pub broken: Vec<(&'static str, String)>,
    /// How often what happened.
    pub counts: Counts,
    /// What happened, if anybody wants to hear it.
    pub story: Vec<String>,
    telling: bool,
    observed: Option<(Timestamp, Arc<Observation>)>,
    kept: Rc<RefCell<Kept>>,
}

impl Estate {
    /// A Friday noon.
    pub fn new(mut dice: Dice, fault: Option<Fault>, telling: bool) -> Self {
        let forge = FakeForge::new(ROLLOUTS);
        let start = instant(START);
        let files = BTreeMap::from([("patchwave.yaml".to_owned(), b"kind: Project\n".to_vec())]);
        let _ = forge.commit_outside(&files, start).and_then(|_| forge.take_in(start));
        let first = usize::try_from(dice.roll(4)).unwrap_or(0);
        Self {
            temper: *dice.pick(&[1, 3, 8]).unwrap_or(&1),
            clock: start,
            in_force: InForce([0, 0, InForce::FREEZE, InForce::PAUSE].get(first).copied().unwrap_or(0)),
            machines: machines(start),
            feed: Feed {
                published: 1 + usize::try_from(dice.roll(2)).unwrap_or(0),
                ..Feed::default()
            },
            monitor: Monitor::Green,
            forge,
            labels: BTreeSet::new(),
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
            telling,
            observed: None,
            kept: Rc::default(),
            dice,
        }
    }

    /// Another one that goes on from here; what happens from here on is counted for each.
    pub fn fork(&self) -> Self {
        Self {
            dice: self.dice.clone(),
            machines: self.machines.clone(),
            feed: self.feed.clone(),
            forge: self.forge.fork(),
            labels: self.labels.clone(),
            touches: self.touches.clone(),
            tried: self.tried.clone(),
            results: self.results.clone(),
            approved: self.approved.clone(),
            originals: self.originals.clone(),
            edited: self.edited.clone(),
            ledger: self.ledger.clone(),
            broken: self.broken.clone(),
            counts: Counts::default(),
            story: self.story.clone(),
            observed: None,
            kept: Rc::default(),
            ..*self
        }
    }

    /// Notes that something happened.
    pub fn tell(&mut self, what: &str, detail: Arguments<'_>) {
        self.counts.add(what);
        self.note(format_args!("{what}: {detail}"));
    }

    /// Tells something that nobody counts.
    pub fn note(&mut self, what: Arguments<'_>) {
        if self.telling {
            self.story.push(format!("{} {what}", self.clock));
        }
    }

    /// True once in so many times, and seldomer in a calm history.
    pub fn mishap(&mut self, times: u64) -> bool {
        self.dice.one_in(times * self.temper)
    }

    /// The forge as a run or a person meets it.
    pub fn met<'a>(&self, forge: &'a FakeForge, disturbed: Vec<(u64, Disturbance<'a>)>) -> Met<'a> {
        Met::new(forge, self.fault, self.labels.clone(), disturbed)
    }

    /// The forge as it is, with what people put on it.
    pub fn view(&self) -> Result<ForgeView, Stop> {
        let met = Met::new(&self.forge, None, self.labels.clone(), Vec::new());
        met.view().map_err(|e| Stop::Forge(e.to_string()))
    }

    fn given(&mut self, now: Timestamp) -> Result<Given, Stop> {
        let observation = match &self.observed {
            Some((at, observed)) if *at == now => Arc::clone(observed),
            _ => {
                let mut observed = observe(&self.machines, &self.feed, now);
                Fault::observation(self.fault, &mut observed);
                Arc::new(observed)
            }
        };
        self.observed = Some((now, Arc::clone(&observation)));
        Given::new(
            self.in_force,
            observation,
            self.monitor,
            self.fault,
            Rc::clone(&self.kept),
        )
    }

    /// What people and executors see: the true time, and nothing planned.
    pub fn look(&mut self) -> Result<Look, Stop> {
        let given = self.given(self.clock)?;
        Look::new(&given, &self.met(&self.forge, Vec::new()), self.clock)
    }
}

/// Time goes on.
pub fn tick(estate: &mut Estate) {
    let minutes = [5, 10, 20, 45, 75, 120, 60 * 4, 60 * 13, 60 * 26];
    estate.clock = match estate.dice.roll(12) {
        0..=2 => next_night(estate.clock),
        3 if estate.mishap(2) => after(estate.clock, 60 * 60),
        _ => after(estate.clock, *estate.dice.pick(&minutes).unwrap_or(&5)),
    };
}

/// What the clock of a runner shows: mostly the time.
fn clock_of_runner(estate: &mut Estate) -> Timestamp {
    let off = match estate.dice.roll(40) {
        0..=3 => -12,
        4..=6 => 9,
        7 if estate.mishap(2) => -60 * 5,
        8 if estate.mishap(2) => 60 * 4,
        9 if estate.mishap(4) => 60 * 30,
        _ => return estate.clock,
    };
    let word = if off < 0 { "clocks behind" } else { "clocks ahead" };
    estate.tell(word, format_args!("{off} minutes"));
    after(estate.clock, off)
}

/// One step. `before` is what the forge showed after the step before.
///
/// # Errors
/// [`Stop`] if the engine cannot come to its end.
pub fn step(estate: &mut Estate, before: &ForgeView) -> Result<ForgeView, Stop> {
    estate.observed = None;
    people::machines(estate);
    people::feeds(estate);
    people::monitor(estate);
    let old = std::mem::take(&mut estate.ledger);
    let look = estate.look()?;
    let view = estate.view()?;
    people::act(estate, &look, &view);
    let view = estate.view()?;
    estate.ledger = ledger::read(&view);
    let look = estate.look()?;
    let lines = estate.ledger.clone();
    executor::work(estate, &look, &view, &lines);
    people::hand_in(estate);
    run(estate)?;
    let view = estate.view()?;
    let now = ledger::read(&view);
    note_approvals(estate, &view, &lines, &now);
    estate.counts.add_lines(&old, &now);
    let after = After {
        before,
        view: &view,
        old: &old,
        lines: &now,
    };
    invariants::of_run(estate, &after);
    estate.counts.add("steps");
    estate.ledger = now;
    Ok(view)
}

fn run(estate: &mut Estate) -> Result<(), Stop> {
    let now = clock_of_runner(estate);
    let own = estate.given(now)?;
    match estate.dice.roll(12) {
        0 => crashed(estate, &own, now)?,
        1 => overtaken(estate, &own, now)?,
        _ => finish(estate, &own, now)?,
    }
    // Looking twice costs as much as a quiet step itself, so it is done now and then.
    if estate.dice.one_in(8) {
        let shown = estate.forge.references();
        let again = reconcile(&own, &estate.met(&estate.forge, Vec::new()), now)?;
        if !again.is_empty() || estate.forge.references() != shown {
            let why = format!("a second run at {now} did: {again:?}");
            estate.broken.push(("repeats_change_nothing", why));
        }
    }
    Ok(())
}

/// A run that comes to its end.
fn finish(estate: &mut Estate, own: &Given, now: Timestamp) -> Result<(), Stop> {
    let done = reconcile(own, &estate.met(&estate.forge, Vec::new()), now)?;
    for line in &done {
        estate.note(format_args!("the engine at {now}: {line}"));
    }
    Ok(())
}

/// A process that ends after every effect, or after one, and is started again: it leaves what an undisturbed one would.
fn crashed(estate: &mut Estate, own: &Given, now: Timestamp) -> Result<(), Stop> {
    let undisturbed = estate.forge.fork();
    let whole = reconcile(own, &estate.met(&undisturbed, Vec::new()), now)?;
    let (mut effects, mut lives) = match estate.dice.roll(3) {
        0 => (1, u64::MAX),
        _ => (estate.dice.roll(5), 1),
    };
    while lives > 0 {
        let forge = estate.forge.clone();
        let met = estate.met(&forge, vec![(effects, Disturbance::Crash)]);
        match reconcile(own, &met, now) {
            Err(Stop::Forge(why)) => estate.tell("crashes", format_args!("after {effects} effects: {why}")),
            ended => {
                ended?;
                break;
            }
        }
        lives -= 1;
        effects = effects.max(1);
        if Fault::stumbles(estate.fault, &estate.forge, now) {
            estate.note(format_args!("the process wrote that it was started again"));
        }
    }
    finish(estate, own, now)?;
    // Commits may come in another order, and have other names then: what counts is what they hold.
    let other = undisturbed.view().map_err(|e| Stop::Forge(e.to_string()))?;
    let seen = estate.forge.view().map_err(|e| Stop::Forge(e.to_string()))?;
    if let Some(what) = ledger::difference(&seen, &other) {
        let why = format!("a run at {now} that ended after {effects} effects left something else: {what}");
        estate.broken.push(("a_crash_leaves_no_trace", why));
        for line in whole {
            estate.note(format_args!("the engine undisturbed: {line}"));
        }
    }
    Ok(())
}

/// A run in which another runner goes first before one effect, as far as it comes, and once more before a later one.
fn overtaken(estate: &mut Estate, own: &Given, now: Timestamp) -> Result<(), Stop> {
    let first = estate.dice.roll(4);
    let second = first + 1 + estate.dice.roll(3);
    let reach = estate.dice.roll(6);
    let other_now = clock_of_runner(estate);
    let other = estate.given(other_now)?;
    let forge = estate.forge.clone();
    let (fault, labels) = (estate.fault, estate.labels.clone());
    let met_by_other = |disturbed| Met::new(&forge, fault, labels.clone(), disturbed);
    // The other runner may fail for its own reasons; whoever comes next does what is left.
    let partly = || {
        drop(reconcile(
            &other,
            &met_by_other(vec![(reach, Disturbance::Crash)]),
            other_now,
        ))
    };
    let whole = || drop(reconcile(&other, &met_by_other(Vec::new()), other_now));
    let disturbed = vec![
        (first, Disturbance::Overtake(&partly)),
        (second, Disturbance::Overtake(&whole)),
    ];
    match reconcile(own, &estate.met(&forge, disturbed), now) {
        Err(Stop::Forge(why)) => {
            estate.tell("runs that another runner made give up", format_args!("{why}"));
            finish(estate, own, now)
        }
        ended => {
            estate.tell("runs that another runner joined", format_args!("{:?}", ended?));
            // What the other left between two looks of the first is for whoever comes next.
            finish(estate, own, now)
        }
    }
}

/// What is approved now is what may run.
fn note_approvals(estate: &mut Estate, view: &ForgeView, before: &Ledger, now: &Ledger) {
    for (rollout, lines) in now {
        let known = before.get(rollout).map_or(0, Vec::len);
        for line in lines.iter().skip(known) {
            if line.event == "wave" && line.text("moved") == "approved" {
                let wave = line.text("wave").to_owned();
                let files = files_of(&view.merged_files, rollout, &wave);
                estate.approved.insert((rollout.clone(), wave), files);
            }
        }
    }
}
