//! # What it does
//! Warns of a cadence that cuts on Patch Tuesday before Microsoft has released, in a repository with Windows tools.
//!
//! # Why is this bad
//! The cut carries last month's updates; this month's wait for the next one.
//!
//! # Example
//! ```yaml
//! cadence: {rrule: FREQ=MONTHLY;BYDAY=2TU, start: "06:00", timezone: Europe/Berlin}
//! ```
//!
//! # Fix
//! Add `offset: 1d`, or start later than 10:00 in Redmond.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::schedule;

/// Cuts that come too early.
pub static RULE: Rule = Rule {
    name: "release_time",
    codes: &[Code::CutBeforeRelease],
    check,
};

/// Targets that patch Windows.
const WINDOWS_TARGETS: &[&str] = &["intune", "sccm", "wsus"];

/// Microsoft publishes security updates on the second Tuesday at 10:00 Pacific time (MSRC, Security Update Guide FAQ).
const RELEASE_HOUR: i8 = 10;
const RELEASE_ZONE: &str = "America/Los_Angeles";

const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// The first release after `at`, if it is on the same day in Redmond or the next.
fn next_release(at: Timestamp, redmond: &TimeZone) -> Option<Timestamp> {
    let today = at.to_zoned(redmond.clone()).date();
    [Some(today), today.tomorrow().ok()]
        .into_iter()
        .flatten()
        .find_map(|day| {
            let second_tuesday = day.weekday() == Weekday::Tuesday && (8..=14).contains(&day.day());
            let release = day
                .at(RELEASE_HOUR, 0, 0, 0)
                .to_zoned(redmond.clone())
                .ok()?
                .timestamp();
            (second_tuesday && release > at).then_some(release)
        })
}

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let windows = context.catalog.classes.values().any(|c| {
        let named = c.spec.target.iter().chain(c.spec.targets.iter().map(|t| &t.target));
        named
            .into_iter()
            .any(|target| WINDOWS_TARGETS.contains(&target.as_str()))
    });
    let Some(redmond) = TimeZone::get(RELEASE_ZONE).ok().filter(|_| windows) else {
        return;
    };
    for r in context.catalog.policies.values() {
        let Some(cadence) = &r.spec.cadence else { continue };
        let Ok(recurrence) = schedule::recurrence(cadence, &context.catalog.zone.0) else {
            continue;
        };
        let Some(cut) = recurrence.next_after(context.now) else {
            continue;
        };
        let Some(release) = next_release(cut, &redmond).filter(|release| release.duration_since(cut) < DAY) else {
            continue;
        };
        let message = format!("the next cut, {cut}, comes before Microsoft releases at {release}");
        let diagnostic = context.at_key(Code::CutBeforeRelease, r.doc, "/spec/cadence", message);
        diagnostics.push(diagnostic.help("add `offset: 1d`, or start later"));
    }
}
