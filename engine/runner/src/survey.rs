//! Looking at everything: the forge and its ledger, what is observed, what is found, what is planned.

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_adapters::forge::Forge;
use patchwave_core::assess::{Assessment, assess};
use patchwave_core::decide::{Decision, World};
use patchwave_core::history::{History, Memory, fold};
use patchwave_core::plan::{Plan, Rollout, Wave, lint, plan};
use patchwave_core::propose::ForgeView;
use patchwave_core::verify::GateReadings;

use crate::RunError;
use crate::artifacts::{Artifacts, Scene, artifacts, digest_of_files};
use crate::repository::Repository;
use crate::sources::Observed;

/// Everything there is to know at one instant.
#[derive(Debug)]
pub struct Survey {
    /// What the forge shows; empty when there is no forge yet.
    pub view: ForgeView,
    /// What has happened.
    pub history: History,
    /// Findings.
    pub assessment: Assessment,
    /// What is to be done.
    pub plan: Plan,
    /// The render targets.
    pub artifacts: Artifacts,
    /// What monitors said of gates; empty unless somebody asked them.
    pub readings: GateReadings,
}

/// Looks at everything. `before` is an earlier look of the same run, of which what cannot have changed is kept.
///
/// # Errors
/// [`RunError`] if the forge or the ledger cannot be believed, or the independent checker rejects the plan.
pub fn survey(
    repository: &Repository,
    observed: &Observed,
    forge: Option<&dyn Forge>,
    before: Option<Survey>,
    now: Timestamp,
) -> Result<Survey, RunError> {
    let catalog = &repository.catalog;
    let (view, history) = look(repository, forge)?;
    let (assessment, artifacts) = match before {
        Some(before) if same_for_assessment(&before.history.memory, &history.memory) => {
            (before.assessment, before.artifacts)
        }
        Some(before) => (
            assess(catalog, &observed.observation, &history.memory, now),
            before.artifacts,
        ),
        None => (
            assess(catalog, &observed.observation, &history.memory, now),
            artifacts(repository)?,
        ),
    };
    let plan = plan(catalog, &observed.observation, &assessment, &history, now);
    let faults = lint(&plan, catalog, &observed.observation, &assessment, &history);
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(|f| f.to_string()).collect();
        return Err(RunError::new(
            format!("the independent checker rejects the plan:\n  {}", lines.join("\n  ")),
            "nothing was proposed or released; this is a fault of patchwave, please report it with your repository",
        ));
    }
    Ok(Survey {
        view,
        history,
        assessment,
        plan,
        artifacts,
        readings: GateReadings::new(),
    })
}

/// What the forge shows, and what has happened so far.
fn look(repository: &Repository, forge: Option<&dyn Forge>) -> Result<(ForgeView, History), RunError> {
    let view = forge.map(Forge::view).transpose()?.unwrap_or_default();
    let history = past(&view, &repository.catalog.project.paths.rollouts)?;
    Ok((view, history))
}

/// What has happened so far, by a look at the forge.
pub(crate) fn past(view: &ForgeView, rollouts_folder: &str) -> Result<History, RunError> {
    fold(view, rollouts_folder).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|f| format!("{}: {}", f.file, f.message)).collect();
        RunError::new(
            format!(
                "the forge or its ledger cannot be believed, so nothing is decided:\n  {}",
                lines.join("\n  ")
            ),
            "`patchwave audit verify` names every broken line; restore the ledger branch from a clone that has it",
        )
    })
}

/// As [`survey`], but nothing is planned: the plan is empty, so a plan that cannot be made does not hide what is found.
///
/// # Errors
/// [`RunError`] if the forge or the ledger cannot be believed.
pub fn findings(
    repository: &Repository,
    observed: &Observed,
    forge: Option<&dyn Forge>,
    now: Timestamp,
) -> Result<Survey, RunError> {
    let (view, history) = look(repository, forge)?;
    let assessment = assess(&repository.catalog, &observed.observation, &history.memory, now);
    let plan = Plan { now, ..Plan::default() };
    Ok(Survey {
        view,
        history,
        assessment,
        plan,
        artifacts: Artifacts::default(),
        readings: GateReadings::new(),
    })
}

/// Cuts do not change what is found.
fn same_for_assessment(a: &Memory, b: &Memory) -> bool {
    (&a.first_run, &a.advisories, &a.assets, &a.exploited, &a.changes)
        == (&b.first_run, &b.advisories, &b.assets, &b.exploited, &b.changes)
}

impl Survey {
    /// Decides on this survey.
    ///
    /// # Errors
    /// Never at present; the signature leaves room for artifacts that cannot be read.
    pub fn decide(
        &self,
        repository: &Repository,
        observed: &Observed,
        now: Timestamp,
        decide: impl Fn(&World<'_>, Timestamp) -> Decision,
    ) -> Result<Decision, RunError> {
        Ok(self.with_world(repository, observed, |world| decide(world, now)))
    }

    /// What artifacts are made from.
    pub fn scene<'a>(&'a self, repository: &'a Repository, observed: &'a Observed) -> Scene<'a> {
        Scene {
            catalog: &repository.catalog,
            observation: &observed.observation,
            assessment: &self.assessment,
            view: &self.view,
        }
    }

    /// Calls `f` with the world this survey shows.
    pub fn with_world<T>(&self, repository: &Repository, observed: &Observed, f: impl FnOnce(&World<'_>) -> T) -> T {
        let scene = self.scene(repository, observed);
        let folder = &repository.catalog.project.paths.rollouts;
        let render = |rollout: &Rollout, wave: &Wave| self.artifacts.wave_files(&scene, rollout, wave);
        let digest = |files: &BTreeMap<String, Vec<u8>>, rollout: &str, wave: &str| {
            digest_of_files(folder, files, rollout, wave)
        };
        f(&World {
            catalog: &repository.catalog,
            observation: &observed.observation,
            assessment: &self.assessment,
            history: &self.history,
            view: &self.view,
            readings: &self.readings,
            plan: &self.plan,
            render: &render,
            digest_of_files: &digest,
        })
    }
}
