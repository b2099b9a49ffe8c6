//! The plan in words: what happens when, to whom, why, and what does not.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use jiff::Timestamp;

use super::json::summary;
use super::{Batch, Plan, Refusal, Rollout, Wave};
use crate::history::WaveState;
use crate::load::wire::Lane;
use crate::time::DurationSeconds;

/// So many names of a batch are written out; a larger batch says how many more there are.
const NAMES_MAX: usize = 8;

/// So many targets of a rollout are written out. An estate that was left alone for a year has hundreds, and the waves
/// below them are what one looks for.
const TARGETS_MAX: usize = 20;

/// So many refusals of one reason are written out; the JSON form has all.
const REFUSALS_MAX: usize = 10;

/// The plan as text for a terminal, times in UTC.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write_plan(&mut out, plan);
    out
}

fn write_plan(out: &mut String, plan: &Plan) -> fmt::Result {
    let counts = summary(plan);
    writeln!(
        out,
        "Plan at {}: {}, {}, {}; {} wait, {} refused",
        plan.now,
        count(counts.rollouts, "rollout"),
        count(counts.assets, "asset"),
        count(counts.batches, "batch"),
        count(counts.waiting, "finding"),
        counts.refusals,
    )?;
    for rollout in &plan.rollouts {
        write_rollout(out, rollout)?;
    }
    if !plan.waiting.is_empty() {
        writeln!(out, "\nWaiting")?;
    }
    for waiting in &plan.waiting {
        writeln!(
            out,
            "  {}: {} until the cut at {}",
            waiting.policy,
            count(waiting.findings, "finding"),
            waiting.cut
        )?;
    }
    write_refusals(out, &plan.refusals)?;
    if !plan.notes.is_empty() {
        writeln!(out, "\nNotes")?;
    }
    for note in &plan.notes {
        writeln!(out, "  {}: {}", note.subject, note.message)?;
    }
    Ok(())
}

fn write_rollout(out: &mut String, rollout: &Rollout) -> fmt::Result {
    let lane = match (rollout.lane, rollout.expedited) {
        (Lane::Emergency, _) => "emergency lane",
        (Lane::Routine, true) => "routine, expedited: the next cut would be too late",
        (Lane::Routine, false) => "routine",
    };
    writeln!(
        out,
        "\nRollout {} (revision {}; {lane})",
        rollout.name, rollout.revision
    )?;
    writeln!(
        out,
        "  policy {}, strategy {}, cut {}",
        rollout.policy, rollout.strategy, rollout.cut
    )?;
    for target in rollout.targets.iter().take(TARGETS_MAX) {
        let stream = target.module.as_deref().map_or_else(String::new, |m| format!(" ({m})"));
        writeln!(
            out,
            "  {}{stream} to {} on {} {} {}",
            target.name, target.version, target.os_id, target.os_major, target.arch
        )?;
    }
    if let Some(more) = rollout.targets.len().checked_sub(TARGETS_MAX).filter(|n| *n > 0) {
        writeln!(out, "  and {more} more targets; --format json lists them")?;
    }
    let advisories: Vec<&str> = rollout.advisories.iter().map(AsRef::as_ref).collect();
    if !advisories.is_empty() {
        writeln!(out, "  closes {}", shortened(&advisories))?;
    }
    if !rollout.reproducible {
        writeln!(out, "  not reproducible: nothing freezes the content between the waves")?;
    }
    if rollout.installability_unknown {
        writeln!(
            out,
            "  installability unknown: some assets do not say what they could install"
        )?;
    }
    rollout.waves.iter().try_for_each(|wave| write_wave(out, wave))
}

fn write_wave(out: &mut String, wave: &Wave) -> fmt::Result {
    let needs: Vec<&str> = wave.needs.iter().map(AsRef::as_ref).collect();
    let after = if needs.is_empty() {
        String::new()
    } else {
        format!(", after {}", needs.join(" and "))
    };
    write!(out, "  Wave {} ({}{after}", wave.name, wave.state)?;
    if wave.soak_seconds > 0 {
        write!(out, ", soaks {}", DurationSeconds(wave.soak_seconds))?;
    }
    writeln!(
        out,
        "{})",
        if wave.extra_approval {
            ", one more approval: nothing has proved it"
        } else {
            ""
        }
    )?;
    let mut day = None;
    for batch in &wave.batches {
        write_batch(out, batch, &mut day)?;
    }
    if wave.estimate_assumed {
        writeln!(out, "    durations are assumed: the strategy has no estimate")?;
    }
    match (wave.deadline, wave.slack_seconds) {
        (Some(deadline), Some(slack)) if slack < 0 => {
            writeln!(out, "    MISSES the deadline {deadline} by {}", DurationSeconds(-slack))?;
        }
        (Some(deadline), Some(slack)) => {
            writeln!(out, "    deadline {deadline}, slack {}", DurationSeconds(slack))?;
        }
        (Some(deadline), None) => writeln!(out, "    deadline {deadline}, without a finish")?,
        (None, _) => {}
    }
    wave.fixes
        .iter()
        .try_for_each(|fix| writeln!(out, "    would help: {fix}"))
}

fn write_batch(out: &mut String, batch: &Batch, day: &mut Option<String>) -> fmt::Result {
    let names: Vec<&str> = batch.assets.iter().map(|a| a.name.as_ref()).collect();
    let names = shortened(&names);
    let (Some(start), Some(finish)) = (batch.start, batch.finish) else {
        let why = batch
            .blocked
            .map_or_else(String::new, |b| format!(": {b:?}").to_lowercase());
        return writeln!(out, "    {}  no place in time{why}  {names}", batch.id);
    };
    let date = start.strftime("%a %Y-%m-%d").to_string();
    let shown = if day.as_ref() == Some(&date) {
        " ".repeat(date.len())
    } else {
        date.clone()
    };
    *day = Some(date);
    let mark = match (batch.released, batch.overruns) {
        (true, _) => "  (released)",
        (false, true) => "  (longer than any opening)",
        (false, false) => "",
    };
    writeln!(
        out,
        "    {}  {shown} {} → {}  {}  {names}{mark}",
        batch.id,
        clock(start),
        clock(finish),
        batch.window.name
    )
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%MZ").to_string()
}

fn write_refusals(out: &mut String, refusals: &[Refusal]) -> fmt::Result {
    if !refusals.is_empty() {
        writeln!(out, "\nRefused")?;
    }
    let mut by_reason: BTreeMap<&str, Vec<&Refusal>> = BTreeMap::new();
    refusals
        .iter()
        .for_each(|r| by_reason.entry(&r.reason).or_default().push(r));
    for (reason, list) in by_reason {
        for refusal in list.iter().take(REFUSALS_MAX) {
            let asset = if refusal.asset.is_empty() {
                String::new()
            } else {
                format!(" {}", refusal.asset)
            };
            writeln!(out, "  {reason}{asset}: {}", refusal.detail)?;
            refusal
                .fixes
                .iter()
                .try_for_each(|fix| writeln!(out, "    would help: {fix}"))?;
        }
        if let Some(more) = list.len().checked_sub(REFUSALS_MAX).filter(|n| *n > 0) {
            writeln!(out, "  {reason}: and {more} more; --format json lists them")?;
        }
    }
    Ok(())
}

fn shortened(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).copied().collect();
    match names.len().checked_sub(NAMES_MAX).filter(|n| *n > 0) {
        None => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

fn count(n: usize, what: &str) -> String {
    let plural = if what.ends_with("ch") { "es" } else { "s" };
    format!("{n} {what}{}", if n == 1 { "" } else { plural })
}

/// The plan as Markdown: a table a rollout, for pull requests and run summaries.
pub fn markdown(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write_markdown(&mut out, plan);
    out
}

fn write_markdown(out: &mut String, plan: &Plan) -> fmt::Result {
    writeln!(out, "## Plan at {}\n", plan.now)?;
    if plan.rollouts.is_empty() {
        writeln!(out, "Nothing is to be done.")?;
    }
    for rollout in &plan.rollouts {
        writeln!(
            out,
            "### `{}` ({}, revision {})\n",
            rollout.name,
            rollout.lane.as_str(),
            rollout.revision
        )?;
        writeln!(
            out,
            "| wave | state | batches | window | start → finish (UTC) | slack |\n| --- | --- | --- | --- | --- | --- |"
        )?;
        for wave in &rollout.waves {
            markdown_row(out, wave)?;
        }
        writeln!(out)?;
    }
    for waiting in &plan.waiting {
        writeln!(
            out,
            "- `{}`: {} until {}",
            waiting.policy,
            count(waiting.findings, "finding"),
            waiting.cut
        )?;
    }
    for refusal in &plan.refusals {
        let fixes = if refusal.fixes.is_empty() {
            String::new()
        } else {
            format!(" ({})", refusal.fixes.join("; "))
        };
        writeln!(
            out,
            "- refused `{}` {}: {}{fixes}",
            refusal.reason, refusal.asset, refusal.detail
        )?;
    }
    Ok(())
}

fn markdown_row(out: &mut String, wave: &Wave) -> fmt::Result {
    let sizes: Vec<String> = wave.batches.iter().map(|b| b.assets.len().to_string()).collect();
    let windows: std::collections::BTreeSet<&str> = wave.batches.iter().map(|b| b.window.name.as_ref()).collect();
    let windows: Vec<&str> = windows.into_iter().filter(|w| !w.is_empty()).collect();
    let edge =
        |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
    let start = wave.batches.iter().filter_map(|b| b.start).min();
    let finish = wave.batches.iter().filter_map(|b| b.finish).max();
    let slack = match wave.slack_seconds {
        None => String::new(),
        Some(slack) if slack < 0 => format!("**missed by {}**", DurationSeconds(-slack)),
        Some(slack) => DurationSeconds(slack).to_string(),
    };
    let state = if wave.state == WaveState::Pending {
        "pending"
    } else {
        wave.state.as_str()
    };
    writeln!(
        out,
        "| {} | {state} | {} | {} | {} → {} | {slack} |",
        wave.name,
        sizes.join(" + "),
        windows.join(", "),
        edge(start),
        edge(finish)
    )
}
