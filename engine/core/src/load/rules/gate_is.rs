//! # What it does
//! Checks the comparison of a gate (`is`) and its `status`, and warns of a gate that must hold (`for`) longer than the soak of its wave.
//!
//! # Why is this bad
//! A comparison that cannot be read never passes, and every rollout stops there. A gate's `for` runs inside the soak: a
//! longer one makes the wave take as long as the gate, which is planned so but easily overlooked.
//!
//! # Example
//! ```yaml
//! waves: [{name: test, soak: 1h, gates: [{promql: up, is: "= 1", for: 2h}]}]
//! ```
//!
//! # Fix
//! Write `is: "== 1"`, with one of `==`, `!=`, `<`, `<=`, `>`, `>=` and a number, and a soak at least as long as `for`.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};
use crate::load::Comparison;
use crate::load::known::GATE_STATUSES;
use crate::load::wire::{Gate, WaveSpec};
use crate::source::DocId;

/// What a gate asks of its samples.
pub static RULE: Rule = Rule {
    name: "gate_is",
    codes: &[Code::WrongValue, Code::WrongCombination, Code::GateOutlastsSoak],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for r in context.catalog.strategies.values() {
        for (w, wave) in r.spec.waves.iter().enumerate() {
            for (g, gate) in wave.gates.iter().enumerate() {
                let pointer = format!("/spec/waves/{w}/gates/{g}");
                comparison(context, r.doc, &pointer, gate, diagnostics);
                status(context, r.doc, &pointer, gate, diagnostics);
                held(context, r.doc, &pointer, wave, gate, diagnostics);
            }
        }
    }
}

fn comparison(context: &Context<'_>, doc: DocId, pointer: &str, gate: &Gate, diagnostics: &mut Diagnostics) {
    let Some(is) = gate.is.as_deref() else { return };
    let pointer = format!("{pointer}/is");
    if gate.promql.is_none() {
        let message = "`is` compares the samples of a `promql` gate, and this gate has none";
        let diagnostic = context.at_key(Code::WrongCombination, doc, &pointer, message);
        diagnostics.push(diagnostic.help("remove it"));
    } else if Comparison::parse(is).is_none() {
        let message = format!("`{is}` is no comparison with a number, so the gate would never pass");
        let diagnostic = context.at(Code::WrongValue, doc, &pointer, message);
        diagnostics.push(diagnostic.help("write for example `is: \"== 1\"` or `is: \"< 0.05\"`"));
    }
}

fn status(context: &Context<'_>, doc: DocId, pointer: &str, gate: &Gate, diagnostics: &mut Diagnostics) {
    if let Some(status) = gate.status.as_deref().filter(|s| !GATE_STATUSES.contains(s)) {
        let message = format!("`{status}` is no status that lets a wave through, so the gate would never pass");
        let diagnostic = context.at(Code::WrongValue, doc, &format!("{pointer}/status"), message);
        diagnostics.push(diagnostic.maybe_help(nearest_or_list(status, GATE_STATUSES.iter().copied())));
    }
    if gate.contains.is_some() && gate.http.is_none() {
        let message = "`contains` asks something of a page, and this gate has no `http`";
        let diagnostic = context.at_key(Code::WrongCombination, doc, &format!("{pointer}/contains"), message);
        diagnostics.push(diagnostic.help("remove it, or name the page"));
    }
}

fn held(context: &Context<'_>, doc: DocId, pointer: &str, wave: &WaveSpec, gate: &Gate, diagnostics: &mut Diagnostics) {
    let Some(hold) = gate.hold.filter(|hold| *hold > wave.soak) else {
        return;
    };
    let message = format!(
        "the gate must hold for {hold}, longer than the soak of {} of `{}`: the wave takes {hold}",
        wave.soak, wave.name
    );
    let diagnostic = context.at(Code::GateOutlastsSoak, doc, &format!("{pointer}/for"), message);
    diagnostics.push(diagnostic.help(format!(
        "write `soak: {hold}`, so that everybody sees how long it takes"
    )));
}
