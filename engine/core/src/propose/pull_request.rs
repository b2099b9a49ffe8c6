//! What a pull request of a wave says: title, labels, reviewers, body with the hidden marker, commit message.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::agreements;
use super::{ForgeOp, ForgeView, PullRequest, PullRequestState};
use crate::assess::Assessment;
use crate::load::Catalog;
use crate::load::wire::{Approval, Lane, PatchPolicySpec, WaveSpec};
use crate::observe::{Observation, Score};
use crate::plan::{Rollout, Wave};
use crate::version::compare;

/// The files of one wave's pull request and the digest they have together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaveFiles {
    /// Path relative to the repository root → content.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Wave digest, hex.
    pub digest: String,
}

/// The branch of a wave's pull request.
pub fn branch_of(rollout: &str, wave: &str) -> String {
    format!("patchwave/{rollout}/{wave}")
}

/// The hidden line that says what a pull request carries. It is how a later run knows its own work.
pub fn marker(rollout: &str, wave: &str, digest: &str) -> String {
    format!("<!-- patchwave rollout={rollout} wave={wave} digest={digest} -->")
}

/// The same with the head of the rollout's ledger: a later run sees whether the ledger lost lines since.
fn anchored_marker(rollout: &str, wave: &str, ledger_head: &str, digest: &str) -> String {
    format!("<!-- patchwave rollout={rollout} wave={wave} ledger={ledger_head} digest={digest} -->")
}

/// The digest in a pull request's marker.
pub fn marked_digest(body: &str) -> Option<&str> {
    let rest = body.rsplit_once("<!-- patchwave rollout=")?.1;
    rest.split_once(" digest=")?
        .1
        .split_once(" -->")
        .map(|(digest, _)| digest)
}

/// A person who puts this label on a pull request of a rollout halts it: before the next asset, without a review.
pub const HALT_LABEL: &str = "halt";

/// The pull request of a rollout that a person has labelled to halt it: the one with the lowest number, open or merged.
pub fn labelled_to_halt<'a>(view: &'a ForgeView, rollout: &str) -> Option<&'a PullRequest> {
    let prefix = branch_of(rollout, "");
    let own = view.pull_requests.iter().filter(|p| p.branch.starts_with(&prefix));
    // A closed one is nobody's work any more.
    let alive = own.filter(|p| p.state != PullRequestState::Closed);
    let labelled = alive.filter(|p| p.labels.iter().any(|label| label == HALT_LABEL));
    labelled.min_by_key(|p| p.number)
}

/// The newest pull request of a branch, whatever its state.
pub fn newest<'a>(view: &'a ForgeView, branch: &str) -> Option<&'a PullRequest> {
    view.pull_requests
        .iter()
        .filter(|p| p.branch == branch)
        .max_by_key(|p| p.number)
}

/// What a pull request is made from.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Resources.
    pub catalog: &'a Catalog,
    /// Facts.
    pub observation: &'a Observation,
    /// Findings.
    pub assessment: &'a Assessment,
    /// The rollout.
    pub rollout: &'a Rollout,
    /// The wave.
    pub wave: &'a Wave,
    /// Ledger head, for the commit's trailer.
    pub ledger_head: &'a str,
}

/// The operations that bring a wave's branch and pull request in line with `files`. The caller has found out that they
/// are not: the same operations on a branch that already is as asked write nothing.
pub fn operations(subject: Subject<'_>, files: &WaveFiles, rollouts_folder: &str) -> Vec<ForgeOp> {
    let branch = branch_of(&subject.rollout.name, &subject.wave.name);
    let policy = subject.catalog.policies.get(&subject.rollout.policy).map(|p| &p.spec);
    let put_branch = ForgeOp::PutBranch {
        branch: branch.clone(),
        files: files.files.clone(),
        replace_under: vec![format!("{rollouts_folder}/{}/", subject.rollout.name)],
        message: commit_message(subject, &files.digest),
    };
    let put_pull_request = ForgeOp::PutPullRequest {
        branch,
        title: title(subject),
        body: body(subject, &files.digest),
        labels: labels(subject),
        reviewers: policy.map(reviewers).unwrap_or_default(),
    };
    vec![put_branch, put_pull_request]
}

fn title(subject: Subject<'_>) -> String {
    let assets: usize = subject.wave.batches.iter().map(|b| b.assets.len()).sum();
    let emergency = if subject.rollout.lane == Lane::Emergency {
        "[emergency] "
    } else {
        ""
    };
    format!(
        "{emergency}{}: wave {} ({})",
        subject.rollout.name,
        subject.wave.name,
        count(assets, "asset")
    )
}

fn labels(subject: Subject<'_>) -> Vec<String> {
    let mut labels = BTreeSet::from([
        "patchwave".to_owned(),
        format!("lane/{}", subject.rollout.lane.as_str()),
    ]);
    labels.insert(format!("policy/{}", subject.rollout.policy));
    labels.insert(format!("wave/{}", subject.wave.name));
    labels.into_iter().collect()
}

fn reviewers(policy: &PatchPolicySpec) -> Vec<String> {
    policy
        .roles
        .approvers
        .iter()
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn commit_message(subject: Subject<'_>, digest: &str) -> String {
    let Subject {
        rollout,
        wave,
        ledger_head,
        ..
    } = subject;
    format!(
        "{}: wave {}\n\nPatch set {} at revision {}.\n\nPatchwave-Rollout: {}\nPatchwave-Wave: {}\nPatchwave-Digest: {digest}\nPatchwave-Ledger: {ledger_head}\n",
        rollout.name, wave.name, rollout.digest, rollout.revision, rollout.name, wave.name,
    )
}

/// `1 asset`, `2 assets`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

fn body(subject: Subject<'_>, digest: &str) -> String {
    let Subject {
        catalog, rollout, wave, ..
    } = subject;
    let mut out = String::new();
    let policy = catalog.policies.get(&rollout.policy);
    let strategy = catalog.strategies.get(&rollout.strategy);
    let spec = strategy.and_then(|s| s.spec.waves.iter().find(|w| w.name == wave.name.as_ref()));
    let assets: usize = wave.batches.iter().map(|b| b.assets.len()).sum();
    let _ = writeln!(
        out,
        "Wave **{}** of rollout **{}** (policy `{}`{}, lane {}, revision {}): {} in {}.\n",
        wave.name,
        rollout.name,
        rollout.policy,
        policy
            .map(|p| format!(" at {}", catalog.at(p.doc, "/spec")))
            .unwrap_or_default(),
        rollout.lane.as_str(),
        rollout.revision,
        count(assets, "asset"),
        if wave.batches.len() == 1 {
            "1 batch".to_owned()
        } else {
            format!("{} batches", wave.batches.len())
        },
    );
    why(&mut out, subject);
    forensics(&mut out, subject);
    targets(&mut out, subject);
    batches(&mut out, subject);
    risks(&mut out, subject, spec);
    checklist(&mut out, subject, spec);
    let marker = anchored_marker(&rollout.name, &wave.name, subject.ledger_head, digest);
    let _ = write!(out, "\n{marker}\n");
    out
}

fn why(out: &mut String, subject: Subject<'_>) {
    let Subject { rollout, wave, .. } = subject;
    let reason = if rollout.expedited {
        "Waiting for the next regular cut would have been too late for at least one deadline, so it was cut at once."
    } else if rollout.lane == Lane::Emergency {
        "An SLA rule put at least one finding into the emergency lane."
    } else {
        "Regular cut."
    };
    let _ = writeln!(out, "**Why now.** {reason}");
    if let Some(deadline) = wave.deadline {
        let slack = wave
            .slack_seconds
            .map(|s| format!(", planned slack {}", slack_text(s)))
            .unwrap_or_default();
        let _ = writeln!(out, "Earliest deadline in this wave: **{deadline}**{slack}.");
    }
    let _ = writeln!(out);
}

/// Assets of the wave on which forensic triage is asked for.
fn forensic_assets(subject: Subject<'_>) -> Vec<&str> {
    let asked: BTreeSet<&str> = subject.rollout.forensics.iter().map(|f| f.as_ref()).collect();
    let assets = subject.wave.batches.iter().flat_map(|b| &b.assets);
    assets
        .map(|a| a.name.as_ref())
        .filter(|name| asked.contains(name))
        .collect()
}

/// Triage comes before patching, so it stands before everything that is to be done.
fn forensics(out: &mut String, subject: Subject<'_>) {
    let asked = forensic_assets(subject);
    if asked.is_empty() {
        return;
    }
    let shown = asked
        .iter()
        .take(NAMES_SHOWN_MAX)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let more = match asked.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more (the runbook names all)"),
    };
    let _ = writeln!(
        out,
        "**Forensic triage.** The SLA asks for it on {}, before the patch: {shown}{more}.\n",
        count(asked.len(), "asset")
    );
}

/// `1d 2h 3m`, with a minus sign for a missed deadline.
pub fn slack_text(seconds: i64) -> String {
    let (sign, s) = if seconds < 0 { ("-", -seconds) } else { ("", seconds) };
    let parts = [(s / 86_400, 'd'), (s / 3600 % 24, 'h'), (s / 60 % 60, 'm')];
    let words: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    if words.is_empty() {
        "0m".to_owned()
    } else {
        format!("{sign}{}", words.join(" "))
    }
}

fn targets(out: &mut String, subject: Subject<'_>) {
    let Subject { rollout, wave, .. } = subject;
    let mut befores: BTreeMap<usize, BTreeMap<Arc<str>, usize>> = BTreeMap::new();
    for asset in wave.batches.iter().flat_map(|b| &b.assets) {
        for (target, before) in asset.targets.iter().zip(asset.before.iter()) {
            *befores
                .entry(*target)
                .or_default()
                .entry(Arc::clone(before))
                .or_default() += 1;
        }
    }
    let advisories = advisories_by_target(subject);
    let _ = writeln!(
        out,
        "| package | from | to | advisories | exploited | EPSS | assets |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    for (index, from) in &befores {
        let Some(target) = rollout.targets.get(*index) else {
            continue;
        };
        let versions: Vec<String> = from.keys().map(|v| format!("`{v}`")).collect();
        let empty = BTreeMap::new();
        let found = advisories.get(index).unwrap_or(&empty);
        let ids: Vec<String> = found.keys().map(|id| id.to_string()).collect();
        let exploited = if found.values().any(|(e, _)| *e) { "yes" } else { "no" };
        let epss = found.values().filter_map(|(_, score)| *score).max();
        let epss = epss.map_or_else(|| "—".to_owned(), |score| score.to_string());
        let _ = writeln!(
            out,
            "| `{}` ({} {}, {}) | {} | `{}` | {} | {exploited} | {epss} | {} |",
            target.name,
            target.os_id,
            target.os_major,
            target.arch,
            versions.join(", "),
            target.version,
            if ids.is_empty() {
                "—".to_owned()
            } else {
                ids.join(", ")
            },
            from.values().sum::<usize>(),
        );
    }
    let _ = writeln!(out);
}

/// For each target of the wave: the advisories (id and CVEs) it fixes on the wave's assets, whether exploited, and
/// its EPSS score.
fn advisories_by_target(subject: Subject<'_>) -> BTreeMap<usize, BTreeMap<String, (bool, Option<Score>)>> {
    let Subject {
        observation,
        assessment,
        rollout,
        wave,
        ..
    } = subject;
    let mut found: BTreeMap<usize, BTreeMap<String, (bool, Option<Score>)>> = BTreeMap::new();
    for asset in wave.batches.iter().flat_map(|b| &b.assets) {
        let Ok(index) = observation.assets.binary_search_by(|a| a.name.cmp(&asset.name)) else {
            continue;
        };
        for finding in assessment.of(observation, index) {
            let fixed_by = asset.targets.iter().find(|t| {
                rollout.targets.get(**t).is_some_and(|t| {
                    t.name == crate::plan::carrier(finding.hit)
                        && finding
                            .hit
                            .fixed
                            .as_deref()
                            .is_some_and(|f| compare(t.scheme, f, &t.version).is_le())
                })
            });
            let advisory = observation.advisories.get(finding.hit.advisory as usize);
            if let (Some(target), Some(advisory)) = (fixed_by, advisory) {
                let cves: Vec<&str> = advisory
                    .aliases
                    .iter()
                    .map(|a| a.as_ref())
                    .filter(|a| a.starts_with("CVE-"))
                    .collect();
                let text = if cves.is_empty() {
                    advisory.id.to_string()
                } else {
                    format!("{} ({})", advisory.id, cves.join(", "))
                };
                let known = (advisory.exploited.is_some(), advisory.epss().map(|e| e.score));
                found.entry(*target).or_default().insert(text, known);
            }
        }
    }
    found
}

/// So many asset names of a batch are written out; a longer list is counted, and the files hold all of them.
const NAMES_SHOWN_MAX: usize = 40;

fn batches(out: &mut String, subject: Subject<'_>) {
    let _ = writeln!(
        out,
        "| batch | assets | window | first planned start |\n| --- | --- | --- | --- |"
    );
    for batch in &subject.wave.batches {
        let names: Vec<&str> = batch
            .assets
            .iter()
            .take(NAMES_SHOWN_MAX)
            .map(|a| a.name.as_ref())
            .collect();
        let more = batch.assets.len().saturating_sub(names.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let start = batch.start.map_or_else(|| "no opening".to_owned(), |s| s.to_string());
        let _ = writeln!(
            out,
            "| {} | {}{more} | {} | {start} |",
            batch.id,
            names.join(", "),
            batch.window.name
        );
    }
    let _ = writeln!(out);
}

/// Targets whose files no tool has accepted in the engine's own checks; a folder of the user's own is theirs to judge.
fn unproven<'r>(catalog: &Catalog, wave: &'r Wave) -> BTreeSet<&'r str> {
    let assets = wave.batches.iter().flat_map(|batch| &batch.assets);
    let tools = assets.flat_map(|asset| asset.tools.iter().chain([&asset.target]));
    let shipped = tools.filter(|name| !catalog.targets.contains_key(name.as_ref()));
    let unproven = shipped.filter(|name| catalog.target(name).is_some_and(|spec| spec.accepted_by.is_empty()));
    unproven.map(AsRef::as_ref).collect()
}

fn risks(out: &mut String, subject: Subject<'_>, spec: Option<&WaveSpec>) {
    let Subject {
        catalog, rollout, wave, ..
    } = subject;
    let _ = writeln!(out, "**Risks and the way back.**");
    let kinds: BTreeSet<&str> = wave
        .batches
        .iter()
        .flat_map(|b| &b.assets)
        .map(|a| a.rollback.as_str())
        .collect();
    let _ = writeln!(
        out,
        "- Rollback: {} (under `rollback/`; covers the failing batch only).",
        join(&kinds)
    );
    if !rollout.reproducible {
        let _ = writeln!(
            out,
            "- Not reproducible: nothing freezes the package content between waves."
        );
    }
    if rollout.installability_unknown {
        let _ = writeln!(
            out,
            "- Installability unknown: what the assets can reach was not observed for all of them."
        );
    }
    if let Some(spec) = spec {
        let _ = writeln!(
            out,
            "- More than {} failed asset(s) halt the wave; it is promoted at {} patched after a soak of {}.",
            spec.max_failures,
            spec.promote_at.patched,
            crate::time::DurationSeconds(wave.soak_seconds),
        );
    }
    for name in unproven(catalog, wave) {
        let _ = writeln!(
            out,
            "- Target `{name}` is unproven: its files follow the vendor's documentation, and no tool has accepted them in patchwave's own checks (docs/targets.md)."
        );
    }
    let stale = wave.batches.iter().flat_map(|b| &b.assets).filter(|a| a.stale).count();
    if stale > 0 {
        let _ = writeln!(out, "- {} planned from stale observations.", count(stale, "asset"));
    }
    let assets = wave.batches.iter().flat_map(|b| &b.assets);
    agreements::write(out, &agreements::of(subject.observation, &rollout.targets, assets));
}

fn join(words: &BTreeSet<&str>) -> String {
    words.iter().copied().collect::<Vec<_>>().join(", ")
}

fn checklist(out: &mut String, subject: Subject<'_>, spec: Option<&WaveSpec>) {
    let approval = match spec.map(|s| &s.approval) {
        Some(Approval::Automatic) => "none: the engine merges this pull request itself".to_owned(),
        Some(Approval::PullRequest { reviewers }) => {
            format!(
                "{} by members of `roles.approvers`",
                count(*reviewers as usize, "approval")
            )
        }
        None => "as the strategy says".to_owned(),
    };
    let _ = writeln!(out, "**Before the merge** ({approval})");
    let _ = writeln!(out, "- [ ] The batches and windows suit the services behind them.");
    let _ = writeln!(out, "- [ ] Backups are where the runbook says.");
    if !forensic_assets(subject).is_empty() {
        let _ = writeln!(
            out,
            "- [ ] Forensic triage is done or arranged on every asset it is asked for."
        );
    }
    let _ = writeln!(
        out,
        "\nA merge authorises; it does not start anything: a batch runs in its window, with a permit."
    );
}
