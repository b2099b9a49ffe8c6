//! The circuit breaker: more at once than a policy allows wants a person's word.

use super::Refusal;
use super::carry::place;
use super::context::Context;
use crate::load::Resource;
use crate::load::wire::{OverrideSubject, PatchPolicySpec};
use crate::name::Rounding;
use crate::time::Boundary;

/// What one run of a policy would start.
pub(super) struct Start {
    pub(super) emergency_assets: usize,
    pub(super) scope: usize,
    pub(super) new_rollouts: usize,
}

/// The limit that `start` breaks, if any and if no Override lifts it.
pub(super) fn broken(ctx: &Context<'_>, policy: &Resource<PatchPolicySpec>, start: &Start) -> Option<Refusal> {
    let limits = &policy.spec.limits;
    let emergency = limits.emergency_assets.and_then(|amount| {
        let most = amount.of(start.scope, Rounding::DownAtLeastOne);
        (start.emergency_assets > most).then(|| {
            format!(
                "{} assets would go into the emergency lane at once; {} allows {amount} of {} in scope, which is {most}",
                start.emergency_assets,
                place(ctx, policy, "/spec/limits/emergencyAssets"),
                start.scope
            )
        })
    });
    let rollouts = limits.new_rollouts.and_then(|most| {
        (start.new_rollouts > most as usize).then(|| {
            let at = place(ctx, policy, "/spec/limits/newRollouts");
            format!(
                "{} rollouts would be cut in one run; {at} allows {most}",
                start.new_rollouts
            )
        })
    });
    let detail = emergency.or(rollouts).filter(|_| !is_lifted(ctx, policy))?;
    let fixes = vec![
        format!("confirm with an Override `what: limit`, `policy: {}`", policy.name),
        "or raise the limit".to_owned(),
    ];
    Some(Refusal {
        reason: "limit".into(),
        asset: "".into(),
        detail,
        binding: None,
        fixes,
    })
}

fn is_lifted(ctx: &Context<'_>, policy: &Resource<PatchPolicySpec>) -> bool {
    let zone = &ctx.catalog.zone.0;
    ctx.catalog.overrides.values().map(|o| &o.spec).any(|o| {
        let begun = o.from.is_none_or(|from| from.resolve(Boundary::Start, zone) <= ctx.now);
        let mine = o.policy.as_deref().is_none_or(|p| p == policy.name.as_ref());
        o.what == OverrideSubject::Limit && mine && begun && o.until.resolve(Boundary::End, zone) > ctx.now
    })
}
