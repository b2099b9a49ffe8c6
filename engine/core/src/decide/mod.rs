//! What one step of a reconcile does: a pure function of the world and now.
//!
//! A run repeats decide → execute until no action is left. Each step looks at what is there (forge, ledger, fresh
//! observations) and never at what an earlier step meant to do: a crash between any two effects leaves a world whose
//! next step is the missing one. Steps come in a fixed order; a step that acts ends the round, so that the next round
//! sees its effect.

mod approve;
mod dashboard;
mod gates;
mod memory;
#[cfg(test)]
mod memory_tests;
mod moves;
mod proposals;
mod release;
mod rollback;
mod statuses;
mod watch;

pub use approve::{approvals_of, approvals_text, past_the_rules};
pub use gates::{RED_PATIENCE, gates_wanted};
pub use release::{Permit, PermitRefusal, may_run};
pub use rollback::may_go_back;

use std::sync::Arc;

use jiff::Timestamp;

use crate::assess::Assessment;
use crate::history::{Event, History};
use crate::load::Catalog;
use crate::observe::Observation;
use crate::plan::{Plan, Rollout, Wave};
use crate::propose::{ForgeOp, ForgeView, WaveFiles};
use crate::verify::GateReadings;

/// The engine's name as an actor, author and committer.
pub const ENGINE: &str = "patchwave";

/// Renders the files of one wave; the faults say what is wrong and where it came from.
pub type RenderWave<'a> = dyn Fn(&Rollout, &Wave) -> Result<WaveFiles, Vec<String>> + 'a;

/// Recomputes the wave digest of a rollout and wave (by name) from repository files; none when they are incomplete.
pub type DigestOfFiles<'a> = crate::history::DigestOf<'a>;

/// Everything a decision may depend on.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Resources.
    pub catalog: &'a Catalog,
    /// Facts.
    pub observation: &'a Observation,
    /// Findings.
    pub assessment: &'a Assessment,
    /// What has happened.
    pub history: &'a History,
    /// What the forge shows.
    pub view: &'a ForgeView,
    /// What monitors said of the gates that [`gates_wanted`] wants; a gate that was not asked lets nothing through.
    pub readings: &'a GateReadings,
    /// What is to be done.
    pub plan: &'a Plan,
    /// Renders a wave.
    pub render: &'a RenderWave<'a>,
    /// Recomputes a wave digest.
    pub digest_of_files: &'a DigestOfFiles<'a>,
}

/// One effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// An operation on the forge.
    Forge(ForgeOp),
    /// Facts to append to ledger files, in this order, in one commit.
    Record(Vec<(String, Event)>),
}

/// What a step wants done, and what it has to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Effects; empty = nothing is left to do.
    pub actions: Vec<Action>,
    /// What holds things back, by rollout, policy or asset: who waits for what, and why. Sorted, unique.
    pub remarks: Vec<Remark>,
}

/// Something to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Rollout, policy or asset.
    pub subject: Arc<str>,
    /// What, and why.
    pub message: String,
}

impl Decision {
    fn say(&mut self, subject: &Arc<str>, message: impl Into<String>) {
        self.remarks.push(Remark {
            subject: Arc::clone(subject),
            message: message.into(),
        });
    }

    fn record(&mut self, file: String, event: Event) {
        if let Some(Action::Record(events)) = self.actions.last_mut() {
            events.push((file, event));
        } else {
            self.actions.push(Action::Record(vec![(file, event)]));
        }
    }
}

/// One step.
pub fn decide(world: &World<'_>, now: Timestamp) -> Decision {
    decide_within(world, now, &|_| true)
}

/// One step of a part of the loop: only effects that `allowed` lets through count as acting.
pub fn decide_within(world: &World<'_>, now: Timestamp, allowed: &dyn Fn(&Action) -> bool) -> Decision {
    let mut decision = Decision::default();
    let steps: [fn(&World<'_>, Timestamp, &mut Decision); 9] = [
        memory::remember,
        moves::follow_forge,
        watch::watch,
        rollback::roll_back,
        release::release,
        proposals::propose,
        memory::remember_cuts,
        statuses::statuses,
        dashboard::dashboard,
    ];
    // Remarks of every step are wanted, effects only of the first step that has any.
    for step in steps {
        let mut here = Decision::default();
        step(world, now, &mut here);
        decision.remarks.append(&mut here.remarks);
        if decision.actions.is_empty() {
            decision.actions = here.actions.into_iter().filter(|a| allowed(a)).collect();
        }
    }
    decision.remarks.sort();
    decision.remarks.dedup();
    decision
}
