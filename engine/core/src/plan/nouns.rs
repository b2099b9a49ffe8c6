//! The plan: rollouts with waves, batches and a schedule; what waits; what is refused and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::edit::Edit;
use crate::history::{Target, WaveState};
use crate::load::wire::{ComponentKind, Lane, Reversibility};

/// Everything that is to be done, as of `now`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The instant the plan is for.
    pub now: Timestamp,
    /// Open and now-cut rollouts, sorted by name.
    pub rollouts: Vec<Rollout>,
    /// Findings that wait for a future cut, by policy and instant.
    pub waiting: Vec<Waiting>,
    /// What cannot be done, each with the binding constraint. Sorted.
    pub refusals: Vec<Refusal>,
    /// Cadence instants dealt with by this plan: policy and instant.
    pub cuts: Vec<(Arc<str>, Timestamp)>,
    /// What the plan says besides: reports of what it waits for. Sorted.
    pub notes: Vec<PlanNote>,
}

/// A patch set going through a wave graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// `<policy>-<date of the cut>[-emergency][-2]`.
    pub name: Arc<str>,
    /// The policy.
    pub policy: Arc<str>,
    /// The strategy.
    pub strategy: Arc<str>,
    /// The lane.
    pub lane: Lane,
    /// From 1; rises only when the patch-set digest changes.
    pub revision: u32,
    /// When it was cut.
    pub cut: Timestamp,
    /// Cut between cadence instants because waiting would have been too late.
    pub expedited: bool,
    /// How often newcomers restarted it.
    pub restarts: u32,
    /// Sorted targets.
    pub targets: Vec<Target>,
    /// SHA-256 of the RFC 8785 JSON of the targets, hex.
    pub digest: Arc<str>,
    /// Nothing freezes the content: later waves may see other packages.
    pub reproducible: bool,
    /// At least one target's availability on some asset is unknown.
    pub installability_unknown: bool,
    /// Advisories behind it, sorted.
    pub advisories: Vec<Arc<str>>,
    /// Assets on which the SLA of a finding behind it asks for forensic triage, sorted.
    pub forensics: Vec<Arc<str>>,
    /// Waves in order of the strategy; empty ones left out.
    pub waves: Vec<Wave>,
}

/// One wave of a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// Its name.
    pub name: Arc<str>,
    /// Position among the strategy's waves, from 1 (the `<nn>` of its folder).
    pub number: u32,
    /// Waves that must be promoted first, after leaving out waves without assets.
    pub needs: Vec<Arc<str>>,
    /// Where it is.
    pub state: WaveState,
    /// Batches in order.
    pub batches: Vec<Batch>,
    /// Earliest deadline of its findings.
    pub deadline: Option<Timestamp>,
    /// Deadline minus finish of the last batch, whole seconds; negative = missed. None without deadline or finish.
    pub slack_seconds: Option<i64>,
    /// What binds when slack is negative, or when a batch has no place in time.
    pub binding: Option<Binding>,
    /// Edits that would make the deadline, each planned again and found to do so; empty unless it is missed.
    pub fixes: Vec<String>,
    /// The same edits as values, one list a fix.
    pub edits: Vec<Vec<Edit>>,
    /// One more approval is needed, because it takes something no earlier wave has proved.
    pub extra_approval: bool,
    /// Soak in seconds, after the lane.
    pub soak_seconds: i64,
    /// Where durations come from.
    pub estimate_assumed: bool,
}

/// Assets of a wave that are touched together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `01`, `02`, …
    pub id: Arc<str>,
    /// Name of the window, the opening's edges; both edges may be open.
    pub window: BatchWindow,
    /// Planned start; none when no opening fits.
    pub start: Option<Timestamp>,
    /// Planned finish.
    pub finish: Option<Timestamp>,
    /// Its assets, in order of name.
    pub assets: Vec<BatchAsset>,
    /// How long it takes, in seconds: its assets run side by side.
    pub duration_seconds: i64,
    /// It will still run when its opening ends, because no opening is long enough.
    pub overruns: bool,
    /// What stands in the way of a batch without a start.
    pub blocked: Option<Binding>,
    /// It has its permit already: its times are facts.
    pub released: bool,
}

/// The opening a batch is planned into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchWindow {
    /// Names of the windows of its assets, joined by `+`; `outside` in an emergency lane outside windows.
    pub name: Arc<str>,
    /// Start of the opening; none = open for more than 400 days.
    pub start: Option<Timestamp>,
    /// End of the opening; none = no end within 400 days.
    pub end: Option<Timestamp>,
}

/// One asset of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAsset {
    /// Its name.
    pub name: Arc<str>,
    /// Indexes into the rollout's targets, ascending. Assets that are alike share the list.
    pub targets: Arc<[usize]>,
    /// The version of each target's package the asset has now, same order; shared likewise.
    pub before: Arc<[Arc<str>]>,
    /// How good its way back is.
    pub rollback: Reversibility,
    /// Its class.
    pub class: Arc<str>,
    /// The render target; the first, where several update it.
    pub target: Arc<str>,
    /// The render target of each target, in their order; empty where `target` takes all.
    pub tools: Vec<Arc<str>>,
    /// The image it is replaced by, where its class replaces instead of patching.
    pub image: Option<Image>,
    /// Earliest deadline of its findings in this rollout.
    pub deadline: Option<Timestamp>,
    /// Planned from a stale observation.
    pub stale: bool,
}

/// An image that is built anew for the assets that run it, and rolled out in their place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Its name: the product of the observed component of kind `image`.
    pub name: Arc<str>,
    /// The version the asset runs now.
    pub from: Arc<str>,
    /// What it must hold, as a name: the first twelve digits of the SHA-256 of the targets for its release. The same
    /// content has the same id, in every wave.
    pub id: Arc<str>,
}

impl BatchAsset {
    /// The asset once for each tool, that of firmware first: what else needs it comes after. One part with everything
    /// where one tool takes all: a tool is told of an asset once, whatever the targets are of.
    pub fn by_tool(&self, targets: &[Target]) -> Vec<Self> {
        type Taken<'t> = (bool, Vec<(usize, &'t Arc<str>)>);
        let mut parts: BTreeMap<&Arc<str>, Taken<'_>> = BTreeMap::new();
        for (place, (index, before)) in self.targets.iter().zip(self.before.iter()).enumerate() {
            let tool = self.tools.get(place).unwrap_or(&self.target);
            let firmware = targets
                .get(*index)
                .is_some_and(|t| t.kind() == Some(ComponentKind::Firmware));
            let (has_firmware, taken) = parts.entry(tool).or_default();
            *has_firmware |= firmware;
            taken.push((*index, before));
        }
        let (first, rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(_, (has_firmware, _))| *has_firmware);
        let part = |(tool, (_, taken)): (&Arc<str>, Taken<'_>)| Self {
            targets: taken.iter().map(|(index, _)| *index).collect(),
            before: taken.iter().map(|(_, before)| Arc::clone(before)).collect(),
            target: Arc::clone(tool),
            tools: Vec::new(),
            ..self.clone()
        };
        first.into_iter().chain(rest).map(part).collect()
    }
}

/// Findings that wait for a future cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The policy.
    pub policy: Arc<str>,
    /// The cut.
    pub cut: Timestamp,
    /// How many findings.
    pub findings: usize,
}

/// What cannot be done, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// `untested`, `irreversible`, `not-installable`, `no-wave`, `two-waves`, `budget`, `not built`, `limit`, …
    pub reason: Arc<str>,
    /// The asset; empty when the whole rollout or policy is refused.
    pub asset: Arc<str>,
    /// What, with names and numbers.
    pub detail: String,
    /// The constraint that binds.
    pub binding: Option<Binding>,
    /// Concrete edits that would help.
    pub fixes: Vec<String>,
}

/// The constraint that binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// No opening in time.
    Window,
    /// The soak of an earlier wave.
    Soak,
    /// Batch sizes.
    Size,
    /// A freeze.
    Freeze,
    /// A wave or service that must go first.
    Predecessor,
    /// A disruption budget.
    Budget,
}

impl Binding {
    /// The word used in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Soak => "soak",
            Self::Size => "size",
            Self::Freeze => "freeze",
            Self::Predecessor => "predecessor",
            Self::Budget => "budget",
        }
    }
}

/// What the plan says besides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanNote {
    /// Rollout, policy or asset.
    pub subject: Arc<str>,
    /// What.
    pub message: String,
}

/// Index of the asset names of a rollout to their wave and batch.
pub type Placement = BTreeMap<Arc<str>, (usize, usize)>;

impl Rollout {
    /// Where each asset is: wave and batch index.
    pub fn placement(&self) -> Placement {
        let waves = self.waves.iter().enumerate();
        waves
            .flat_map(|(w, wave)| {
                let batches = wave.batches.iter().enumerate();
                batches.flat_map(move |(b, batch)| batch.assets.iter().map(move |a| (Arc::clone(&a.name), (w, b))))
            })
            .collect()
    }
}
