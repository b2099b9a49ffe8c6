//! The rollout graph as one self-contained SVG: a column a depth of the wave graph, waves as frames, batches as boxes.
//!
//! The graph comes layered already (a wave stands one column right of the last wave it needs), so no layout library has
//! anything to find out; Graphviz takes `--format dot` where one is wanted. Texts of the plan come from feeds and are
//! escaped; the picture has a title and a description for readers that speak.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::{Batch, Plan, Rollout, Wave};
use crate::time::DurationSeconds;

/// Sizes in pixels; wide enough for `2026-11-20 12:00Z` at 12 px.
const BOX_WIDTH: usize = 190;
const BOX_HEIGHT: usize = 52;
const GAP: usize = 12;
const COLUMN: usize = BOX_WIDTH + 2 * GAP + 96;
const HEADER: usize = 26;
const MARGIN: usize = 20;

/// So many batches of a wave are drawn; a wave with more says how many.
const BATCHES_MAX: usize = 12;

/// Where a wave's frame lies.
struct Frame {
    x: usize,
    y: usize,
    height: usize,
}

/// The graph of the rollout with this name; none if the plan has none.
pub fn svg(plan: &Plan, rollout: &str) -> Option<String> {
    let found = plan.rollouts.iter().find(|r| r.name.as_ref() == rollout)?;
    let mut out = String::new();
    write(&mut out, found).ok()?;
    Some(out)
}

fn write(out: &mut String, rollout: &Rollout) -> fmt::Result {
    let frames = frames(rollout);
    let width = frames.iter().map(|f| f.x + COLUMN).max().unwrap_or(COLUMN);
    let height = frames.iter().map(|f| f.y + f.height + MARGIN).max().unwrap_or(MARGIN) + HEADER;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-labelledby=\"title desc\" font-family=\"sans-serif\" font-size=\"12\">"
    )?;
    writeln!(out, "  <title id=\"title\">{}</title>", escaped(&rollout.name))?;
    writeln!(out, "  <desc id=\"desc\">{}</desc>", escaped(&described(rollout)))?;
    writeln!(out, "  <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")?;
    writeln!(
        out,
        "  <defs><marker id=\"end\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" fill=\"#444444\"/></marker></defs>"
    )?;
    let placed: BTreeMap<&Arc<str>, &Frame> = rollout.waves.iter().map(|w| &w.name).zip(&frames).collect();
    for wave in &rollout.waves {
        arrows(out, rollout, wave, &placed)?;
    }
    for (wave, frame) in rollout.waves.iter().zip(&frames) {
        draw_wave(out, wave, frame)?;
    }
    writeln!(out, "</svg>")
}

/// One frame a wave: the column is one right of the rightmost wave it needs, waves of a column stand one below the other.
fn frames(rollout: &Rollout) -> Vec<Frame> {
    let mut depths: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    // The longest path in a graph of n waves has n - 1 edges.
    for _ in &rollout.waves {
        for wave in &rollout.waves {
            let after = wave.needs.iter().filter_map(|n| depths.get(n)).max();
            let depth = after.map_or(0, |d| d + 1);
            depths.insert(&wave.name, depth);
        }
    }
    let mut below: BTreeMap<usize, usize> = BTreeMap::new();
    let frame = |wave: &Wave| {
        let depth = depths.get(&wave.name).copied().unwrap_or_default();
        let rows = wave.batches.len().min(BATCHES_MAX) + usize::from(wave.batches.len() > BATCHES_MAX);
        let height = HEADER + rows * (BOX_HEIGHT + GAP) + GAP;
        let y = below.entry(depth).or_insert(MARGIN);
        let frame = Frame {
            x: MARGIN + depth * COLUMN,
            y: *y,
            height,
        };
        *y += height + MARGIN;
        frame
    };
    rollout.waves.iter().map(frame).collect()
}

fn described(rollout: &Rollout) -> String {
    let wave = |w: &Wave| {
        let after = if w.needs.is_empty() {
            String::new()
        } else {
            format!(" after {}", w.needs.join(" and "))
        };
        let assets: usize = w.batches.iter().map(|b| b.assets.len()).sum();
        format!(
            "{}{after}: {} batches, {assets} assets, {}",
            w.name,
            w.batches.len(),
            w.state
        )
    };
    let waves: Vec<String> = rollout.waves.iter().map(wave).collect();
    waves.join("; ")
}

fn arrows(out: &mut String, rollout: &Rollout, wave: &Wave, placed: &BTreeMap<&Arc<str>, &Frame>) -> fmt::Result {
    let Some(to) = placed.get(&wave.name) else {
        return Ok(());
    };
    for need in &wave.needs {
        let Some(from) = placed.get(need) else { continue };
        let (x1, y1) = (from.x + BOX_WIDTH + 2 * GAP, from.y + HEADER / 2);
        let (x2, y2) = (to.x, to.y + HEADER / 2);
        writeln!(
            out,
            "  <path d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#444444\" marker-end=\"url(#end)\"/>",
            x1 + 40,
            x2.saturating_sub(40)
        )?;
        let soak = rollout
            .waves
            .iter()
            .find(|w| w.name == *need)
            .map_or(0, |w| w.soak_seconds);
        if soak > 0 {
            writeln!(
                out,
                "  <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444444\">soak {}</text>",
                usize::midpoint(x1, x2),
                usize::midpoint(y1, y2).saturating_sub(6),
                DurationSeconds(soak)
            )?;
        }
    }
    Ok(())
}

fn draw_wave(out: &mut String, wave: &Wave, frame: &Frame) -> fmt::Result {
    let Frame { x, y, height } = frame;
    let late = wave.slack_seconds.is_some_and(|s| s < 0);
    let stroke = if late { "#b00020" } else { "#888888" };
    let width = BOX_WIDTH + 2 * GAP;
    writeln!(
        out,
        "  <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#f6f8fa\" stroke=\"{stroke}\"/>"
    )?;
    let slack = match wave.slack_seconds {
        None => String::new(),
        Some(s) if s < 0 => format!(", misses by {}", DurationSeconds(-s)),
        Some(s) => format!(", slack {}", DurationSeconds(s)),
    };
    let colour = if late { "#b00020" } else { "#1f2328" };
    let title = escaped(&format!("{} ({}{slack})", wave.name, wave.state));
    writeln!(
        out,
        "  <text x=\"{}\" y=\"{}\" font-weight=\"bold\" fill=\"{colour}\">{title}</text>",
        x + GAP,
        y + 18
    )?;
    for (row, batch) in wave.batches.iter().take(BATCHES_MAX).enumerate() {
        draw_batch(out, batch, x + GAP, y + HEADER + row * (BOX_HEIGHT + GAP))?;
    }
    if let Some(more) = wave.batches.len().checked_sub(BATCHES_MAX).filter(|n| *n > 0) {
        let at = y + HEADER + BATCHES_MAX * (BOX_HEIGHT + GAP) + 30;
        writeln!(
            out,
            "  <text x=\"{}\" y=\"{at}\" fill=\"#444444\">and {more} more batches</text>",
            x + GAP
        )?;
    }
    Ok(())
}

fn draw_batch(out: &mut String, batch: &Batch, x: usize, y: usize) -> fmt::Result {
    let names: Vec<&str> = batch.assets.iter().map(|a| a.name.as_ref()).collect();
    writeln!(
        out,
        "  <g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"4\" fill=\"#ffffff\" \
         stroke=\"#57606a\"/>",
        escaped(&names.join(", "))
    )?;
    let when = batch.start.map_or_else(
        || "no place in time".to_owned(),
        |start| start.strftime("%Y-%m-%d %H:%MZ").to_string(),
    );
    let who = match names.as_slice() {
        [one] => shortened(one),
        many => format!("{} assets", many.len()),
    };
    for (line, words) in [format!("{}  {when}", batch.id), batch.window.name.to_string(), who]
        .iter()
        .enumerate()
    {
        let words = escaped(&shortened(words));
        writeln!(
            out,
            "    <text x=\"{}\" y=\"{}\">{words}</text>",
            x + 8,
            y + 16 + line * 15
        )?;
    }
    writeln!(out, "  </g>")
}

/// What fits into a box.
fn shortened(text: &str) -> String {
    const FITS: usize = 28;
    if text.chars().count() <= FITS {
        return text.to_owned();
    }
    text.chars().take(FITS - 1).chain(['…']).collect()
}

/// Text as content of an element or attribute; what XML does not allow at all becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
