//! # What it does
//! Finds decision tables that cannot be read, are not whole, ask what patchwave cannot answer, or do not fit the
//! `outcomes` of their SlaPolicy.
//!
//! # Why is this bad
//! A table without an answer for some finding, or an outcome without a time, would leave findings without a deadline.
//!
//! # Example
//! ```yaml
//! table: {pack: critical-24h}
//! outcomes:
//!   24H: {within: 24h}
//! ```
//!
//! # Fix
//! Give every combination of values one row, and every outcome of the table an entry: here `STANDARD`.

use std::collections::BTreeSet;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::catalog::Resource;
use crate::load::table::{self, DecisionTable, NoTable};
use crate::load::wire::SlaPolicySpec;

/// Tables that cannot be used as an SLA.
pub static RULE: Rule = Rule {
    name: "tables",
    codes: &[Code::DanglingReference, Code::DecisionTable],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for sla in context.catalog.slas.values() {
        let Some(named) = &sla.spec.table else {
            if let Some(outcome) = sla.spec.outcomes.keys().next() {
                let pointer = format!("/spec/outcomes/{}", crate::source::escape_token(outcome));
                let message = "`outcomes` says what the outcomes of a table mean, and there is no `table`";
                diagnostics.push(
                    context
                        .at_key(Code::WrongCombination, sla.doc, &pointer, message)
                        .help("name a `table`, or give `rules` and no `outcomes`"),
                );
            }
            continue;
        };
        match table::named(named, context.set) {
            Ok(table) => outcomes(context, sla, &table, diagnostics),
            Err(why) => no_table(context, sla, why, diagnostics),
        }
    }
}

fn no_table(context: &Context<'_>, sla: &Resource<SlaPolicySpec>, why: NoTable, diagnostics: &mut Diagnostics) {
    let Some(named) = &sla.spec.table else { return };
    let pointer = if named.file.is_some() {
        "/spec/table/file"
    } else {
        "/spec/table/pack"
    };
    let file = named.file.as_deref().or(named.pack.as_deref()).unwrap_or_default();
    match why {
        NoTable::Unreadable(why) => {
            let message = format!("the table `{file}` cannot be read: {why}");
            diagnostics.push(
                context
                    .at(Code::DanglingReference, sla.doc, pointer, message)
                    .help("the path counts from the root of the repository"),
            );
        }
        NoTable::Wrong(faults) => {
            for fault in faults {
                let place = if fault.place.is_empty() {
                    String::new()
                } else {
                    format!(" at {}", fault.place)
                };
                let message = format!("`{file}`{place}: {}", fault.message);
                diagnostics.push(
                    context
                        .at(Code::DecisionTable, sla.doc, pointer, message)
                        .help(fault.help),
                );
            }
        }
        NoTable::NotLooked => missing(context, sla, diagnostics),
    }
}

/// A file that is not where the repository was looked into. A folder that was not looked into says nothing about what is
/// in it.
fn missing(context: &Context<'_>, sla: &Resource<SlaPolicySpec>, diagnostics: &mut Diagnostics) {
    let Some(file) = sla.spec.table.as_ref().and_then(|t| t.file.as_ref()) else {
        return;
    };
    let folder_of = |path: &str| {
        path.rsplit_once('/')
            .map_or(String::new(), |(folder, _)| folder.to_owned())
    };
    let known = || context.set.present.iter().chain(context.set.blobs.keys());
    let folder = folder_of(file);
    if known().any(|path| folder_of(path) == folder) && !known().any(|path| path == file) {
        let message = format!("there is no file `{file}`");
        diagnostics.push(
            context
                .at(Code::DanglingReference, sla.doc, "/spec/table/file", message)
                .help("the path counts from the root of the repository"),
        );
    }
}

/// Every outcome of the table has an entry, and every entry is an outcome of the table.
fn outcomes(
    context: &Context<'_>,
    sla: &Resource<SlaPolicySpec>,
    table: &DecisionTable,
    diagnostics: &mut Diagnostics,
) {
    let given: BTreeSet<usize> = table.possible(&vec![None; table.columns.len()]).into_iter().collect();
    let gives: Vec<&str> = (table.outcomes.iter().enumerate())
        .filter(|(index, _)| given.contains(index))
        .map(|(_, key)| key.as_str())
        .collect();
    let outcomes = &sla.spec.outcomes;
    let missing: Vec<&str> = gives
        .iter()
        .filter(|key| !outcomes.contains_key(**key))
        .copied()
        .collect();
    for key in missing {
        let message = format!(
            "the table {} gives `{key}`, and `outcomes` does not say what that means",
            table.id
        );
        let pointer = if outcomes.is_empty() {
            "/spec/table"
        } else {
            "/spec/outcomes"
        };
        diagnostics.push(
            context
                .at_key(Code::DecisionTable, sla.doc, pointer, message)
                .help(format!("add `{key}: {{within: …}}` to `spec.outcomes`")),
        );
    }
    for key in outcomes.keys().filter(|key| !gives.contains(&key.as_str())) {
        let pointer = format!("/spec/outcomes/{}", crate::source::escape_token(key));
        let message = format!("the table {} never gives `{key}`", table.id);
        diagnostics.push(
            context
                .at_key(Code::DecisionTable, sla.doc, &pointer, message)
                .help(format!("it gives {}", gives.join(", "))),
        );
    }
}
