//! What a render target cannot promise for a class: told before anything is rendered, with what could be done instead.
//!
//! A target says in its `target.yaml` what it can do; a class says what it needs. Where the two do not meet, the asset is
//! refused, because a promise of the class that the tool silently drops (a hook, a backup, a closed window) is worse than
//! a patch that waits.

use super::calendar::{CalendarId, Calendars};
use super::context::Context;
use super::reversible::reversibility;
use crate::load::wire::{
    AssetClassSpec, Content, Delivery, HookReach, LateClients, Need, PatchPolicySpec, RebootControl, RebootPolicy,
    TargetSpec,
};
use crate::load::{BUILTIN_TARGETS, Catalog};
use crate::observe::Asset;
use crate::time::FreezeSet;

/// What one asset asks of its tool besides its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    /// Its window is closed at times.
    pub(super) has_closed_times: bool,
    /// It is a member of a service whose members keep each other up.
    pub(super) has_role: bool,
    /// Facts a tool may need, as far as they were observed.
    updates: bool,
    content: bool,
    kubernetes: bool,
    gpu: bool,
}

impl Asked {
    pub(super) fn of(ctx: &Context<'_>, asset: u32, has_closed_times: bool) -> Self {
        let services = ctx.services.of(asset).iter().filter_map(|id| ctx.services.group(*id));
        let facts = ctx.asset(asset).map(|a: &Asset| &a.facts);
        Self {
            has_closed_times,
            has_role: services.into_iter().any(|group| group.spec.ha.is_some()),
            updates: facts.is_some_and(|f| f.updates.is_some()),
            content: facts.is_some_and(|f| f.content.is_some()),
            kubernetes: facts.is_some_and(|f| f.kubernetes.is_some()),
            gpu: facts.is_some_and(|f| f.gpu.is_some()),
        }
    }

    fn has(self, need: Need) -> bool {
        match need {
            Need::Updates => self.updates,
            Need::Content => self.content,
            Need::Kubernetes => self.kubernetes,
            Need::Gpu => self.gpu,
        }
    }
}

/// Whether a calendar's window is closed at times; freezes are told elsewhere.
pub(super) fn has_closed_times(ctx: &Context<'_>, calendars: &Calendars, id: CalendarId) -> bool {
    let first = calendars
        .window(id)
        .and_then(|w| w.openings(ctx.now, &FreezeSet::EMPTY).next());
    !first.is_some_and(|opening| opening.end.is_none() && opening.start.is_none_or(|start| start <= ctx.now))
}

/// Something a target cannot promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shortfall {
    /// What is asked, in words that follow "asks for".
    pub(super) asks: String,
    /// Why the target cannot, in words that follow "because it".
    pub(super) because: &'static str,
    /// Where the class asks (RFC 6901 below its document); empty where something else does.
    pub(super) pointer: &'static str,
    /// What would do.
    pub(super) fix: String,
}

fn shortfall(
    asks: impl Into<String>,
    because: &'static str,
    pointer: &'static str,
    fix: impl Into<String>,
) -> Shortfall {
    Shortfall {
        asks: asks.into(),
        because,
        pointer,
        fix: fix.into(),
    }
}

/// Everything `target` cannot promise for an asset of `class` under `policy`, in a fixed order.
pub(super) fn shortfalls(
    target: &TargetSpec,
    (name, class): (&str, &AssetClassSpec),
    policy: &PatchPolicySpec,
    catalog: &Catalog,
    asked: Asked,
) -> Vec<Shortfall> {
    let mut found = about_protection(target, (name, class), asked);
    found.extend(about_hooks(target, (name, class), catalog));
    found.extend(about_time(target, (name, class), policy, asked));
    found.extend(about_facts(target, asked));
    found
}

fn about_protection(target: &TargetSpec, (name, class): (&str, &AssetClassSpec), asked: Asked) -> Vec<Shortfall> {
    let can = &target.capabilities;
    let mut found = Vec::new();
    let protection = &class.protection;
    if !can.can_return(reversibility(class)) {
        found.push(shortfall(
            format!("rollback `{}`", protection.rollback),
            "has no such way back",
            "/spec/protection/rollback",
            format!("set `protection.rollback: none` in class {name} and say so in the review"),
        ));
    }
    if protection.backup != "none" && !can.backups.contains(&protection.backup) {
        found.push(shortfall(
            format!("backup `{}`", protection.backup),
            "cannot take it just before an asset is touched",
            "/spec/protection/backup",
            format!("set `protection.backup: none` in class {name} and take it by another job"),
        ));
    }
    if class.content != Content::None && !target.content.contains(&class.content) {
        found.push(shortfall(
            format!("content `{}`", class.content.as_str()),
            "does not freeze it between the waves",
            "/spec/content",
            format!("set `content: none` in class {name}; the rollout is then marked not reproducible"),
        ));
    }
    if protection.max_age.is_some() && !can.backup_evidence {
        found.push(shortfall(
            "a backup not older than `maxAge`",
            "does not look at backups",
            "/spec/protection/maxAge",
            format!("remove `protection.maxAge` of class {name}"),
        ));
    }
    if asked.has_role && !can.roles {
        found.push(shortfall(
            "the role of a service's member just before it is touched",
            "cannot read it",
            "",
            "remove `ha` of the service only where losing two members at once does no harm",
        ));
    }
    found
}

fn about_hooks(target: &TargetSpec, (name, class): (&str, &AssetClassSpec), catalog: &Catalog) -> Vec<Shortfall> {
    let can = &target.capabilities;
    let hooks = &class.hooks;
    let mut found = Vec::new();
    let near = [
        &hooks.before_asset,
        &hooks.after_asset,
        &hooks.on_failure,
        &hooks.always,
    ];
    let far = [&hooks.before_batch, &hooks.after_batch];
    if near.iter().any(|list| !list.is_empty()) && can.hooks < HookReach::Asset {
        found.push(shortfall(
            "hooks around each asset",
            "does not know when an asset begins and ends",
            "/spec/hooks",
            format!("use `beforeBatch` and `afterBatch` in class {name}"),
        ));
    }
    if far.iter().any(|list| !list.is_empty()) && can.hooks < HookReach::Batch {
        found.push(shortfall(
            "hooks around a batch",
            "runs none",
            "/spec/hooks",
            format!("remove the hooks of class {name}, or run them by a job of their own"),
        ));
    }
    let suites = class
        .validation
        .iter()
        .filter_map(|suite| catalog.suites.get(suite.as_str()));
    let checks: Vec<_> = suites.flat_map(|suite| &suite.spec.checks).collect();
    if !can.workloads && checks.iter().any(|check| check.workload.is_some()) {
        found.push(shortfall(
            "a workload before and after (`validation`)",
            "measures none",
            "/spec/validation",
            format!(
                "take the suite with `workload` out of class {name}, and let a gate of the strategy look at its figure"
            ),
        ));
    }
    if !can.checks
        && checks
            .iter()
            .any(|check| check.command.is_some() || check.http.is_some())
    {
        found.push(shortfall(
            "checks on the asset (`validation`)",
            "runs none",
            "/spec/validation",
            "use checks by `promql`, which the engine asks itself",
        ));
    }
    found
}

fn about_time(
    target: &TargetSpec,
    (name, class): (&str, &AssetClassSpec),
    policy: &PatchPolicySpec,
    asked: Asked,
) -> Vec<Shortfall> {
    let can = &target.capabilities;
    let mut found = Vec::new();
    if asked.has_closed_times && !can.not_before {
        found.push(shortfall(
            "a window that is closed at times",
            "cannot keep an asset from beginning before it opens",
            "/spec/window",
            format!("give class {name} a window that never closes, if its assets may be touched at any time"),
        ));
    }
    if asked.has_closed_times && can.control == Delivery::Pull && can.late_clients == LateClients::Install {
        found.push(shortfall(
            "a window that is closed at times",
            "lets a client that missed the window install when it comes back",
            "/spec/window",
            format!("give class {name} a window that never closes, if its assets may be touched at any time"),
        ));
    }
    if policy.requires.tested && !can.pins {
        found.push(shortfall(
            "exactly what earlier waves tested (`requires.tested`)",
            "installs whatever is newest when it runs",
            "",
            "set `requires.tested: false` in the policy, if that is acceptable",
        ));
    }
    found.extend(about_reboots(target, (name, class)));
    found
}

/// What the class says of reboots that the target does not do.
///
/// What needs a reboot and gets none never shows what the wave brought, so a tool that never reboots suits `ifNeeded` only
/// where nothing it installs is a package: a new kubelet runs without one.
fn about_reboots(target: &TargetSpec, (name, class): (&str, &AssetClassSpec)) -> Option<Shortfall> {
    let can = &target.capabilities;
    let asked = |because, fix: String| {
        let asks = format!("`reboot: {}`", class.disruption.reboot.as_str());
        Some(shortfall(asks, because, "/spec/disruption/reboot", fix))
    };
    match (class.disruption.reboot, can.reboot) {
        (RebootPolicy::Never, RebootControl::Client) => asked(
            "leaves reboots to the client",
            format!("set `disruption.reboot: ifNeeded` in class {name}"),
        ),
        (RebootPolicy::Always, RebootControl::Client) => asked(
            "leaves reboots to the client, which reboots only if it needs to",
            format!("set `disruption.reboot: ifNeeded` in class {name}"),
        ),
        (RebootPolicy::IfNeeded, RebootControl::None) if target.ecosystems.is_empty() => None,
        (RebootPolicy::IfNeeded | RebootPolicy::Always, RebootControl::None) => {
            let by = if can.hooks == HookReach::Asset {
                "a hook in `afterAsset` or another target"
            } else {
                "another target"
            };
            asked(
                "never reboots",
                format!("set `disruption.reboot: never` in class {name} and reboot by {by}"),
            )
        }
        _ => None,
    }
}

fn about_facts(target: &TargetSpec, asked: Asked) -> Vec<Shortfall> {
    let missing = target.needs.iter().filter(|need| !asked.has(**need));
    missing
        .map(|need| {
            shortfall(
                "an update of an asset that was not fully observed",
                need.why(),
                "",
                format!("add a source that reports `{}` of it", need.as_str()),
            )
        })
        .collect()
}

/// Names of the targets of the engine that promise all of it, of those that install or update the same.
pub(super) fn instead(can_do: impl Fn(&TargetSpec) -> bool, short: impl Fn(&TargetSpec) -> bool) -> Vec<&'static str> {
    let all = BUILTIN_TARGETS.iter();
    all.filter(|(_, spec)| can_do(spec) && !short(spec))
        .map(|(name, _)| name.as_str())
        .collect()
}
