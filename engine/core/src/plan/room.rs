//! Whether assets can be taken down now: asked where something runs that no wave planned, such as a way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::budget::{Bookings, Budgets};
use super::context::Context;
use super::schedule;
use crate::assess::Assessment;
use crate::history::History;
use crate::load::Catalog;
use crate::observe::Observation;

/// What is down at this instant is what counts; any span has to be given an end, and a second ends before anything changes.
const INSTANT: SignedDuration = SignedDuration::from_secs(1);

/// Why `assets` cannot be down together at `now`, beside what is down already; none = there is room. An asset that is down
/// already takes no further place.
pub fn no_room(
    catalog: &Catalog,
    observation: &Observation,
    assessment: &Assessment,
    history: &History,
    assets: &BTreeSet<Arc<str>>,
    now: Timestamp,
) -> Option<String> {
    let ctx = Context::new(catalog, observation, assessment, history, now);
    let budgets = Budgets::new(&ctx);
    let mut bookings = Bookings::default();
    schedule::book_running(&ctx, &budgets, &mut bookings);
    let end = now.saturating_add(INSTANT).unwrap_or(Timestamp::MAX);
    let mut used = BTreeSet::new();
    for name in assets {
        let Some(asset) = ctx.asset_index(name) else {
            return Some(format!(
                "{name} is in no fleet any more, so what it keeps up is not known"
            ));
        };
        if bookings.busy_until(asset, now, end).is_none() {
            bookings.book(&budgets, asset, now, end);
            used.extend(budgets.of(asset).iter().copied());
        }
    }
    let mut full = used.into_iter().filter_map(|id| {
        let budget = budgets.get(id)?;
        let down = bookings.peak(id, now, end);
        (down > budget.limit).then(|| format!("{}: {down} of at most {} would be down", budget.label, budget.limit))
    });
    full.next()
}
