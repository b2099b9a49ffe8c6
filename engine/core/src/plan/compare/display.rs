//! A comparison in words: for a terminal, and as Markdown for a comment on a pull request.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Aspect, Change, Comparison, RefusalChange, RolloutChange, RolloutChangeKind, WaveChange, WavePlace};
use crate::time::DurationSeconds;

/// So many names of a change are written out; the JSON form has all.
const NAMES_MAX: usize = 6;

/// So many changes of one kind are written out. An edit that makes more kinds of change than this has moved nearly
/// everything, and the counts say so.
const CHANGES_MAX: usize = 25;

/// How a form marks its lines.
struct Marks {
    heading: &'static str,
    item: &'static str,
    code: &'static str,
}

const TEXT: Marks = Marks {
    heading: "",
    item: "  ",
    code: "",
};

const MARKDOWN: Marks = Marks {
    heading: "#### ",
    item: "- ",
    code: "`",
};

/// The comparison for a terminal. `base` is what it is compared with, as the user named it.
pub fn text(comparison: &Comparison, base: &str) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write(&mut out, comparison, base, &TEXT);
    out
}

/// The comparison as Markdown.
pub fn markdown(comparison: &Comparison, base: &str) -> String {
    let mut out = String::from("### What this edit changes\n\n");
    // Writing into a text cannot fail.
    let _ = write(&mut out, comparison, base, &MARKDOWN);
    out
}

fn write(out: &mut String, comparison: &Comparison, base: &str, marks: &Marks) -> fmt::Result {
    let (code, now) = (marks.code, comparison.now);
    if comparison.is_empty() {
        return writeln!(out, "Compared with {code}{base}{code} at {now}: nothing changes.");
    }
    let counts = &comparison.summary;
    write!(
        out,
        "Compared with {code}{base}{code} at {now}: {} and {} change",
        plural(counts.assets, "asset"),
        plural(counts.findings, "finding")
    )?;
    for (count, words) in [(counts.earlier, "deadlines earlier"), (counts.later, "deadlines later")] {
        if count > 0 {
            write!(out, ", {count} {words}")?;
        }
    }
    if counts.missed > 0 {
        let bold = if code.is_empty() { "" } else { "**" };
        write!(
            out,
            "; {bold}{} newly missed{bold}",
            plural(counts.missed, "wave deadline")
        )?;
    }
    writeln!(out, ".")?;
    names(out, "New assets", &comparison.assets_added, marks)?;
    names(out, "Assets gone", &comparison.assets_removed, marks)?;
    changes(out, &comparison.changes, marks)?;
    if !comparison.rollouts.is_empty() {
        heading(out, "Rollouts", marks)?;
    }
    for change in &comparison.rollouts {
        rollout(out, change, marks)?;
    }
    refusals(out, "Refused now", &comparison.refusals_added, marks)?;
    refusals(out, "Not refused any more", &comparison.refusals_removed, marks)
}

fn heading(out: &mut String, words: &str, marks: &Marks) -> fmt::Result {
    writeln!(out, "\n{}{words}", marks.heading)?;
    if marks.heading.is_empty() {
        Ok(())
    } else {
        writeln!(out)
    }
}

fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn names(out: &mut String, title: &str, names: &[Arc<str>], marks: &Marks) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    heading(out, title, marks)?;
    writeln!(out, "{}{}: {}", marks.item, names.len(), listed(names, marks))
}

fn listed(names: &[Arc<str>], marks: &Marks) -> String {
    let code = marks.code;
    let shown: Vec<String> = names
        .iter()
        .take(NAMES_MAX)
        .map(|n| format!("{code}{n}{code}"))
        .collect();
    match names.len().checked_sub(NAMES_MAX).filter(|n| *n > 0) {
        None => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

fn changes(out: &mut String, changes: &[Change], marks: &Marks) -> fmt::Result {
    let mut aspect: Option<Aspect> = None;
    let mut shown = 0;
    for change in changes {
        if aspect != Some(change.aspect) {
            aspect = Some(change.aspect);
            shown = 0;
            heading(out, title(change.aspect), marks)?;
        }
        shown += 1;
        if shown <= CHANGES_MAX {
            one(out, change, marks)?;
        } else if shown == CHANGES_MAX + 1 {
            let all = changes.iter().filter(|c| Some(c.aspect) == aspect).count();
            writeln!(
                out,
                "{}and {} more kinds of change; --format json lists them",
                marks.item,
                all - CHANGES_MAX
            )?;
        }
    }
    Ok(())
}

const fn title(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Class => "Class",
        Aspect::Status => "Status",
        Aspect::Lane => "Lane",
        Aspect::Deadline => "Deadline",
        Aspect::Wave => "Wave",
        Aspect::Window => "Window",
        Aspect::Target => "Target",
    }
}

fn one(out: &mut String, change: &Change, marks: &Marks) -> fmt::Result {
    let absent = match change.aspect {
        Aspect::Status => "no finding",
        Aspect::Wave => "not planned",
        _ => "none",
    };
    let word = |value: &Option<Arc<str>>| value.as_deref().unwrap_or(absent).to_owned();
    let (before, after) = (word(&change.before), word(&change.after));
    write!(out, "{}", marks.item)?;
    match (change.aspect, change.shift_seconds) {
        (Aspect::Deadline, Some(shift)) => {
            let way = if shift < 0 { "earlier" } else { "later" };
            write!(out, "{} {way}", DurationSeconds(shift.abs()))?;
            if before != after {
                write!(out, " ({before} → {after})")?;
            } else {
                write!(out, " ({after})")?;
            }
        }
        (Aspect::Deadline, None) if change.before.is_none() => write!(out, "gets a deadline ({after})")?,
        (Aspect::Deadline, None) => write!(out, "loses its deadline ({before})")?,
        _ => write!(out, "{before} → {after}")?,
    }
    if let Some(earliest) = change.earliest {
        write!(out, ", the earliest now {}", minute(earliest))?;
    }
    write!(out, ": {}", plural(change.assets.len(), "asset"))?;
    if change.findings > 0 {
        write!(out, ", {}", plural(change.findings, "finding"))?;
    }
    writeln!(out, " ({})", listed(&change.assets, marks))
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

fn rollout(out: &mut String, change: &RolloutChange, marks: &Marks) -> fmt::Result {
    let code = marks.code;
    let assets = match (change.kind, change.assets_before == change.assets_after) {
        (RolloutChangeKind::Added, _) => format!("new, {}", plural(change.assets_after, "asset")),
        (RolloutChangeKind::Removed, _) => format!("gone, had {}", plural(change.assets_before, "asset")),
        (RolloutChangeKind::Moved, true) => plural(change.assets_after, "asset"),
        (RolloutChangeKind::Moved, false) => {
            format!("{} → {}", change.assets_before, plural(change.assets_after, "asset"))
        }
    };
    writeln!(out, "{}{code}{}{code}: {assets}", marks.item, change.rollout)?;
    let inner = format!("  {}", marks.item);
    let both = change.kind == RolloutChangeKind::Moved;
    for (word, targets) in [("takes", &change.targets_added), ("drops", &change.targets_removed)] {
        if both && !targets.is_empty() {
            let names: Vec<Arc<str>> = targets.iter().map(|t| t.as_str().into()).collect();
            writeln!(out, "{inner}{word} {}", listed(&names, marks))?;
        }
    }
    if change.kind == RolloutChangeKind::Removed {
        return Ok(());
    }
    change
        .waves
        .iter()
        .try_for_each(|w| writeln!(out, "{inner}{}", wave(w)))
}

fn wave(change: &WaveChange) -> String {
    let words = match (&change.before, &change.after) {
        (None, Some(after)) => placed(after),
        (Some(_), None) => "gone".to_owned(),
        (Some(before), Some(after)) => moved(before, after),
        (None, None) => String::new(),
    };
    let late = if super::becomes_late(change) {
        "  ← newly missed"
    } else {
        ""
    };
    format!("{}: {words}{late}", change.wave)
}

fn placed(place: &WavePlace) -> String {
    let edge = |at: Option<Timestamp>| at.map_or_else(|| "no place in time".to_owned(), minute);
    format!("{} → {}, slack {}", edge(place.start), edge(place.finish), slack(place))
}

fn moved(before: &WavePlace, after: &WavePlace) -> String {
    let mut words = Vec::new();
    let edge = |at: Option<Timestamp>| at.map_or_else(|| "no place in time".to_owned(), minute);
    if before.start != after.start {
        words.push(format!("starts {} (was {})", edge(after.start), edge(before.start)));
    }
    if before.finish != after.finish {
        words.push(format!("finishes {} (was {})", edge(after.finish), edge(before.finish)));
    }
    if before.batches != after.batches {
        words.push(format!("batches {} (was {})", sizes(after), sizes(before)));
    }
    if before.soak_seconds != after.soak_seconds {
        let (new, old) = (
            DurationSeconds(after.soak_seconds),
            DurationSeconds(before.soak_seconds),
        );
        words.push(format!("soaks {new} (was {old})"));
    }
    if before.slack_seconds != after.slack_seconds {
        words.push(format!("slack {} (was {})", slack(after), slack(before)));
    }
    words.join(", ")
}

fn sizes(place: &WavePlace) -> String {
    let sizes: Vec<String> = place.batches.iter().map(ToString::to_string).collect();
    sizes.join("+")
}

fn slack(place: &WavePlace) -> String {
    match place.slack_seconds {
        None => "none".to_owned(),
        Some(slack) if slack < 0 => format!("-{}", DurationSeconds(-slack)),
        Some(slack) => DurationSeconds(slack).to_string(),
    }
}

fn refusals(out: &mut String, title: &str, refusals: &[RefusalChange], marks: &Marks) -> fmt::Result {
    if !refusals.is_empty() {
        heading(out, title, marks)?;
    }
    for refusal in refusals.iter().take(CHANGES_MAX) {
        let who = match refusal.assets.as_slice() {
            [] => String::new(),
            assets => format!(" ({}: {})", plural(assets.len(), "asset"), listed(assets, marks)),
        };
        writeln!(out, "{}{}{who}: {}", marks.item, refusal.reason, refusal.detail)?;
    }
    if let Some(more) = refusals.len().checked_sub(CHANGES_MAX).filter(|n| *n > 0) {
        writeln!(out, "{}and {more} more; --format json lists them", marks.item)?;
    }
    Ok(())
}
