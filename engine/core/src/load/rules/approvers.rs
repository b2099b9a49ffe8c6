//! # What it does
//! Warns of policies without `roles.approvers` whose pull requests wait for an approval on a forge with people.
//!
//! # Why is this bad
//! Where nobody is named, everybody's approval counts: whoever may review in the repository decides what reaches production.
//! On the local forge, which has no people of its own, there is nobody to name.
//!
//! # Example
//! ```yaml
//! spec: {scope: {selector: {}}, include: [{types: [security]}], sla: standard, rollout: standard}   # no roles
//! ```
//!
//! # Fix
//! `roles: {approvers: [team-sre]}`.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::wire::{Approval, ForgeType, Mode};

/// Policies whose changes anybody may approve.
pub static RULE: Rule = Rule {
    name: "approvers",
    codes: &[Code::ApproversMissing],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    if context.catalog.project.forge.kind == ForgeType::Local {
        return;
    }
    for r in context.catalog.policies.values() {
        let strategy = context.catalog.strategies.get(r.spec.rollout.as_str());
        // A strategy that is not there is told elsewhere; its waves will ask.
        let asks = strategy.is_none_or(|s| s.spec.waves.iter().any(|wave| wave.approval != Approval::Automatic));
        let named = r.spec.roles.approvers.iter().any(|name| !name.trim().is_empty());
        if r.spec.mode == Mode::Observe || !asks || named {
            continue;
        }
        let message = format!(
            "the policy `{}` names no `roles.approvers`, so the approval of anybody who may review in the repository counts",
            r.name
        );
        let diagnostic = context.at_key(Code::ApproversMissing, r.doc, "/spec", message);
        diagnostics.push(diagnostic.help("add `roles: {approvers: […]}` with the teams or logins that may approve"));
    }
}
