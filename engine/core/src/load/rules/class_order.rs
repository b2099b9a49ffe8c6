//! # What it does
//! Finds asset classes behind one of higher priority that selects all the same assets.
//!
//! # Why is this bad
//! The class with the highest priority wins, so what the other one says about window, tool and care is never in force.
//!
//! # Example
//! ```yaml
//! kind: AssetClass            # servers
//! spec: {selector: {}, priority: 10}
//! ---
//! kind: AssetClass            # databases
//! spec: {selector: {matchLabels: {tier: db}}, priority: 5}
//! ```
//!
//! # Fix
//! Give the narrower class the higher priority.

use super::selection::covers;
use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::Resource;
use crate::load::wire::AssetClassSpec;

/// Classes that never win.
pub static RULE: Rule = Rule {
    name: "class_order",
    codes: &[Code::ClassNeverChosen],
    check,
};

/// More classes than this are not compared with each other: nobody writes so many by hand.
const CLASSES_MAX: usize = 500;

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let classes: Vec<&Resource<AssetClassSpec>> = context.catalog.classes.values().collect();
    if classes.len() > CLASSES_MAX {
        return;
    }
    for class in &classes {
        let mut others = classes.iter().filter(|other| other.spec.priority > class.spec.priority);
        let Some(winner) = others.find(|other| wins_always(&other.spec, &class.spec)) else {
            continue;
        };
        let message = format!(
            "the class `{}` is never chosen: `{}` selects all its assets and has the higher priority",
            class.name, winner.name
        );
        let place = context.documents.locate(winner.doc, "/spec/priority");
        let diagnostic = context.at_key(Code::ClassNeverChosen, class.doc, "/spec/priority", message);
        diagnostics.push(
            diagnostic
                .help("give the narrower class the higher `priority`, or remove it")
                .related(place, format!("the priority of `{}`", winner.name)),
        );
    }
}

fn wins_always(winner: &AssetClassSpec, class: &AssetClassSpec) -> bool {
    let condition = winner.when.is_none() || winner.when == class.when;
    // A class with neither says nothing about assets, which is an error of its own.
    let says =
        (winner.selector.is_some() || winner.when.is_some()) && (class.selector.is_some() || class.when.is_some());
    says && condition && covers(winner.selector.as_ref(), class.selector.as_ref())
}
