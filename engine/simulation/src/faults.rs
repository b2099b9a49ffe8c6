//! Faults on purpose: each breaks the engine from outside, in one way, to see that it is found.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_adapters::forge::{Appended, Applied, FakeForge, Forge, ForgeError, TakenIn};
use patchwave_core::decide::{Action, Decision};
use patchwave_core::history::{Event, History, WaveEvent, WaveState, ledger_file};
use patchwave_core::observe::{Coverage, Observation};
use patchwave_core::propose::{Approved, ForgeOp, ForgeView, HALT_LABEL};

use crate::estate::InForce;
use crate::people::PEOPLE;

/// One way to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The executor runs what a pull request holds before it is merged.
    RunUnmerged,
    /// A merge counts as approval.
    CountMergesAsApprovals,
    /// Whoever approves counts.
    CountAnybody,
    /// The executor does not ask for permits.
    RunWithoutPermit,
    /// The end of an opening is not looked at.
    RunLate,
    /// Freezes are not looked at.
    IgnoreFreeze,
    /// Pauses are not looked at.
    IgnorePause,
    /// A person's halt is not looked at.
    SkipHalt,
    /// Labels are not looked at.
    IgnoreLabels,
    /// The merged files are believed to be what was approved.
    BelieveFiles,
    /// A wave is promoted when its executor says that all is done.
    PromoteOnEvidence,
    /// What was seen long ago is as good as what is seen now.
    BelieveOldLooks,
    /// A feed that says nothing has nothing to say.
    ForgetOutages,
    /// Gates are taken to be green.
    BelieveGates,
    /// Nothing limits how much is down at once.
    IgnoreBudgets,
    /// An asset another rollout is at work on is taken as well.
    IgnoreLocks,
    /// A batch is released a second time.
    ReleaseTwice,
    /// The ledger is written without looking whether somebody else did.
    AppendBlindly,
    /// Every run writes something.
    WriteAlways,
    /// A process that is started again writes down that it was.
    RecordRestarts,
}

impl Fault {
    /// Every fault, with the invariant that finds it.
    pub const ALL: [(Self, &'static str); 20] = [
        (Self::RunUnmerged, "runs_only_what_was_merged"),
        (Self::CountMergesAsApprovals, "runs_only_what_was_merged"),
        (Self::CountAnybody, "runs_only_what_was_merged"),
        (Self::RunWithoutPermit, "runs_only_with_a_permit"),
        (Self::RunLate, "keeps_to_its_window"),
        (Self::IgnoreFreeze, "keeps_out_of_freezes"),
        (Self::IgnorePause, "rests_while_paused"),
        (Self::SkipHalt, "stops_after_a_halt"),
        (Self::IgnoreLabels, "stops_after_a_halt"),
        (Self::BelieveFiles, "carries_what_was_proved"),
        (Self::PromoteOnEvidence, "unknown_is_never_done"),
        (Self::BelieveOldLooks, "unknown_is_never_done"),
        (Self::ForgetOutages, "unknown_is_never_done"),
        (Self::BelieveGates, "promotes_past_green_gates"),
        (Self::IgnoreBudgets, "keeps_services_up"),
        (Self::IgnoreLocks, "one_rollout_at_a_time"),
        (Self::ReleaseTwice, "runs_once"),
        (Self::AppendBlindly, "keeps_the_ledger"),
        (Self::WriteAlways, "repeats_change_nothing"),
        (Self::RecordRestarts, "a_crash_leaves_no_trace"),
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
        match fault {
            Some(Self::CountMergesAsApprovals) => view.pull_requests.iter_mut().for_each(|pull| {
                let (at, head) = (pull.opened_at, &pull.head);
                let ghosts = ["person-1", "person-2"].map(|by| Approved {
                    by: by.into(),
                    at,
                    head: head.clone(),
                });
                pull.approvals.extend(ghosts);
            }),
            Some(Self::CountAnybody) => view.members = None,
            Some(Self::IgnoreLabels) => {
                let pulls = view.pull_requests.iter_mut();
                pulls.for_each(|p| p.labels.retain(|label| label != HALT_LABEL));
            }
            _ => {}
        }
    }

    /// What the engine takes to be observed.
    pub fn observation(fault: Option<Self>, observation: &mut Observation) {
        match fault {
            Some(Self::BelieveOldLooks) => observation.assets.iter_mut().for_each(|a| a.stale = false),
            Some(Self::ForgetOutages) => {
                observation.sources.iter_mut().for_each(|s| s.failure = None);
                observation.coverage = vec![Coverage {
                    os_id: "almalinux".into(),
                    release: None,
                    source: "feed".into(),
                    fresh: true,
                }];
            }
            _ => {}
        }
    }

    /// What a process that is started again does first, if it does.
    pub fn stumbles(fault: Option<Self>, forge: &FakeForge, now: Timestamp) -> bool {
        let body = "was started again".to_owned();
        fault == Some(Self::RecordRestarts) && forge.apply(&ForgeOp::PutDashboard { body }, now).is_ok()
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
                    openings: None,
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

/// What happens after so many effects of a run, when it goes for the next.
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
    labels: BTreeSet<u64>,
    disturbed: RefCell<Vec<(u64, Disturbance<'a>)>>,
    effects: Cell<u64>,
    shown: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl<'a> Met<'a> {
    /// With the pull requests that people have labelled, and disturbed after so many effects.
    pub fn new(
        forge: &'a FakeForge,
        fault: Option<Fault>,
        labels: BTreeSet<u64>,
        disturbed: Vec<(u64, Disturbance<'a>)>,
    ) -> Self {
        Self {
            forge,
            fault,
            labels,
            disturbed: RefCell::new(disturbed),
            effects: Cell::new(0),
            shown: RefCell::default(),
        }
    }

    fn disturb(&self) -> Result<(), ForgeError> {
        let mut left = self.disturbed.borrow_mut();
        let due = left.iter().position(|(after, _)| *after <= self.effects.get());
        match due.map(|index| left.remove(index).1) {
            None => Ok(()),
            Some(Disturbance::Crash) => Err(ForgeError::terminal("the process ended", "start it again")),
            Some(Disturbance::Overtake(other)) => {
                other();
                Ok(())
            }
        }
    }

    fn count(&self) {
        self.effects.set(self.effects.get() + 1);
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
        view.members = Some(members());
        for pull in view
            .pull_requests
            .iter_mut()
            .filter(|p| self.labels.contains(&p.number))
        {
            pull.labels.push(HALT_LABEL.to_owned());
            pull.labels.sort();
        }
        Fault::view(self.fault, &mut view);
        Ok(view)
    }

    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        self.disturb()?;
        let applied = self.forge.apply(op, now)?;
        if matches!(applied, Applied::Done { .. }) {
            self.count();
        }
        Ok(applied)
    }

    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        self.disturb()?;
        self.count();
        if self.fault == Some(Fault::AppendBlindly) {
            return self.append_blindly(files, message, now);
        }
        self.forge.append_ledger(expected_head, files, message, now)
    }

    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        self.forge.fence()
    }

    fn writes(&self) -> u64 {
        self.forge.writes()
    }
}

/// Who is of which team.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let of = |is: fn(&(&str, bool, bool)) -> bool| {
        let people = PEOPLE.iter().filter(|p| is(p));
        people.map(|(name, ..)| (*name).to_owned()).collect()
    };
    BTreeMap::from([("sre".to_owned(), of(|p| p.1)), ("hands".to_owned(), of(|p| p.2))])
}
