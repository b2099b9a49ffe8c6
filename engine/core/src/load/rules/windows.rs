//! # What it does
//! Reads every recurrence: windows, cadences, recurring freezes. A window must have an opening in which a batch can start.
//!
//! # Why is this bad
//! A class whose window never opens is never patched; its findings run into their deadlines one after the other.
//!
//! # Example
//! ```yaml
//! schedules: [{rrule: FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30, start: "22:00", duration: 4h}]
//! ```
//!
//! # Fix
//! Correct the rule. `patchwave windows NAME` shows the next openings.

use jiff::{Timestamp, tz};

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest};
use crate::load::schedule::{self, ScheduleFault};
use crate::load::wire::Schedule;
use crate::source::DocId;
use crate::time::{FreezeSet, Window};

/// Recurrences that cannot be read and windows that never open.
pub static RULE: Rule = Rule {
    name: "windows",
    codes: &[Code::WrongValue, Code::WindowNeverOpens, Code::WindowOver],
    check,
};

/// The existing zone nearest to a wrong name.
pub(super) fn nearest_zone(wrong: &str) -> Option<String> {
    let names: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
    nearest(wrong, names.iter().map(String::as_str))
        .or_else(|| Some("write an IANA name such as `Europe/Berlin` or `UTC`".into()))
}

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for r in context.catalog.policies.values() {
        if let Some(cadence) = &r.spec.cadence {
            recurrence(context, r.doc, "/spec/cadence", cadence, diagnostics);
        }
    }
    for r in context.catalog.freezes.values() {
        if let Some(rule) = &r.spec.rule {
            recurrence(
                context,
                r.doc,
                "/spec/rule",
                &schedule::opening_start(rule),
                diagnostics,
            );
        }
    }
    for r in context.catalog.windows.values() {
        let window = match schedule::window(r, context.catalog) {
            Ok(window) => window,
            Err(faults) => {
                for (i, fault) in faults {
                    report(context, r.doc, &format!("/spec/schedules/{i}"), &fault, diagnostics);
                }
                continue;
            }
        };
        for (i, schedule) in window.schedules.iter().enumerate() {
            let pointer = format!("/spec/schedules/{i}");
            let (what, why) = if schedule.recurrence.is_impossible() {
                ("rrule", "this rule has no occurrence at all")
            } else if schedule.duration_seconds <= 0 {
                ("duration", "an opening without length is no opening")
            } else {
                continue;
            };
            let message = format!("{why}, so the window never opens here");
            let diagnostic = context.at(Code::WindowNeverOpens, r.doc, &format!("{pointer}/{what}"), message);
            diagnostics.push(diagnostic.help("correct it; `patchwave windows` shows the next openings"));
        }
        let longest = window.schedules.iter().map(|s| s.duration_seconds).max().unwrap_or(0);
        if !window.never_opens() && window.cutoff_seconds >= longest && !has_long_opening(&window, context.now) {
            let message = format!(
                "no batch could ever start: `cutoff: {}` is not shorter than any opening",
                r.spec.cutoff
            );
            diagnostics.push(
                context
                    .at(Code::WindowNeverOpens, r.doc, "/spec/cutoff", message)
                    .help("no batch starts this long before the end of an opening: write less, or longer openings"),
            );
        } else if ends(r.spec.schedules.iter().map(|s| s.rrule.as_str())) && !window.never_opens() {
            let status = window.status(context.now, &FreezeSet::EMPTY);
            if status.closed && status.next_open.is_none() {
                let message = format!("the window `{}` has had its last opening", r.name);
                let diagnostic = context.at(Code::WindowOver, r.doc, "/spec/schedules", message);
                diagnostics.push(diagnostic.help("remove UNTIL or COUNT, or the window"));
            }
        }
    }
}

/// Whether openings that touch make one longer than the cutoff, as `FREQ=DAILY` with 24 h does.
fn has_long_opening(window: &Window, now: Timestamp) -> bool {
    /// A year of nights: a pattern of openings that never repeats within it is no pattern.
    const LOOKED_AT_MAX: usize = 400;
    let freezes = FreezeSet::EMPTY;
    let mut openings = window.openings(now, &freezes).take(LOOKED_AT_MAX);
    openings.any(|o| match (o.start, o.end) {
        (Some(start), Some(end)) => end.duration_since(start).as_secs() > window.cutoff_seconds,
        _ => true,
    })
}

/// Only a rule with an end can be over; asking the others would search for nothing.
fn ends<'a>(mut rules: impl Iterator<Item = &'a str>) -> bool {
    rules.all(|rule| {
        let rule = rule.to_ascii_uppercase();
        rule.contains("UNTIL") || rule.contains("COUNT")
    })
}

fn recurrence(context: &Context<'_>, doc: DocId, pointer: &str, schedule: &Schedule, diagnostics: &mut Diagnostics) {
    match schedule::recurrence(schedule, &context.catalog.zone.0) {
        Ok(recurrence) if recurrence.is_impossible() => {
            let pointer = format!("{pointer}/rrule");
            let diagnostic = context.at(
                Code::WindowNeverOpens,
                doc,
                &pointer,
                "this rule has no occurrence at all",
            );
            diagnostics.push(diagnostic.help("correct the rule"));
        }
        Ok(_) => {}
        Err(faults) => faults
            .iter()
            .for_each(|fault| report(context, doc, pointer, fault, diagnostics)),
    }
}

fn report(context: &Context<'_>, doc: DocId, pointer: &str, fault: &ScheduleFault, diagnostics: &mut Diagnostics) {
    let pointer = format!("{pointer}/{}", fault.field());
    let diagnostic = context.at(Code::WrongValue, doc, &pointer, fault.to_string());
    diagnostics.push(match fault {
        ScheduleFault::Zone(name) => diagnostic.maybe_help(nearest_zone(name)),
        _ => diagnostic,
    });
}
