//! What a plan says besides its rollouts: where it had to decide something that a person might want otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Wave;
use super::carry::loads;
use super::carry::name_of;
use super::context::{Context, Said, ServiceGroup};
use super::matching;
use super::prepare::{Prepared, PreparedWave};

/// Notes everything there is to say about `waves` and what they were made from.
pub(super) fn remark(ctx: &Context<'_>, said: &mut Said, prepared: &[Prepared<'_>], waves: &[Vec<Wave>]) {
    unordered(ctx, said);
    unreadable_freezes(ctx, said);
    prepared.iter().for_each(|p| unneeded(said, p));
    waves.iter().flatten().for_each(|w| endless_platforms(ctx, said, w));
}

/// Members of a service whose label the `order` of the service does not name.
fn unordered(ctx: &Context<'_>, said: &mut Said) {
    for group in &ctx.services.groups {
        let Some(order) = &group.spec.order else { continue };
        let ranked = |m: &&u32| {
            let value = ctx.asset(**m).and_then(|a| a.label(&order.label));
            value.is_some_and(|v| order.values.iter().any(|x| x == v))
        };
        let others: Vec<&u32> = group.members.iter().filter(|m| !ranked(m)).collect();
        let Some(first) = others.first() else { continue };
        let message = format!(
            "{} of {} members of service {} in {} have none of the values of label `{}` that its `order` names ({} is \
             the first): they go last",
            others.len(),
            group.members.len(),
            group.spec.name,
            group.environment,
            order.label,
            name_of(ctx, **first)
        );
        said.note(&group.spec.name.as_str().into(), message);
    }
}

/// Freezes whose condition cannot be judged for some assets: they hold for those, because unknown is not fine.
fn unreadable_freezes(ctx: &Context<'_>, said: &mut Said) {
    let conditional = ctx.catalog.freezes.iter().filter(|(_, f)| f.spec.when.is_some());
    for (name, freeze) in conditional {
        let (mut count, mut first) = (0_usize, None);
        for (index, asset) in (0_u32..).zip(&ctx.observation.assets) {
            let spec = &freeze.spec;
            let class = ctx.class(index);
            let judged = matching::matches(ctx.catalog, asset, class, spec.selector.as_ref(), spec.when.as_deref());
            if let Err(error) = judged {
                count += 1;
                first.get_or_insert_with(|| format!("{}: {error}", asset.name));
            }
        }
        if let Some(first) = first {
            let at = ctx.catalog.at(freeze.doc, "/spec/when");
            let place = if at.is_empty() { at } else { format!(" ({at})") };
            let message =
                format!("its `when`{place} cannot be judged for {count} assets, so it holds for them; {first}");
            said.note(name, message);
        }
    }
}

/// Targets of an open rollout that help no open finding any more, although somebody is still to take them.
fn unneeded(said: &mut Said, prepared: &Prepared<'_>) {
    let Some(open) = prepared.draft.open else { return };
    let everyone = || prepared.waves.iter().flat_map(PreparedWave::everyone);
    let target_of = |hit: &u32| prepared.covers.get(*hit as usize).copied().flatten();
    let asked: BTreeSet<usize> = loads(everyone())
        .iter()
        .flat_map(|l| l.hits.iter())
        .filter_map(target_of)
        .collect();
    let left = prepared.waves.iter().filter(|w| !w.state().is_final());
    let taken = loads(left.flat_map(PreparedWave::everyone));
    let taken: BTreeSet<usize> = taken.iter().flat_map(|l| l.targets.iter().copied()).collect();
    let unneeded: Vec<&str> = taken
        .difference(&asked)
        .filter_map(|t| prepared.draft.targets.get(*t))
        .map(|t| t.name.as_ref())
        .collect();
    if let Some(first) = unneeded.first() {
        let message = format!(
            "{} of its {} targets help no open finding any more ({first} is the first): their advisories were withdrawn, \
             or the findings are held, excepted or fixed by other means; close the rollout if nothing of it is wanted",
            unneeded.len(),
            prepared.draft.targets.len()
        );
        said.note(&open.name, message);
    }
}

/// A platform is never in the window of what it serves; where the window never ends, there is no other to be in.
fn endless_platforms(ctx: &Context<'_>, said: &mut Said, wave: &Wave) {
    let endless = wave
        .batches
        .iter()
        .filter(|b| b.start.is_some() && b.window.end.is_none());
    let mut assets: Vec<u32> = endless
        .flat_map(|b| &b.assets)
        .filter_map(|a| ctx.asset_index(&a.name))
        .collect();
    assets.sort_unstable();
    let groups: BTreeSet<u32> = assets.iter().flat_map(|a| ctx.services.of(*a)).copied().collect();
    let inside = |id: &u32| {
        let group = ctx.services.group(*id)?;
        group
            .members
            .iter()
            .any(|m| assets.binary_search(m).is_ok())
            .then_some(group)
    };
    for platform in groups.iter().filter_map(inside).filter(|g| g.spec.platform) {
        let serves =
            |g: &&ServiceGroup<'_>| g.fleet == platform.fleet && g.spec.depends_on.contains(&platform.spec.name);
        let Some(served) = groups.iter().filter_map(inside).find(serves) else {
            continue;
        };
        let name: Arc<str> = platform.spec.name.as_str().into();
        let message = format!(
            "platform service {name} goes before service {} in one and the same window, because that window never ends; \
             give one of them a window with an end to keep them apart",
            served.spec.name
        );
        said.note(&name, message);
    }
}
