//! The plan as JSON, the shape scripts rely on. Keys are only ever added.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::Error as _;
use serde_json::value::RawValue;

use super::shared::Same;
use super::{Batch, BatchAsset, Binding, Image, Plan, PlanNote, Refusal, Rollout, Waiting, Wave};
use crate::history::{Target, WaveState};
use crate::load::wire::{Lane, Reversibility};
use crate::lookup::Lookup;

/// What `formatVersion` says; readers refuse a newer major.
pub const PLAN_FORMAT: &str = "1.0";

/// The plan as text, see [`write_json()`].
///
/// # Errors
/// None in practice: every key is a text.
pub fn json(plan: &Plan, inputs: &BTreeMap<String, String>) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    write_json(plan, inputs, &mut bytes)?;
    String::from_utf8(bytes).map_err(|e| serde_json::Error::custom(e.utf8_error()))
}

/// Writes the plan piece by piece, so that a large one is never held as text: two blanks of indentation, keys in a fixed order, lists in the order of the plan, a line end at the
/// end. `inputs` are digests of what was read, by name; the caller knows them.
///
/// # Errors
/// `out` cannot be written.
pub fn write_json(
    plan: &Plan,
    inputs: &BTreeMap<String, String>,
    mut out: impl io::Write,
) -> Result<(), serde_json::Error> {
    let Plan {
        now,
        rollouts,
        waiting,
        refusals,
        cuts,
        notes,
    } = plan;
    let mut details = Details::default();
    let rollouts: Result<Vec<_>, _> = rollouts.iter().map(|r| rollout(r, &mut details)).collect();
    let document = Document {
        format_version: PLAN_FORMAT,
        now: *now,
        inputs,
        rollouts: rollouts?,
        waiting,
        refusals: refusals.iter().map(refusal).collect(),
        cuts: cuts.iter().map(|(policy, cut)| CutJson { policy, cut: *cut }).collect(),
        notes,
        summary: summary(plan),
    };
    serde_json::to_writer_pretty(&mut out, &document)?;
    out.write_all(b"\n").map_err(serde_json::Error::io)
}

/// How much there is of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Rollouts, open and new.
    pub rollouts: usize,
    /// Waves.
    pub waves: usize,
    /// Batches.
    pub batches: usize,
    /// Assets in them; one that is in two rollouts counts twice.
    pub assets: usize,
    /// Waves that miss a deadline.
    pub missed: usize,
    /// Batches without a place in time.
    pub unscheduled: usize,
    /// Findings that wait for a later cut.
    pub waiting: usize,
    /// Refusals.
    pub refusals: usize,
}

/// The counts of a plan.
pub fn summary(plan: &Plan) -> Summary {
    let waves = || plan.rollouts.iter().flat_map(|r| &r.waves);
    let batches = || waves().flat_map(|w| &w.batches);
    Summary {
        rollouts: plan.rollouts.len(),
        waves: waves().count(),
        batches: batches().count(),
        assets: batches().map(|b| b.assets.len()).sum(),
        missed: waves().filter(|w| w.slack_seconds.is_some_and(|s| s < 0)).count(),
        unscheduled: batches().filter(|b| b.start.is_none()).count(),
        waiting: plan.waiting.iter().map(|w| w.findings).sum(),
        refusals: plan.refusals.len(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'p> {
    format_version: &'static str,
    now: Timestamp,
    inputs: &'p BTreeMap<String, String>,
    rollouts: Vec<RolloutJson<'p>>,
    waiting: &'p [Waiting],
    refusals: Vec<RefusalJson<'p>>,
    cuts: Vec<CutJson<'p>>,
    notes: &'p [PlanNote],
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RolloutJson<'p> {
    name: &'p str,
    policy: &'p str,
    strategy: &'p str,
    lane: Lane,
    revision: u32,
    cut: Timestamp,
    expedited: bool,
    restarts: u32,
    reproducible: bool,
    installability_unknown: bool,
    advisories: &'p [Arc<str>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    forensics: &'p [Arc<str>],
    patchset: PatchSetJson<'p>,
    waves: Vec<WaveJson<'p>>,
}

#[derive(Serialize)]
struct PatchSetJson<'p> {
    digest: &'p str,
    targets: &'p [Target],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WaveJson<'p> {
    name: &'p str,
    number: u32,
    needs: &'p [Arc<str>],
    state: WaveState,
    batches: Vec<BatchJson<'p>>,
    deadline: Option<Timestamp>,
    slack: Option<i64>,
    binding: Option<Binding>,
    fixes: &'p [String],
    soak_seconds: i64,
    extra_approval: bool,
    estimate_assumed: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchJson<'p> {
    id: &'p str,
    window: WindowJson<'p>,
    start: Option<Timestamp>,
    finish: Option<Timestamp>,
    duration_seconds: i64,
    overruns: bool,
    released: bool,
    blocked: Option<Binding>,
    assets: Vec<&'p str>,
    /// By asset: indexes into `patchset.targets`, the versions they replace, and what else differs.
    details: BTreeMap<&'p str, Arc<RawValue>>,
}

#[derive(Serialize)]
struct WindowJson<'p> {
    name: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
}

#[derive(Serialize)]
struct DetailJson<'p> {
    targets: &'p [usize],
    before: &'p [Arc<str>],
    class: &'p str,
    target: &'p str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: &'p [Arc<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'p Image>,
    rollback: Reversibility,
    deadline: Option<Timestamp>,
    stale: bool,
}

#[derive(Serialize)]
struct RefusalJson<'p> {
    reason: &'p str,
    asset: &'p str,
    detail: &'p str,
    binding: Option<Binding>,
    fixes: &'p [String],
}

#[derive(Serialize)]
struct CutJson<'p> {
    policy: &'p str,
    cut: Timestamp,
}

fn rollout<'p>(rollout: &'p Rollout, details: &mut Details) -> Result<RolloutJson<'p>, serde_json::Error> {
    let Rollout {
        name,
        policy,
        strategy,
        lane,
        revision,
        cut,
        expedited,
        restarts,
        targets,
        digest,
        reproducible,
        installability_unknown,
        advisories,
        forensics,
        waves,
    } = rollout;
    let waves: Result<Vec<_>, _> = waves.iter().map(|w| wave(w, details)).collect();
    Ok(RolloutJson {
        name,
        policy,
        strategy,
        lane: *lane,
        revision: *revision,
        cut: *cut,
        expedited: *expedited,
        restarts: *restarts,
        reproducible: *reproducible,
        installability_unknown: *installability_unknown,
        advisories,
        forensics,
        patchset: PatchSetJson { digest, targets },
        waves: waves?,
    })
}

fn wave<'p>(wave: &'p Wave, details: &mut Details) -> Result<WaveJson<'p>, serde_json::Error> {
    let Wave {
        name,
        number,
        needs,
        state,
        batches,
        deadline,
        slack_seconds,
        binding,
        fixes,
        edits: _,
        extra_approval,
        soak_seconds,
        estimate_assumed,
    } = wave;
    let batches: Result<Vec<_>, _> = batches.iter().map(|b| batch(b, details)).collect();
    Ok(WaveJson {
        name,
        number: *number,
        needs,
        state: *state,
        batches: batches?,
        deadline: *deadline,
        slack: *slack_seconds,
        binding: *binding,
        fixes,
        soak_seconds: *soak_seconds,
        extra_approval: *extra_approval,
        estimate_assumed: *estimate_assumed,
    })
}

fn batch<'p>(batch: &'p Batch, texts: &mut Details) -> Result<BatchJson<'p>, serde_json::Error> {
    let Batch {
        id,
        window,
        start,
        finish,
        assets,
        duration_seconds,
        overruns,
        blocked,
        released,
    } = batch;
    let details = assets.iter().map(|a| Ok((a.name.as_ref(), texts.of(a)?)));
    let details: Result<BTreeMap<_, _>, serde_json::Error> = details.collect();
    Ok(BatchJson {
        id,
        window: WindowJson {
            name: &window.name,
            start: window.start,
            end: window.end,
        },
        start: *start,
        finish: *finish,
        duration_seconds: *duration_seconds,
        overruns: *overruns,
        released: *released,
        blocked: *blocked,
        assets: assets.iter().map(|a| a.name.as_ref()).collect(),
        details: details?,
    })
}

/// The details of assets as text, put together once for assets that are alike.
#[derive(Default)]
struct Details(Lookup<Alike, Arc<RawValue>>);

/// Everything that stands in the details of an asset.
type Alike = (
    Same<[usize]>,
    Same<[Arc<str>]>,
    Arc<str>,
    Arc<str>,
    &'static str,
    Option<Timestamp>,
    bool,
);

/// How far an asset of a batch is indented in the document, two blanks for each of `rollouts`, the rollout, `waves`, the
/// wave, `batches`, the batch, `details` and the asset.
const DEPTH: &str = "                ";

impl Details {
    fn of(&mut self, asset: &BatchAsset) -> Result<Arc<RawValue>, serde_json::Error> {
        let alike = (
            Same::of(&asset.targets),
            Same::of(&asset.before),
            Arc::clone(&asset.class),
            Arc::clone(&asset.target),
            asset.rollback.as_str(),
            asset.deadline,
            asset.stale,
        );
        if let Some(text) = self.0.get(&alike) {
            return Ok(Arc::clone(text));
        }
        // A line end within a text is escaped, so each that stands here begins a line of the document.
        let text = serde_json::to_string_pretty(&detail(asset))?.replace('\n', &format!("\n{DEPTH}"));
        let text: Arc<RawValue> = RawValue::from_string(text)?.into();
        self.0.insert(alike, Arc::clone(&text));
        Ok(text)
    }
}

fn detail(asset: &BatchAsset) -> DetailJson<'_> {
    let BatchAsset {
        name: _,
        targets,
        before,
        rollback,
        class,
        target,
        tools,
        image,
        deadline,
        stale,
    } = asset;
    DetailJson {
        targets,
        before,
        class,
        target,
        tools,
        image: image.as_ref(),
        rollback: *rollback,
        deadline: *deadline,
        stale: *stale,
    }
}

fn refusal(refusal: &Refusal) -> RefusalJson<'_> {
    let Refusal {
        reason,
        asset,
        detail,
        binding,
        fixes,
    } = refusal;
    RefusalJson {
        reason,
        asset,
        detail,
        binding: *binding,
        fixes,
    }
}
