//! A small estate played in process: the resources of `tests/scenarios/estate`, machines in a temporary folder, and a
//! forge in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use patchwave_adapters::forge::{FakeForge, Forge, ForgeError, People};
use patchwave_core::history::{AuditReport, audit};
use patchwave_core::propose::{ForgeView, PullRequestState};
use patchwave_runner::RunError;
use patchwave_runner::artifacts::digest_of_files;
use patchwave_runner::reconcile::{Extent, Network, Run, reconcile};
use patchwave_runner::repository::{Repository, open};
use patchwave_runner::sources::{Observed, observe};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::World;

/// The rollouts folder of the estate.
pub const ROLLOUTS: &str = "rollouts";

/// Folder of the estate's resources.
fn resources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/estate")
}

/// The estate, its machines, and its forge.
pub struct Estate {
    folder: TempDir,
    repository: Repository,
    /// The forge.
    pub forge: FakeForge,
}

impl Estate {
    /// The estate as it is on Friday noon.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, whose first wave has a gate that asks a Prometheus of saved answers.
    pub fn gated() -> Self {
        Self::with(|folder| {
            let strategies = folder.join("fleets/strategies.yaml");
            let text = std::fs::read_to_string(&strategies).unwrap();
            let gate = "{promql: up, source: monitor, match: {label: host, to: asset.name}, is: \"== 1\", for: 30m}";
            let edited = text.replacen("soak: 12h\n", &format!("soak: 12h\n      gates: [{gate}]\n"), 1);
            assert_ne!(edited, text);
            std::fs::write(strategies, edited).unwrap();
            let source = "apiVersion: patchwave.dev/v1\nkind: Source\nmetadata: {name: monitor}\n\
                          spec: {kind: monitor, type: prometheus, path: up.json}\n";
            std::fs::write(folder.join("fleets/monitor.yaml"), source).unwrap();
        })
    }

    fn with(edit: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&resources(), folder.path());
        edit(folder.path());
        let now = at("2026-11-20T12:00:00Z");
        let repository = open(folder.path(), now);
        assert!(!repository.diagnostics.has_errors());
        let forge = FakeForge::new(ROLLOUTS);
        forge.take_in(now).unwrap();
        Self {
            folder,
            repository,
            forge,
        }
    }

    /// What the monitor answers: the value of each machine at an instant; none = it is down.
    pub fn monitor_shows(&self, answer: Option<(Timestamp, &[(&str, &str)])>) {
        let place = self.folder.path().join("up.json");
        let Some((at, values)) = answer else {
            let _ = std::fs::remove_file(place);
            return;
        };
        let result: Vec<Value> = values
            .iter()
            .map(|(host, value)| json!({"metric": {"host": host}, "value": [at.as_second(), value]}))
            .collect();
        let answer = json!({"status": "success", "data": {"resultType": "vector", "result": result}});
        std::fs::write(place, answer.to_string()).unwrap();
    }

    /// The machines.
    pub fn world(&self) -> World {
        World::new(&self.folder.path().join("fleets/observed"))
    }

    /// One run on the estate's own forge.
    pub fn reconcile(&self, now: Timestamp) -> Result<Run, RunError> {
        self.reconcile_on(&self.forge, now)
    }

    /// One run on another view of the forge.
    pub fn reconcile_on(&self, forge: &dyn Forge, now: Timestamp) -> Result<Run, RunError> {
        reconcile(
            &self.repository,
            &observe(&self.repository, now),
            forge,
            Extent::Everything,
            Network::None,
            now,
        )
    }

    /// The resources.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What the machines show.
    pub fn observed(&self, now: Timestamp) -> Observed {
        observe(&self.repository, now)
    }

    /// What the forge shows.
    pub fn view(&self) -> ForgeView {
        self.forge.view().unwrap()
    }

    /// Merges every open pull request, with the approvals of so many people.
    pub fn merge_all(&self, approvals: usize, now: Timestamp) -> Result<(), ForgeError> {
        for pull in self
            .view()
            .pull_requests
            .iter()
            .filter(|p| p.state == PullRequestState::Open)
        {
            for person in 1..=approvals {
                self.forge.approve(pull.number, &format!("person-{person}"), now)?;
            }
            self.forge.merge(pull.number, "person-0", None, now)?;
        }
        Ok(())
    }

    /// The merged `plan.json` of the first rollout, if there is one.
    pub fn plan(&self) -> Option<Value> {
        let view = self.view();
        let found = view.merged_files.iter().find(|(path, _)| path.ends_with("/plan.json"));
        found.map(|(_, bytes)| serde_json::from_slice(bytes).unwrap())
    }
}

/// The audit of what the forge shows.
pub fn audited(view: &ForgeView) -> AuditReport {
    anchored(view, &BTreeMap::new())
}

/// The same against heads that were kept outside.
pub fn anchored(view: &ForgeView, anchors: &BTreeMap<String, String>) -> AuditReport {
    let digest =
        |files: &BTreeMap<String, Vec<u8>>, rollout: &str, wave: &str| digest_of_files(ROLLOUTS, files, rollout, wave);
    audit(view, ROLLOUTS, &digest, anchors)
}

/// An instant.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}
