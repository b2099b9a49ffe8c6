//! One run of the engine: look, decide, act, until nothing is left to do. The stages are the engine's; the resources,
//! the facts and the forge come from the history.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use patchwave_adapters::forge::{Applied, Forge};
use patchwave_core::assess::{Assessment, assess};
use patchwave_core::decide::{Action, ENGINE, World, decide, gates_wanted};
use patchwave_core::history::{History, Memory, OpenRollout, WaveState, fold};
use patchwave_core::load::Catalog;
use patchwave_core::observe::Observation;
use patchwave_core::plan::{Plan, Rollout, Wave, lint, plan_unexplained};
use patchwave_core::propose::{ForgeOp, ForgeView};
use patchwave_core::render::Packs;
use patchwave_core::verify::{GateAnswer, GateReading, GateReadings, Page};
use patchwave_runner::artifacts::{Artifacts, Scene, digest_of_files};
use patchwave_runner::reconcile::record;
use patchwave_runner::survey::Survey;

use crate::estate::{InForce, ROLLOUTS, catalog};
use crate::faults::Fault;

/// Why a run ended before it was done.
#[derive(Debug)]
pub enum Stop {
    /// The forge failed or was moved; the next run goes on.
    Forge(String),
    /// The engine found itself at fault.
    Fault(String),
}

/// How a monitor answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Monitor {
    /// All is well.
    #[default]
    Green,
    /// Something is not.
    Red,
    /// It does not answer.
    Unreadable,
}

impl Monitor {
    fn reading(self, at: Timestamp) -> GateReading {
        let page = |status, body: &str| {
            let body = body.to_owned();
            Ok(GateAnswer::Page(Page { at, status, body }))
        };
        match self {
            Self::Green => page(200, "ok"),
            Self::Red => page(503, "down"),
            Self::Unreadable => Err("connection refused".to_owned()),
        }
    }
}

/// What an engine is given besides the forge.
#[derive(Clone)]
pub struct Given {
    /// The resources.
    pub catalog: Arc<Catalog>,
    /// The facts.
    pub observation: Arc<Observation>,
    /// How the monitor answers.
    pub monitor: Monitor,
    /// How it is broken.
    pub fault: Option<Fault>,
    kept: Rc<RefCell<Kept>>,
}

/// What was worked out last, for whoever looks at the same again.
#[derive(Default)]
pub struct Kept {
    past: Option<Rc<Past>>,
    assessed: Option<Assessed>,
    planned: Option<Planned>,
}

/// What the forge shows, and what has happened by it.
pub struct Past {
    /// What the forge shows.
    pub view: ForgeView,
    /// What has happened.
    pub history: Rc<History>,
}

impl Past {
    /// Whether another view tells of the same events.
    fn tells_as(&self, view: &ForgeView) -> bool {
        self.view.ledger == view.ledger
            && self.view.merged_files == view.merged_files
            && self.view.pull_requests == view.pull_requests
    }
}

struct Assessed {
    catalog: Arc<Catalog>,
    observation: Arc<Observation>,
    past: Rc<Past>,
    now: Timestamp,
    assessment: Rc<Assessment>,
}

/// A plan follows from a history and an assessment; the instant is the assessment's.
struct Planned {
    history: Rc<History>,
    assessment: Rc<Assessment>,
    plan: Rc<Plan>,
}

impl Kept {
    fn past(&mut self, view: ForgeView, fault: Option<Fault>) -> Result<Rc<Past>, Stop> {
        let known = self.past.as_ref().filter(|p| p.tells_as(&view));
        let history = match known {
            Some(past) => Rc::clone(&past.history),
            None => {
                let mut history = fold(&view, ROLLOUTS).map_err(|faults| Stop::Fault(format!("{faults:?}")))?;
                Fault::history(fault, &mut history);
                Rc::new(history)
            }
        };
        let past = Rc::new(Past { view, history });
        self.past = Some(Rc::clone(&past));
        Ok(past)
    }

    fn assessment(&mut self, given: &Given, past: &Rc<Past>, now: Timestamp) -> Rc<Assessment> {
        let is_same = |kept: &&Assessed| {
            let things =
                Arc::ptr_eq(&kept.catalog, &given.catalog) && Arc::ptr_eq(&kept.observation, &given.observation);
            things && kept.now == now && same(&kept.past.history.memory, &past.history.memory)
        };
        if let Some(kept) = self.assessed.as_ref().filter(is_same) {
            return Rc::clone(&kept.assessment);
        }
        let found = assess(&given.catalog, &given.observation, &past.history.memory, now);
        let assessment = Rc::new(found);
        self.assessed = Some(Assessed {
            catalog: Arc::clone(&given.catalog),
            observation: Arc::clone(&given.observation),
            past: Rc::clone(past),
            now,
            assessment: Rc::clone(&assessment),
        });
        assessment
    }
}

impl Given {
    /// With the resources in force.
    ///
    /// # Errors
    /// [`Stop::Fault`] if they have errors.
    pub fn new(
        in_force: InForce,
        observation: Arc<Observation>,
        monitor: Monitor,
        fault: Option<Fault>,
        kept: Rc<RefCell<Kept>>,
    ) -> Result<Self, Stop> {
        let catalog = catalog(Fault::in_force(fault, in_force))
            .as_ref()
            .map_err(|e| Stop::Fault(e.clone()))?;
        Ok(Self {
            catalog: Arc::clone(catalog),
            observation,
            monitor,
            fault,
            kept,
        })
    }
}

/// Everything there is to know at one instant.
pub struct Look {
    given: Given,
    /// What the forge shows, and what has happened.
    pub past: Rc<Past>,
    assessment: Rc<Assessment>,
    plan: Rc<Plan>,
    readings: GateReadings,
}

/// What a finding depends on besides resources and facts.
fn same(a: &Memory, b: &Memory) -> bool {
    (&a.first_run, &a.advisories, &a.assets, &a.exploited, &a.changes)
        == (&b.first_run, &b.advisories, &b.assets, &b.exploited, &b.changes)
}

impl Look {
    /// Looks; nothing is planned.
    ///
    /// # Errors
    /// [`Stop`] if the forge cannot be read, or cannot be believed.
    pub fn new(given: &Given, forge: &dyn Forge, now: Timestamp) -> Result<Self, Stop> {
        let view = forge.view().map_err(|e| Stop::Forge(e.to_string()))?;
        let mut kept = given.kept.borrow_mut();
        let past = kept.past(view, given.fault)?;
        let assessment = kept.assessment(given, &past, now);
        Ok(Self {
            given: given.clone(),
            past,
            assessment,
            plan: Rc::default(),
            readings: GateReadings::new(),
        })
    }

    /// Plans, and asks the independent checker.
    fn planned(mut self, now: Timestamp) -> Result<Self, Stop> {
        let (catalog, observation) = (&self.given.catalog, &self.given.observation);
        let (history, assessment) = (&self.past.history, &self.assessment);
        let mut kept = self.given.kept.borrow_mut();
        let is_same = |p: &&Planned| Rc::ptr_eq(&p.history, history) && Rc::ptr_eq(&p.assessment, assessment);
        if let Some(known) = kept.planned.as_ref().filter(is_same) {
            self.plan = Rc::clone(&known.plan);
            drop(kept);
            return Ok(self);
        }
        let planned = plan_unexplained(catalog, observation, assessment, history, now);
        let faults = lint(&planned, catalog, observation, assessment, history);
        if !faults.is_empty() {
            let faults: String = faults.iter().map(|f| format!("\n  {f}")).collect();
            return Err(Stop::Fault(format!(
                "the independent checker rejects the plan:{faults}"
            )));
        }
        let plan = Rc::new(planned);
        kept.planned = Some(Planned {
            history: Rc::clone(history),
            assessment: Rc::clone(assessment),
            plan: Rc::clone(&plan),
        });
        drop(kept);
        self.plan = plan;
        Ok(self)
    }

    /// Asks the monitor what gates want to know.
    fn asked(mut self, now: Timestamp) -> Self {
        let wanted = self.with_world(|world| gates_wanted(world, now));
        let monitor = match self.given.fault {
            Some(Fault::BelieveGates) => Monitor::Green,
            _ => self.given.monitor,
        };
        self.readings = wanted.into_keys().map(|key| (key, monitor.reading(now))).collect();
        self
    }

    /// Calls `f` with the world as it is seen.
    pub fn with_world<T>(&self, f: impl FnOnce(&World<'_>) -> T) -> T {
        let scene = Scene {
            catalog: &self.given.catalog,
            observation: &self.given.observation,
            assessment: &self.assessment,
            view: &self.past.view,
        };
        let render = |rollout: &Rollout, wave: &Wave| artifacts()?.wave_files(&scene, rollout, wave);
        let digest = |files: &BTreeMap<String, Vec<u8>>, rollout: &str, wave: &str| {
            let found = digest_of_files(ROLLOUTS, files, rollout, wave)?;
            let believed = self.given.fault == Some(Fault::BelieveFiles);
            let progress = self.past.history.open.iter().find(|r| r.name.as_ref() == rollout);
            let progress = progress.and_then(|r| r.waves.iter().find(|w| w.name.as_ref() == wave));
            let known = progress.and_then(|w| w.digest.as_deref()).map(str::to_owned);
            Some(if believed { known.unwrap_or(found) } else { found })
        };
        f(&World {
            catalog: &self.given.catalog,
            observation: &self.given.observation,
            assessment: &self.assessment,
            history: &self.past.history,
            view: &self.past.view,
            readings: &self.readings,
            plan: &self.plan,
            render: &render,
            digest_of_files: &digest,
        })
    }

    /// As people's commands take it.
    pub fn survey(&self) -> Survey {
        Survey {
            view: self.past.view.clone(),
            history: (*self.past.history).clone(),
            assessment: Assessment::default(),
            plan: Plan::default(),
            artifacts: Artifacts::default(),
            readings: GateReadings::new(),
        }
    }
}

const TARGET: &str = r#"formatVersion: "1.0"
name: ansible
description: As the built-in one, of one file.
ecosystems: [rpm, deb]
capabilities:
  control: push
  pins: true
  deadline: false
  notBefore: true
  stopInFlight: false
  lateClients: skip
  reboot: controlled
  rollback: [exact, snapshot]
files:
  - {path: ansible/batch.yml, copy: batch.yml, escape: none}
"#;

/// The render targets, read once.
fn artifacts() -> Result<&'static Artifacts, Vec<String>> {
    static READ: OnceLock<Result<Artifacts, Vec<String>>> = OnceLock::new();
    // A wave's digest covers what its batches hold beside its files, and every file alike: a target of one small file has
    // all that decisions look at, and its trees are a tenth as large.
    let files = [("ansible/target.yaml", TARGET), ("ansible/batch.yml", "what is run\n")];
    let files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .collect();
    let read = READ.get_or_init(|| match Packs::read(&files) {
        Ok(packs) => Ok(Artifacts { packs }),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
    });
    read.as_ref().map_err(Clone::clone)
}

/// A run that is not done after so many steps is stuck.
const STEPS_MAX: usize = 200;

/// One run. Returns what it did, one line each.
///
/// # Errors
/// [`Stop`] if it could not come to its end.
pub fn reconcile(given: &Given, forge: &dyn Forge, now: Timestamp) -> Result<Vec<String>, Stop> {
    let (mut done, mut refused_before) = (Vec::new(), None);
    for _ in 0..STEPS_MAX {
        let look = Look::new(given, forge, now)?.planned(now)?.asked(now);
        let mut decision = look.with_world(|world| decide(world, now));
        Fault::decision(given.fault, &mut decision, &look.past.history, now);
        let before = done.len();
        let refused = act(forge, &look.past.view, &decision.actions, now, &mut done)?;
        if done.len() == before && (refused.is_empty() || refused_before.as_ref() == Some(&refused)) {
            return write_always(given, forge, done, now);
        }
        refused_before = Some(refused);
    }
    Err(Stop::Fault(format!(
        "no rest after {STEPS_MAX} steps; the last: {:?}",
        done.last()
    )))
}

/// Does what was decided; says what the forge declined.
fn act(
    forge: &dyn Forge,
    view: &ForgeView,
    actions: &[Action],
    now: Timestamp,
    done: &mut Vec<String>,
) -> Result<Vec<String>, Stop> {
    let mut refused = Vec::new();
    for action in actions {
        match action {
            Action::Record(events) => {
                record(forge, view, events, ENGINE, now).map_err(|e| Stop::Forge(e.to_string()))?;
                done.extend(events.iter().map(|(file, event)| format!("{file}: {event:?}")));
                break;
            }
            Action::Forge(op) => match forge.apply(op, now).map_err(|e| Stop::Forge(e.to_string()))? {
                Applied::Done { number, .. } => done.push(format!("{} {number:?}", word(op))),
                Applied::Unchanged => {}
                Applied::Refused(why) => refused.push(why.to_string()),
            },
        }
    }
    Ok(refused)
}

fn word(op: &ForgeOp) -> String {
    match op {
        ForgeOp::PutBranch { branch, .. } => format!("wrote {branch}"),
        ForgeOp::PutPullRequest { branch, .. } => format!("asked for {branch}"),
        ForgeOp::PutComment { number, .. } => format!("commented on {number}"),
        ForgeOp::ClosePullRequest { number, reason } => format!("closed {number}: {reason}"),
        ForgeOp::MergePullRequest { number, .. } => format!("merged {number}"),
        ForgeOp::PutDashboard { .. } => "wrote the dashboard".to_owned(),
        ForgeOp::PutStatus { .. } => "set a status".to_owned(),
    }
}

fn write_always(given: &Given, forge: &dyn Forge, mut done: Vec<String>, now: Timestamp) -> Result<Vec<String>, Stop> {
    if given.fault == Some(Fault::WriteAlways) {
        let body = format!("after {} writes", forge.writes());
        forge
            .apply(&ForgeOp::PutDashboard { body }, now)
            .map_err(|e| Stop::Forge(e.to_string()))?;
        done.push("wrote the dashboard".to_owned());
    }
    Ok(done)
}

impl Look {
    /// Whether something of a rollout waits to be resumed.
    pub fn stopped(&self, rollout: &OpenRollout) -> bool {
        let stopped = |s: WaveState| matches!(s, WaveState::Halted | WaveState::Failed);
        rollout.halted.is_some() || rollout.waves.iter().any(|w| stopped(w.state))
    }
}
