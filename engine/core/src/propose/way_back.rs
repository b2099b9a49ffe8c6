//! The pull request that asks to roll a failed wave back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{ForgeOp, branch_of, count, marker};
use crate::history::RESUME;
use crate::history::wire::{RollbackAsset, RollbackFile, to_yaml};
use crate::load::wire::Reversibility;

/// What the branches of requests to roll back begin with.
pub const ROLLBACK: &str = "rollback";

/// The branch that asks to roll a wave back after a stop. A branch for each stop: what people did to an earlier request does
/// not stand in the way of the next. No wave has a dot in its name, so it is no wave's branch.
pub fn rollback_branch(rollout: &str, wave: &str, stop: &str) -> String {
    branch_of(rollout, &format!("{ROLLBACK}.{wave}.{}", short(stop)))
}

/// The beginning of all branches that ask to roll a wave back.
pub fn rollback_branches(rollout: &str, wave: &str) -> String {
    branch_of(rollout, &format!("{ROLLBACK}.{wave}."))
}

/// The branch that asks to let a rollout go on after a stop: one for each, as for the way back.
pub fn resume_branch(rollout: &str, stop: &str) -> String {
    branch_of(rollout, &format!("{RESUME}.{}", short(stop)))
}

/// The beginning of all branches that ask to let a rollout go on.
pub fn resume_branches(rollout: &str) -> String {
    branch_of(rollout, &format!("{RESUME}."))
}

/// The file of a request to let a rollout go on, relative to the repository.
pub fn resume_path(rollouts_folder: &str, rollout: &str, stop: &str) -> String {
    format!("{rollouts_folder}/{rollout}/{RESUME}-{}.yaml", short(stop))
}

fn short(stop: &str) -> &str {
    stop.get(..12).unwrap_or(stop)
}

/// The file of a request, relative to the repository.
pub fn rollback_path(rollouts_folder: &str, rollout: &str, stop: &str) -> String {
    format!("{rollouts_folder}/{rollout}/rollback-{}.yaml", short(stop))
}

/// The operations that open the pull request. `why` is what the wave failed of, `approvals` how many it needs.
///
/// # Errors
/// What cannot be written as YAML.
pub fn ask_to_roll_back(
    file: &RollbackFile,
    why: &str,
    approvals: usize,
    reviewers: Vec<String>,
    rollouts_folder: &str,
) -> Result<Vec<ForgeOp>, String> {
    let (rollout, wave) = (&file.rollout, &file.wave);
    let branch = rollback_branch(rollout, wave, &file.answers);
    let path = rollback_path(rollouts_folder, rollout, &file.answers);
    let put_branch = ForgeOp::PutBranch {
        branch: branch.clone(),
        files: BTreeMap::from([(path, to_yaml(file)?.into_bytes())]),
        replace_under: vec![],
        message: format!(
            "{rollout}: roll wave {wave} back\n\nPatchwave-Rollout: {rollout}\nPatchwave-Wave: {wave}\nPatchwave-Stop: {}\n",
            file.answers
        ),
    };
    let put_pull_request = ForgeOp::PutPullRequest {
        branch,
        title: format!("{rollout}: roll wave {wave} back"),
        body: body(file, why, approvals),
        labels: ["patchwave", ROLLBACK, &format!("wave/{wave}")]
            .map(str::to_owned)
            .into(),
        reviewers,
    };
    Ok(vec![put_branch, put_pull_request])
}

fn body(file: &RollbackFile, why: &str, approvals: usize) -> String {
    let mut out = String::new();
    let assets = || file.batches.values().flatten();
    let _ = writeln!(
        out,
        "Takes wave **{}** of rollout **{}** back on {}.\n\n**Why.** {why}\n",
        file.wave,
        file.rollout,
        count(assets().count(), "asset")
    );
    let _ = writeln!(
        out,
        "| batch | asset | way back | from | to |\n| --- | --- | --- | --- | --- |"
    );
    for (batch, assets) in &file.batches {
        for asset in assets {
            row(&mut out, batch, asset);
        }
    }
    let lossy: Vec<&str> = assets()
        .filter(|a| a.rollback == Reversibility::Snapshot)
        .map(|a| a.name.as_str())
        .collect();
    if !lossy.is_empty() {
        let _ = writeln!(
            out,
            "\n**Data is lost.** A snapshot takes back everything written since it was taken, on {}.",
            lossy.join(", ")
        );
    }
    let _ = writeln!(
        out,
        "\nIt needs {}. After the merge it runs **at once, also outside maintenance windows**, batch by batch, as soon as the \
         services have room for it; freezes, pauses and halts hold it. What the machines show afterwards decides whether they \
         are back. Take assets out of the file to leave them as they are; close this to go another way: `patchwave resume {}` \
         asks to try what failed again.\n",
        count(approvals, "approval"),
        file.rollout
    );
    let _ = writeln!(
        out,
        "The findings that the wave fixed are open again afterwards, with their old deadlines.\n\n{}",
        marker(&file.rollout, &format!("{ROLLBACK}.{}", file.wave), &file.answers)
    );
    out
}

fn row(out: &mut String, batch: &str, asset: &RollbackAsset) {
    let list = |pick: &dyn Fn(&crate::history::wire::RollbackVersion) -> String| {
        let texts: Vec<String> = asset.versions.iter().map(pick).collect();
        texts.join(", ")
    };
    let _ = writeln!(
        out,
        "| {batch} | {} | {} | {} | {} |",
        asset.name,
        asset.rollback.as_str(),
        list(&|v| format!("`{} {}`", v.name, v.from)),
        list(&|v| format!("`{}`", if v.to.is_empty() { "not installed" } else { &v.to })),
    );
}
