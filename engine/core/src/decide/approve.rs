//! Whose approval counts.

use std::collections::BTreeSet;

use crate::load::wire::{Approval, PatchPolicySpec};
use crate::propose::PullRequest;

/// The approvals that count for the merged head of a pull request: one a person, given for that very head, not by its
/// author, and (where the forge knows teams) by a member of `roles.approvers` who is no deployer.
///
/// `is_member` answers whether a person is in one of the teams; a forge without teams answers yes for approvers and no
/// for deployers.
pub fn approvals_of(
    pull_request: &PullRequest,
    policy: &PatchPolicySpec,
    is_member: &dyn Fn(&str, &[String]) -> bool,
) -> Vec<String> {
    let counted: BTreeSet<&str> = pull_request
        .approvals
        .iter()
        .filter(|a| a.head == pull_request.head && a.by != pull_request.author)
        .map(|a| a.by.as_str())
        .filter(|by| policy.roles.approvers.is_empty() || is_member(by, &policy.roles.approvers))
        .collect();
    counted.into_iter().map(str::to_owned).collect()
}

/// How many approvals an approval rule needs.
pub const fn approvals_needed(approval: &Approval) -> usize {
    match approval {
        Approval::Automatic => 0,
        Approval::PullRequest { reviewers } => *reviewers as usize,
    }
}

/// `1 of 2 approvals (alice)`.
pub fn approvals_text(given: &[String], needed: usize) -> String {
    let names = if given.is_empty() {
        String::new()
    } else {
        format!(" ({})", given.join(", "))
    };
    format!("{} of {needed} approvals{names}", given.len())
}
