//! The artifacts of a rollout: what the organisation's own tools execute, and what people read before they agree.
//!
//! Pure: same input, same bytes; `now` is not an input \[Frozen\]. A render target is data (see [`Packs`]), and every value
//! passes the [`Grammar`] of its type before it reaches a template \[Hostile\].
//!
//! ```text
//! rollouts/<name>/rollout.yaml patchset.yaml plan.json SHA256SUMS
//! rollouts/<name>/waves/<nn>-<wave>/{<target>/…, rollback/<target>/…, RUNBOOK.md, change.md, openings.json}
//! ```

mod asset;
mod change;
mod digest;
mod faults;
mod freeze;
mod grammar;
mod helpers;
mod openings;
mod pack;
mod pages;
mod pull;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

pub use crate::history::wire;
pub use crate::history::wire::OPENINGS_FILE;
pub use crate::load::wire::{
    Capabilities, Delivery, Escape, FileSpec, HookReach, LateClients, Per, RebootControl, TargetSpec, Way,
};
pub use crate::plan::patchset_digest;
pub use asset::{
    AssetView, CheckView, ComponentView, ContentView, GpuView, HaView, HookView, ImageView, NodeView, OsView,
    PackageView, SharedContent, UpdateView, WorkloadView,
};
pub use digest::{SUMS_FILE, sums, wave_digest};
pub use faults::RenderFault;
pub use grammar::{Grammar, shown};
pub use openings::{PAST_DEADLINE_DAYS, WITHOUT_DEADLINE_DAYS, openings_until};
pub use pack::{DOCUMENTS, Pack, PackFault, Packs, read_pack};
pub use trial::{HOSTILE_TEXTS, Shape, Trial, hostile_texts, trial};

use crate::history::wire::{
    BatchOpenings, FORMAT_VERSION, FrozenRollout, FrozenWave, OpeningsFile, PatchsetFile, RolloutFile,
};
use crate::load::Catalog;
use crate::observe::Observation;
use crate::plan::Rollout;
use crate::time::Weekly;
use faults::Faults;

/// Everything rendering depends on.
#[derive(Clone, Copy, Debug)]
pub struct RenderInput<'a> {
    /// The rollout.
    pub rollout: &'a Rollout,
    /// Names of the waves whose folders are made; those of one pull request. `plan.json` always holds every wave.
    pub waves: &'a [Arc<str>],
    /// The authored resources.
    pub catalog: &'a Catalog,
    /// The estate: hosts, services' members.
    pub observation: &'a Observation,
    /// Render targets and hooks.
    pub packs: &'a Packs,
    /// When each batch may start, by wave and batch id (see [`crate::plan::openings_of`], [`openings_until`]).
    pub openings: &'a BTreeMap<(Arc<str>, Arc<str>), BatchOpenings>,
    /// `plan.json` as first proposed, for an open rollout: what held at the cut stays.
    pub frozen: Option<&'a FrozenRollout>,
    /// Files of the rollout already on the base branch, by path relative to its folder. Those of waves not rendered now
    /// stay as they are and are listed in `SHA256SUMS`.
    pub carried: &'a BTreeMap<String, Vec<u8>>,
}

/// Files by path relative to the rollout's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Path → content.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Wave → digest, of the waves rendered.
    pub digests: BTreeMap<String, String>,
}

/// Renders the files of a rollout that one pull request carries.
///
/// # Errors
/// Every reason at once, sorted; nothing is rendered then.
pub fn render(input: &RenderInput<'_>) -> Result<Bundle, Vec<RenderFault>> {
    let mut faults = Faults::default();
    let frozen = freeze::freeze(input, &mut faults);
    let views = wave_views(input, &frozen, &mut faults);
    faults.done()?;
    let mut faults = Faults::default();
    let mut files = rollout_files(&frozen, &mut faults);
    for (wave, view) in &views {
        let mut own = pages::wave_files(input, &frozen, wave, view, &mut faults);
        own.insert(
            OPENINGS_FILE.into(),
            json_file(&openings_file(input, &frozen, wave), &mut faults),
        );
        files.extend(
            own.into_iter()
                .map(|(path, bytes)| (format!("{}/{path}", wave.folder()), bytes)),
        );
    }
    faults.done()?;
    let digests = views
        .iter()
        .filter_map(|(wave, _)| Some((wave.name.clone(), wave_digest(&frozen, &wave.name, &files)?)))
        .collect();
    let listed = sums(files.iter().chain(carried(input, &views)));
    files.insert(SUMS_FILE.into(), listed.into_bytes());
    Ok(Bundle { files, digests })
}

/// Files of waves that are not rendered now.
fn carried<'a>(
    input: &RenderInput<'a>,
    views: &[(&FrozenWave, WaveView)],
) -> impl Iterator<Item = (&'a String, &'a Vec<u8>)> {
    let rendered: Vec<String> = views.iter().map(|(wave, _)| format!("{}/", wave.folder())).collect();
    input
        .carried
        .iter()
        .filter(move |(path, _)| path.starts_with("waves/") && !rendered.iter().any(|folder| path.starts_with(folder)))
}

fn rollout_files(frozen: &FrozenRollout, faults: &mut Faults) -> BTreeMap<String, Vec<u8>> {
    let rollout = RolloutFile {
        format_version: FORMAT_VERSION.into(),
        rollout: frozen.rollout.clone(),
        patchset: frozen.patchset.digest.clone(),
        waves: frozen.waves.iter().map(|w| w.name.clone()).collect(),
    };
    let patchset = PatchsetFile {
        format_version: FORMAT_VERSION.into(),
        patchset: frozen.patchset.clone(),
    };
    BTreeMap::from([
        ("rollout.yaml".to_owned(), yaml_file(&rollout, faults)),
        ("patchset.yaml".to_owned(), yaml_file(&patchset, faults)),
        ("plan.json".to_owned(), json_file(frozen, faults)),
    ])
}

/// Pretty JSON with a final newline: reviewable line by line.
fn json_file<T: Serialize>(value: &T, faults: &mut Faults) -> Vec<u8> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => (text + "\n").into_bytes(),
        Err(error) => {
            faults.push("render", format!("cannot be written as JSON: {error}"), None);
            Vec::new()
        }
    }
}

fn yaml_file<T: Serialize>(value: &T, faults: &mut Faults) -> Vec<u8> {
    match crate::history::wire::to_yaml(value) {
        Ok(text) => text.into_bytes(),
        Err(error) => {
            faults.push("render", format!("cannot be written as YAML: {error}"), None);
            Vec::new()
        }
    }
}

fn openings_file(input: &RenderInput<'_>, frozen: &FrozenRollout, wave: &FrozenWave) -> OpeningsFile {
    let batches = wave.batches.iter().map(|batch| {
        let key = (Arc::from(wave.name.as_str()), Arc::from(batch.id.as_str()));
        // A batch without openings never starts; that is the safe reading of not knowing.
        let openings = input.openings.get(&key).cloned().unwrap_or_default();
        (
            batch.id.clone(),
            BatchOpenings {
                window: batch.window.clone(),
                ..openings
            },
        )
    });
    OpeningsFile {
        format_version: FORMAT_VERSION.into(),
        rollout: frozen.rollout.name.clone(),
        wave: wave.name.clone(),
        from: frozen.rollout.cut,
        until: openings_until(frozen.rollout.cut, wave.deadline),
        batches: batches.collect(),
    }
}

/// The assets and hooks of the batches of a wave, as templates see them.
#[derive(Clone, Debug)]
struct WaveView {
    batches: Vec<BatchView>,
}

#[derive(Clone, Debug)]
struct BatchView {
    id: String,
    window: String,
    /// The window as tools that know weekdays only can say it, or why they cannot.
    weekly: Result<Weekly, String>,
    /// The label or group under which pull tools know the batch.
    group: String,
    assets: BTreeMap<String, Vec<AssetView>>,
    before: Vec<HookView>,
    after: Vec<HookView>,
}

fn wave_views<'f>(
    input: &RenderInput<'_>,
    frozen: &'f FrozenRollout,
    faults: &mut Faults,
) -> Vec<(&'f FrozenWave, WaveView)> {
    let known = asset::Known::new(input);
    let mut views = Vec::new();
    for name in input.waves {
        let wave = frozen.waves.iter().find(|w| w.name == **name);
        let planned = input.rollout.waves.iter().find(|w| w.name == *name);
        let (Some(wave), Some(planned)) = (wave, planned) else {
            faults.push(format!("wave {name}"), "the rollout has no such wave; plan again", None);
            continue;
        };
        let batches = planned.batches.iter().map(|batch| {
            let mut assets = Vec::new();
            for planned in &batch.assets {
                for part in planned.by_tool(&input.rollout.targets) {
                    known_target(input, &part.target, &part.name, faults);
                    if let Some(view) = asset::asset_view(input, &known, &part, faults) {
                        assets.push((part.target.to_string(), view));
                    }
                }
            }
            let classes: std::collections::BTreeSet<&str> = batch.assets.iter().map(|a| a.class.as_ref()).collect();
            BatchView {
                id: batch.id.to_string(),
                window: batch.window.name.to_string(),
                weekly: pull::weekly_of(input.catalog, &batch.window.name),
                group: pull::group(&input.rollout.name, &wave.name, &batch.id),
                assets: asset::by_target(assets),
                before: asset::batch_hooks(input, classes.iter().copied(), |c| &c.hooks.before_batch, faults),
                after: asset::batch_hooks(input, classes.iter().copied(), |c| &c.hooks.after_batch, faults),
            }
        });
        let batches = batches.collect();
        views.push((wave, WaveView { batches }));
    }
    views
}

fn known_target(input: &RenderInput<'_>, target: &str, asset: &str, faults: &mut Faults) {
    if !input.packs.targets.contains_key(target) {
        let known: Vec<&str> = input
            .packs
            .targets
            .keys()
            .map(String::as_str)
            .filter(|n| *n != DOCUMENTS)
            .collect();
        let message = format!(
            "target `{}` is not built; there are: {}",
            shown(target),
            known.join(", ")
        );
        faults.push(format!("asset {}", shown(asset)), message, None);
    }
}
