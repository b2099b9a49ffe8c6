//! Faults on purpose: each breaks the engine from outside, in one way, to see that it is found.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_adapters::forge::{Appended, Applied, FakeForge, Forge, ForgeError, TakenIn};
use patchwave_core::decide::{Action, Decision};
use patchwave_core::history::{Event, History, WaveEvent, WaveState, ledger_file};
use patchwave_core::propose::{Approved, ForgeOp, ForgeView};

use crate::estate::InForce;

/// One way to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The executor runs what a pull request holds before it is merged.
    RunUnmerged,
    /// The executor does not ask for permits.
    RunWithoutPermit,
    /// Freezes are not looked at.
    IgnoreFreeze,
    /// Pauses are not looked at.
    IgnorePause,
    /// A person's halt is not looked at.
    SkipHalt,
    /// The end of an opening is not looked at.
    RunLate,
    /// A batch is released a second time.
    ReleaseTwice,
    /// A wave is promoted when its executor says that all is done.
    PromoteOnEvidence,
    /// The merged files are believed to be what was approved.
    BelieveFiles,
    /// Nothing limits how much is down at once.
    IgnoreBudgets,
    /// An asset another rollout is at work on is taken as well.
    IgnoreLocks,
    /// The ledger is written without looking whether somebody else did.
    AppendBlindly,
    /// Gates are taken to be green.
    BelieveGates,
    /// Every run writes something.
    WriteAlways,
    /// A merge counts as approval.
    CountMergesAsApprovals,
}

impl Fault {
    /// Every fault, with the invariant it is aimed at.
    pub const ALL: [(Self, &'static str); 15] = [
        (Self::RunUnmerged, "runs_only_what_was_merged"),
        (Self::RunWithoutPermit, "runs_only_with_a_permit"),
        (Self::IgnoreFreeze, "keeps_out_of_freezes"),
        (Self::IgnorePause, "rests_while_paused"),
        (Self::SkipHalt, "stops_after_a_halt"),
        (Self::RunLate, "keeps_to_its_window"),
        (Self::ReleaseTwice, "runs_once"),
        (Self::PromoteOnEvidence, "promotes_what_was_seen"),
        (Self::BelieveFiles, "carries_what_was_proved"),
        (Self::IgnoreBudgets, "keeps_services_up"),
        (Self::IgnoreLocks, "one_rollout_at_a_time"),
        (Self::AppendBlindly, "keeps_the_ledger"),
        (Self::BelieveGates, "promotes_past_green_gates"),
        (Self::WriteAlways, "rests_when_done"),
        (Self::CountMergesAsApprovals, "runs_only_what_was_merged"),
    ];

    /// What the engine takes to be in force.
    pub const fn in_force(fault: Option<Self>, really: InForce) -> InForce {
        match fault {
            Some(Self::IgnoreFreeze) => InForce(really.0 & !InForce::FREEZE),
            Some(Self::IgnorePause) => InForce(really.0 & !InForce::PAUSE),
            Some(Self::IgnoreBudgets) => InForce(really.0 | InForce::UNBOUNDED),
            _ => really,
        }
    }

    /// What the engine takes the forge to show.
    pub fn view(fault: Option<Self>, view: &mut ForgeView) {
        if fault == Some(Self::CountMergesAsApprovals) {
            for pull in &mut view.pull_requests {
                for by in ["ghost-1", "ghost-2"] {
                    let (at, head) = (pull.opened_at, pull.head.clone());
                    pull.approvals.push(Approved {
                        by: by.into(),
                        at,
                        head,
                    });
                }
            }
        }
    }

    /// What the engine takes to have happened.
    pub fn history(fault: Option<Self>, history: &mut History) {
        for rollout in &mut history.open {
            match fault {
                Some(Self::SkipHalt) => rollout.halted = None,
                Some(Self::RunLate) => rollout
                    .waves
                    .iter_mut()
                    .flat_map(|w| &mut w.batches)
                    .for_each(|b| b.opening_end = None),
                _ => {}
            }
        }
    }

    /// What is done instead of what was decided.
    pub fn decision(fault: Option<Self>, decision: &mut Decision, history: &History, now: Timestamp) {
        let instead = match fault {
            Some(Self::ReleaseTwice) => release_twice(history, now),
            Some(Self::PromoteOnEvidence) => promote_on_evidence(history),
            Some(Self::IgnoreLocks) => take_what_is_taken(history),
            _ => Vec::new(),
        };
        if !instead.is_empty() {
            decision.actions = vec![Action::Record(instead)];
        }
    }
}

fn released(wave: &Arc<str>, batch: &Arc<str>, digest: &Arc<str>) -> Event {
    Event::Released {
        wave: Arc::clone(wave),
        batch: Arc::clone(batch),
        digest: Arc::clone(digest),
        opening_start: None,
        opening_end: None,
    }
}

fn release_twice(history: &History, now: Timestamp) -> Vec<(String, Event)> {
    let mut events = Vec::new();
    for rollout in &history.open {
        for wave in rollout.waves.iter().filter(|w| w.state == WaveState::Released) {
            let Some(digest) = &wave.digest else { continue };
            let old = wave.batches.iter().filter(|b| b.released_at.is_some_and(|at| at < now));
            events.extend(old.map(|b| (ledger_file(&rollout.name), released(&wave.name, &b.id, digest))));
        }
    }
    events
}

fn promote_on_evidence(history: &History) -> Vec<(String, Event)> {
    let mut events = Vec::new();
    for rollout in &history.open {
        for wave in rollout.waves.iter().filter(|w| w.state == WaveState::Released) {
            let said_done = wave.batches.iter().all(|b| {
                let done = |a: &Arc<str>| b.evidence.get(a).is_some_and(|said| said.outcome.as_ref() == "done");
                b.assets.keys().all(done)
            });
            for moved in [WaveEvent::Verified, WaveEvent::Promoted] {
                let event = Event::Wave {
                    wave: Arc::clone(&wave.name),
                    moved,
                    digest: None,
                    pull_request: None,
                    approvals: vec![],
                    since: None,
                    reason: None,
                };
                if said_done {
                    events.push((ledger_file(&rollout.name), event));
                }
            }
        }
    }
    events
}

fn take_what_is_taken(history: &History) -> Vec<(String, Event)> {
    let mut events = Vec::new();
    for rollout in history.open.iter().filter(|r| r.halted.is_none()) {
        let others = history.open.iter().filter(|o| o.name != rollout.name);
        let taken: BTreeSet<&Arc<str>> = others
            .flat_map(|o| &o.waves)
            .flat_map(|w| &w.batches)
            .flat_map(|b| b.disrupted())
            .collect();
        let ready = |s: WaveState| matches!(s, WaveState::Approved | WaveState::Released);
        for wave in rollout.waves.iter().filter(|w| ready(w.state)) {
            let Some(digest) = &wave.digest else { continue };
            let free = wave.batches.iter().filter(|b| b.released_at.is_none());
            let wanted = free.filter(|b| b.assets.keys().any(|a| taken.contains(a)));
            events.extend(wanted.map(|b| (ledger_file(&rollout.name), released(&wave.name, &b.id, digest))));
        }
    }
    events
}

/// What happens just before one effect of a run.
pub enum Disturbance<'a> {
    /// The process ends.
    Crash,
    /// Another runner goes first.
    Overtake(&'a dyn Fn()),
}

/// The forge as one run meets it.
pub struct Met<'a> {
    forge: &'a FakeForge,
    fault: Option<Fault>,
    effects: Cell<u64>,
    disturbed: Option<(u64, Disturbance<'a>)>,
    shown: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl<'a> Met<'a> {
    /// Disturbed just before its effect of that number, counted from 1.
    pub fn new(forge: &'a FakeForge, fault: Option<Fault>, disturbed: Option<(u64, Disturbance<'a>)>) -> Self {
        Self {
            forge,
            fault,
            effects: Cell::new(0),
            disturbed,
            shown: RefCell::default(),
        }
    }

    fn effect(&self) -> Result<(), ForgeError> {
        self.effects.set(self.effects.get() + 1);
        match &self.disturbed {
            Some((number, Disturbance::Crash)) if *number == self.effects.get() => {
                Err(ForgeError::terminal("the process ended", "start it again"))
            }
            Some((number, Disturbance::Overtake(other))) if *number == self.effects.get() => {
                other();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn append_blindly(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        let view = self.forge.view()?;
        let shown = self.shown.borrow();
        let files = files.iter().map(|(file, bytes)| {
            let known = shown.get(file).map_or(0, Vec::len);
            let mut content = view.ledger.get(file).cloned().unwrap_or_default();
            content.extend_from_slice(bytes.get(known..).unwrap_or_default());
            (file.clone(), content)
        });
        let files = files.collect();
        self.forge
            .append_ledger(view.ledger_head.as_deref(), &files, message, now)
    }
}

impl Forge for Met<'_> {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        self.forge.take_in(now)
    }

    fn view(&self) -> Result<ForgeView, ForgeError> {
        let mut view = self.forge.view()?;
        self.shown.replace(view.ledger.clone());
        Fault::view(self.fault, &mut view);
        Ok(view)
    }

    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        self.effect()?;
        self.forge.apply(op, now)
    }

    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        self.effect()?;
        if self.fault == Some(Fault::AppendBlindly) {
            return self.append_blindly(files, message, now);
        }
        self.forge.append_ledger(expected_head, files, message, now)
    }

    fn writes(&self) -> u64 {
        self.forge.writes()
    }
}
