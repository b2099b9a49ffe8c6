//! Findings, kept factored: what an installed package is hit by is found once, how a kind of asset is judged is decided
//! once, and assets with the same packages and the same judgements share one list. Rows are streamed from that.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::load::wire::{Lane, Lifecycle};
use crate::observe::{Asset, Observation, PackageSetId, Tables};
use crate::version::{Scheme, compare};

/// An advisory hitting an installed package: the part of a finding that does not depend on the asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hit {
    /// Index into [`Observation::advisories`].
    pub advisory: u32,
    /// Version order.
    pub scheme: Scheme,
    /// `ID` of os-release.
    pub os_id: Arc<str>,
    /// Release.
    pub os_major: Arc<str>,
    /// Installed binary package.
    pub package: Arc<str>,
    /// Its architecture; empty when not observed.
    pub arch: Arc<str>,
    /// Module stream `name:stream` of the installed package, if modular and known.
    pub module: Option<Arc<str>>,
    /// Installed (or, for a kernel, running) version.
    pub installed: Arc<str>,
    /// First fixed version; none = no fix exists.
    pub fixed: Option<Arc<str>>,
    /// Source package of the installed package, if known: targets are coherent per source.
    pub source: Option<Arc<str>>,
    /// Version of that source package, where it is not `installed` and `fixed` is a version of the source.
    pub source_version: Option<Arc<str>>,
}

impl Hit {
    /// Whether a fix is published, but only as a version of the source, so that which version of the binary package has
    /// it is not known. A rebuild without a change of the source (`1.0-1+b1` of 1.0-1, Debian's binNMU) counts as the
    /// source does.
    pub fn is_fixed_in_source_only(&self) -> bool {
        let rebuilt = |source: &str| {
            let build = self
                .installed
                .strip_prefix(source)
                .and_then(|rest| rest.strip_prefix("+b"));
            build.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        };
        self.fixed.is_some() && self.source_version.as_deref().is_some_and(|source| !rebuilt(source))
    }
}

impl Hit {
    /// `package version` of the fix, if `set` offers it or something newer for the architecture.
    pub(crate) fn offered(&self, tables: &Tables, set: PackageSetId) -> Option<String> {
        let fixed = self.fixed.as_deref()?;
        let offers = tables.set(set).iter().any(|id| {
            let package = tables.package(*id);
            let arch = tables.text(package.arch);
            *tables.text(package.name) == *self.package
                && (arch.is_empty() || self.arch.is_empty() || *arch == *self.arch)
                && compare(self.scheme, tables.text(package.version), fixed).is_ge()
        });
        offers.then(|| format!("{} {fixed}", self.package))
    }
}

/// First match wins, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Fixed.
    Compliant,
    /// A person recorded that the asset is not affected.
    NotAffected,
    /// Risk handled by a recorded mitigation or a live patch.
    Mitigated,
    /// No fix exists or none can be taken, on record.
    Unpatchable,
    /// Risk accepted, on record.
    Excepted,
    /// Facts are missing or stale.
    Unknown,
    /// Installed, but the old code still runs.
    PendingReboot,
    /// Kept back by a hold.
    Held,
    /// A person must ask for it.
    AwaitingApproval,
    /// Past its deadline.
    Breached,
    /// Most of its time is gone.
    AtRisk,
    /// On the clock.
    Due,
}

impl Status {
    /// Every status, in the order of the declaration.
    pub const ALL: [Self; 12] = [
        Self::Compliant,
        Self::NotAffected,
        Self::Mitigated,
        Self::Unpatchable,
        Self::Excepted,
        Self::Unknown,
        Self::PendingReboot,
        Self::Held,
        Self::AwaitingApproval,
        Self::Breached,
        Self::AtRisk,
        Self::Due,
    ];

    /// The word used in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::NotAffected => "not-affected",
            Self::Mitigated => "mitigated",
            Self::Unpatchable => "unpatchable",
            Self::Excepted => "excepted",
            Self::Unknown => "unknown",
            Self::PendingReboot => "pending-reboot",
            Self::Held => "held",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Breached => "breached",
            Self::AtRisk => "at-risk",
            Self::Due => "due",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Always given, so that a hold cannot hide a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timeliness {
    /// Time is left.
    OnTime,
    /// Most of the time is gone.
    AtRisk,
    /// The deadline has passed.
    Breached,
}

impl Timeliness {
    /// The word used in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnTime => "on-time",
            Self::AtRisk => "at-risk",
            Self::Breached => "breached",
        }
    }
}

/// An explained decision in the manner of SSVC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Decision {
    /// Watch.
    #[serde(rename = "track")]
    Track,
    /// Watch closely.
    #[serde(rename = "track*")]
    TrackStar,
    /// Needs attention sooner than the cycle.
    #[serde(rename = "attend")]
    Attend,
    /// Needs action now.
    #[serde(rename = "act")]
    Act,
}

impl Decision {
    /// The word used in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::TrackStar => "track*",
            Self::Attend => "attend",
            Self::Act => "act",
        }
    }
}

/// Why no rollout carries a finding although its status alone would allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unplanned {
    /// Its policy only reports (`mode: observe`).
    ObserveOnly,
    /// Policies with different `rollout`, `strategy` or `requires` claim it: refused until a person decides.
    Conflict,
    /// The fix is a version of the source package, and which version of the binary package has it is not known.
    FixedInSource,
}

/// A clock that a move to a stricter rule has overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginalClock {
    /// When it started.
    pub clock_start: Option<Timestamp>,
    /// The deadline it gave.
    pub deadline: Option<Timestamp>,
}

/// How a hit is judged on a kind of asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Judgement {
    /// Status.
    pub status: Status,
    /// Timeliness.
    pub timeliness: Timeliness,
    /// When the clock started; none when no clock runs.
    pub clock_start: Option<Timestamp>,
    /// When it must be fixed; none when no clock runs.
    pub deadline: Option<Timestamp>,
    /// The clock as it ran before a stricter rule set another; none where none did.
    pub original: Option<OriginalClock>,
    /// Whether forensic triage is asked for.
    pub forensics: bool,
    /// Lane.
    pub lane: Lane,
    /// The policy that carries it, or would; none when no policy claims the finding.
    pub policy: Option<Arc<str>>,
    /// The SlaPolicy that gave the deadline: that of the policy whose deadline is the earliest.
    pub sla: Option<Arc<str>>,
    /// The rule that gave the deadline: its name, `#3` without a name, or `default`.
    pub rule: Option<Arc<str>>,
    /// Risk decision.
    pub decision: Decision,
    /// Planned although `unknown`, because only the observation is stale.
    pub planned_from_stale: bool,
    /// Not planned for a reason that is no status.
    pub unplanned: Option<Unplanned>,
    /// What the status rests on, where a word is not enough: the exception, hold, `1 of 5 CVEs excepted`, …
    pub detail: Option<Arc<str>>,
}

impl Judgement {
    /// Whether a rollout may carry it: approved and open.
    pub fn is_planned(&self) -> bool {
        self.policy.is_some() && self.unplanned.is_none() && self.is_open()
    }

    /// Whether its status alone would let a rollout carry it.
    pub fn is_open(&self) -> bool {
        self.planned_from_stale
            || matches!(
                self.status,
                Status::Due | Status::AtRisk | Status::Breached | Status::PendingReboot
            )
    }
}

/// One row of a finding list: indexes into [`Assessment::hits`] and [`Assessment::judgements`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Which hit.
    pub hit: u32,
    /// Which judgement.
    pub judgement: u32,
}

/// Every finding of every asset.
#[derive(Clone, Debug, Default)]
pub struct Assessment {
    /// Distinct hits, sorted by advisory id, package, arch, versions.
    pub hits: Vec<Hit>,
    /// Distinct judgements.
    pub judgements: Vec<Judgement>,
    /// Distinct lists of rows, each sorted by hit.
    pub lists: Vec<Arc<[Row]>>,
    /// For each asset of the observation, in its order: the list it has.
    pub list_of: Vec<u32>,
    /// For each asset of the observation, in its order: its class, if exactly one wins.
    pub class_of: Vec<Option<Arc<str>>>,
    /// What is not a finding but must be said of an asset: never observed, no coverage, no class, no policy, errors of
    /// a rule. Sorted.
    pub remarks: Vec<Remark>,
    /// What must be said of policies: overlapping claims that are refused, unreadable rules. Sorted.
    pub diagnostics: Vec<crate::observe::Note>,
}

/// Something to say of an asset that is no finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    /// The asset.
    pub asset: Arc<str>,
    /// `unknown`, `unmanaged`, `no-class`, `no-policy`, …
    pub status: Arc<str>,
    /// What, why it matters, what to do.
    pub detail: String,
}

/// One finding, put together for reading.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// Index of the asset in the observation.
    pub asset_index: usize,
    /// The asset.
    pub asset: &'a Asset,
    /// What hits it.
    pub hit: &'a Hit,
    /// How it is judged.
    pub judgement: &'a Judgement,
}

impl Assessment {
    /// The rows of one asset.
    pub fn rows(&self, asset_index: usize) -> &[Row] {
        let list = self.list_of.get(asset_index).and_then(|l| self.lists.get(*l as usize));
        list.map_or(&[], |l| l)
    }

    /// The findings of one asset, sorted by hit.
    pub fn of<'a>(&'a self, observation: &'a Observation, asset_index: usize) -> impl Iterator<Item = Finding<'a>> {
        let asset = observation.assets.get(asset_index);
        self.rows(asset_index).iter().filter_map(move |row| {
            Some(Finding {
                asset_index,
                asset: asset?,
                hit: self.hits.get(row.hit as usize)?,
                judgement: self.judgements.get(row.judgement as usize)?,
            })
        })
    }

    /// The remarks on one asset.
    pub fn remarks_of(&self, asset: &str) -> &[Remark] {
        let from = self.remarks.partition_point(|r| *r.asset < *asset);
        let rest = self.remarks.get(from..).unwrap_or_default();
        let count = rest.partition_point(|r| *r.asset == *asset);
        rest.get(..count).unwrap_or_default()
    }

    /// What can be said of an asset as a whole: `unknown` where a fact or the coverage to judge it is missing, `compliant`
    /// where it was judged and nothing was found. None where its findings speak for it, and where nobody looks at it:
    /// retired, or in no policy (a remark says so).
    pub fn asset_status(&self, observation: &Observation, asset_index: usize) -> Option<Status> {
        let asset = observation.assets.get(asset_index)?;
        if asset.lifecycle == Lifecycle::Retired {
            return None;
        }
        let remarks = self.remarks_of(&asset.name);
        let said = |status: &str| remarks.iter().any(|r| *r.status == *status);
        if asset.observed_at.is_none() || asset.stale || said("unknown") {
            return Some(Status::Unknown);
        }
        (self.rows(asset_index).is_empty() && !said("no-policy")).then_some(Status::Compliant)
    }

    /// Every finding, by asset, then by hit. Compliant ones are not among them.
    pub fn findings<'a>(&'a self, observation: &'a Observation) -> impl Iterator<Item = Finding<'a>> {
        (0..observation.assets.len()).flat_map(move |index| self.of(observation, index))
    }
}
