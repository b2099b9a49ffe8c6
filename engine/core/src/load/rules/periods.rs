//! # What it does
//! Checks that freezes, overrides and baselines end after they start.
//!
//! # Why is this bad
//! A freeze that ends before it starts freezes nothing, and everybody believes that it does.
//!
//! # Example
//! ```yaml
//! spec: {from: 2027-01-04, to: 2026-12-18}
//! ```
//!
//! # Fix
//! Correct the dates. A bare date at the end is inside.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::source::DocId;
use crate::time::{Boundary, When};

/// Periods that are empty.
pub static RULE: Rule = Rule {
    name: "periods",
    codes: &[Code::EmptyPeriod],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let zone = &context.catalog.zone.0;
    let mut period = |doc: DocId, (start, from): (&str, Option<When>), (end, to): (&str, Option<When>)| {
        let (Some(from), Some(to)) = (from, to) else { return };
        if from.resolve(Boundary::Start, zone) < to.resolve(Boundary::End, zone) {
            return;
        }
        let message = format!("this ends at {to}, before it starts at {from}");
        diagnostics.push(
            context
                .at(Code::EmptyPeriod, doc, end, message)
                .help("write the later date here; a bare date at the end is inside")
                .related(context.documents.locate(doc, start), "the start"),
        );
    };
    for r in context.catalog.freezes.values() {
        period(r.doc, ("/spec/from", r.spec.from), ("/spec/to", r.spec.to));
    }
    for r in context.catalog.overrides.values() {
        period(r.doc, ("/spec/from", r.spec.from), ("/spec/until", Some(r.spec.until)));
    }
    for r in context.catalog.policies.values() {
        if let Some(b) = &r.spec.baseline {
            period(
                r.doc,
                ("/spec/baseline/asOf", Some(b.as_of)),
                ("/spec/baseline/expires", Some(b.expires)),
            );
        }
    }
}
