//! The render targets there are, and the files and digest of a wave's pull request.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use patchwave_adapters::files::read_source;
use patchwave_core::assess::Assessment;
use patchwave_core::history::branch_rollout;
use patchwave_core::load::Catalog;
use patchwave_core::observe::Observation;
use patchwave_core::plan::{BatchTimes, Rollout, Wave, openings_of};
use patchwave_core::propose::{ForgeView, PullRequestState, WaveFiles};
use patchwave_core::render::wire::{BatchOpening, BatchOpenings, FrozenRollout, read_plan_json};
use patchwave_core::render::{
    Bundle, PackFault, Packs, RenderInput, Trial, hostile_texts, openings_until, render, trial, wave_digest,
};
use patchwave_core::time::Opening;

use crate::RunError;
use crate::repository::Repository;

/// Render targets and hooks: the built-in ones, and the user's folders, which win.
#[derive(Debug, Default)]
pub struct Artifacts {
    /// Parsed packs.
    pub packs: Packs,
}

/// Endings of the files a render target is made of.
pub const TEMPLATE_ENDINGS: &[&str] = &[".yaml", ".yml", ".hbs", ".ps1", ".psd1", ".json", ".sh", ".py"];

/// A template file is small; a larger one is a mistake.
const TEMPLATE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads the render targets of a repository.
///
/// # Errors
/// [`RunError`] with every file that cannot be read and every pack that cannot be parsed.
pub fn artifacts(repository: &Repository) -> Result<Artifacts, RunError> {
    let folder = &repository.catalog.project.paths.templates;
    let own = match repository.root.join(folder).is_dir() {
        true => template_files(&repository.root, folder)?,
        false => BTreeMap::new(),
    };
    let packs = Packs::read(&own).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        RunError::new(
            format!("render targets cannot be used:\n  {}", lines.join("\n  ")),
            "correct the files named",
        )
    })?;
    Ok(Artifacts { packs })
}

/// The texts of a templates folder, by path relative to it.
fn template_files(root: &Path, folder: &str) -> Result<BTreeMap<String, String>, RunError> {
    let found = read_source(root, folder, TEMPLATE_ENDINGS, TEMPLATE_BYTES_MAX)
        .map_err(|e| RunError::new(e.to_string(), "templates must be small readable text files"))?;
    let files = found.files.into_iter().map(|file| {
        let path = file.path.strip_prefix(folder).unwrap_or(&file.path);
        (
            path.trim_start_matches('/').to_owned(),
            String::from_utf8_lossy(&file.bytes).into_owned(),
        )
    });
    Ok(files.collect())
}

/// One render target, by its folder: read, rendered on a small rollout, and tried with hostile texts.
///
/// # Errors
/// [`RunError`] if the folder cannot be read.
pub fn check_target(folder: &Path) -> Result<Trial, RunError> {
    let named = folder.file_name().and_then(|name| name.to_str());
    let (Some(name), Some(parent)) = (named, folder.parent()) else {
        let message = format!("`{}` is no folder of a render target", folder.display());
        return Err(RunError::new(
            message,
            "give the folder that holds target.yaml: templates/<name>",
        ));
    };
    let mut files = BTreeMap::new();
    for (of, required) in [(name, true), ("common", false), ("hooks", false)] {
        if required || parent.join(of).is_dir() {
            let own = template_files(parent, of)?;
            files.extend(own.into_iter().map(|(path, text)| (format!("{of}/{path}"), text)));
        }
    }
    let broken = |faults| Trial {
        faults,
        ..Trial::default()
    };
    match Packs::read(&files) {
        Err(faults) => Ok(broken(faults)),
        Ok(packs) => Ok(packs.targets.get(name).map_or_else(
            || {
                broken(vec![PackFault {
                    file: format!("{name}/target.yaml"),
                    message: "missing: a target is a folder with a target.yaml".to_owned(),
                }])
            },
            |pack| trial(pack, &packs.hooks, &hostile_texts(), &|_, _| None),
        )),
    }
}

impl Artifacts {
    /// The files of one wave's pull request, by path relative to the repository root, and the wave's digest.
    ///
    /// # Errors
    /// Every value that cannot be rendered, with where it came from.
    pub fn wave_files(&self, world: &Scene<'_>, rollout: &Rollout, wave: &Wave) -> Result<WaveFiles, Vec<String>> {
        let names = [Arc::clone(&wave.name)];
        let bundle = self.bundle(world, rollout, &names)?;
        let digest = bundle.digests.get(wave.name.as_ref()).cloned().unwrap_or_default();
        let prefix = world.folder(&rollout.name);
        // What earlier waves merged stays as it is: the branch replaces the rollout's folder as a whole.
        let mut files: BTreeMap<String, Vec<u8>> = world
            .view
            .merged_files
            .iter()
            .filter(|(path, _)| path.starts_with(&format!("{prefix}waves/")))
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect();
        files.extend(
            bundle
                .files
                .into_iter()
                .map(|(path, bytes)| (format!("{prefix}{path}"), bytes)),
        );
        Ok(WaveFiles { files, digest })
    }

    /// The files of every wave of a rollout, by path relative to the repository root.
    ///
    /// # Errors
    /// As [`Artifacts::wave_files`].
    pub fn rollout_files(
        &self,
        world: &Scene<'_>,
        rollout: &Rollout,
    ) -> Result<BTreeMap<String, Vec<u8>>, Vec<String>> {
        let names: Vec<Arc<str>> = rollout.waves.iter().map(|w| Arc::clone(&w.name)).collect();
        let prefix = world.folder(&rollout.name);
        let bundle = self.bundle(world, rollout, &names)?;
        Ok(bundle
            .files
            .into_iter()
            .map(|(path, bytes)| (format!("{prefix}{path}"), bytes))
            .collect())
    }

    fn bundle(&self, world: &Scene<'_>, rollout: &Rollout, waves: &[Arc<str>]) -> Result<Bundle, Vec<String>> {
        let prefix = world.folder(&rollout.name);
        let carried: BTreeMap<String, Vec<u8>> = world
            .view
            .merged_files
            .iter()
            .filter_map(|(path, bytes)| Some((path.strip_prefix(&prefix)?.to_owned(), bytes.clone())))
            .collect();
        let frozen = world.frozen(&rollout.name);
        let until = |wave: &str| {
            let held = frozen
                .as_ref()
                .and_then(|f| f.waves.iter().find(|w| w.name == wave))
                .map(|w| w.deadline);
            let planned = rollout
                .waves
                .iter()
                .find(|w| w.name.as_ref() == wave)
                .and_then(|w| w.deadline);
            openings_until(rollout.cut, held.unwrap_or(planned))
        };
        let times = openings_of(
            world.catalog,
            world.observation,
            world.assessment,
            rollout,
            waves,
            until,
        );
        let openings = times
            .into_iter()
            .map(|(key, times)| (key, batch_openings(times)))
            .collect();
        let input = RenderInput {
            rollout,
            waves,
            catalog: world.catalog,
            observation: world.observation,
            packs: &self.packs,
            openings: &openings,
            frozen: frozen.as_ref(),
            carried: &carried,
        };
        render(&input).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }
}

fn batch_openings(times: BatchTimes) -> BatchOpenings {
    let cutoff = jiff::SignedDuration::from_secs(times.cutoff_seconds);
    let late = |opening: &Opening| opening.end.map(|end| end.checked_sub(cutoff).unwrap_or(end));
    BatchOpenings {
        window: String::new(),
        stop_at_end: times.stop_at_end,
        openings: times
            .openings
            .into_iter()
            .map(|opening| BatchOpening {
                start_before: late(&opening),
                opening,
            })
            .collect(),
    }
}

/// What artifacts are made from.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Resources.
    pub catalog: &'a Catalog,
    /// Facts.
    pub observation: &'a Observation,
    /// Findings.
    pub assessment: &'a Assessment,
    /// What the forge shows.
    pub view: &'a ForgeView,
}

impl Scene<'_> {
    /// The rollout's folder relative to the repository root, with a slash at its end.
    fn folder(&self, rollout: &str) -> String {
        format!("{}/{rollout}/", self.catalog.project.paths.rollouts)
    }

    /// `plan.json` as merged or, before any merge, as proposed.
    fn frozen(&self, rollout: &str) -> Option<FrozenRollout> {
        let path = format!("{}plan.json", self.folder(rollout));
        let unmerged = self
            .view
            .pull_requests
            .iter()
            .filter(|p| p.state != PullRequestState::Merged);
        let own = unmerged.filter(|p| branch_rollout(&p.branch) == Some(rollout));
        let proposed = own.max_by_key(|p| p.number).and_then(|p| p.files.get(&path));
        let bytes = self.view.merged_files.get(&path).or(proposed)?;
        read_plan_json(bytes).ok()
    }
}

/// The wave digest of merged files; none when the rollout's `plan.json` is missing or unreadable.
pub fn digest_of_files(
    rollouts_folder: &str,
    files: &BTreeMap<String, Vec<u8>>,
    rollout: &str,
    wave: &str,
) -> Option<String> {
    let prefix = format!("{rollouts_folder}/{rollout}/");
    let own: BTreeMap<String, Vec<u8>> = files
        .iter()
        .filter_map(|(path, bytes)| Some((path.strip_prefix(&prefix)?.to_owned(), bytes.clone())))
        .collect();
    let frozen = read_plan_json(own.get("plan.json")?).ok()?;
    wave_digest(&frozen, wave, &own)
}
