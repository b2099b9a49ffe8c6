//! # What it does
//! Refuses `protection.rollback: snapshot-revert` on a class that is not `stateless`.
//!
//! # Why is this bad
//! Going back to a snapshot throws away everything written since: orders, mails, rows. A rollback must never lose data
//! without a person having said so.
//!
//! # Example
//! ```yaml
//! spec:
//!   stateless: false
//!   protection: {rollback: snapshot-revert}
//! ```
//!
//! # Fix
//! Use `package-downgrade`, or declare `stateless: true` if nothing on these assets has to survive.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};

/// Rollbacks that throw data away.
pub static RULE: Rule = Rule {
    name: "snapshot_revert",
    codes: &[Code::SnapshotRevertState],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for class in context.catalog.classes.values() {
        if class.spec.protection.rollback != "snapshot-revert" || class.spec.stateless {
            continue;
        }
        let message = format!(
            "`snapshot-revert` would throw away what `{}` has written since the snapshot",
            class.name
        );
        let mut diagnostic = context
            .at(
                Code::SnapshotRevertState,
                class.doc,
                "/spec/protection/rollback",
                message,
            )
            .help("use `package-downgrade`, or write `stateless: true` if nothing there has to survive");
        let stateless = context
            .documents
            .get(class.doc)
            .is_some_and(|d| d.value.pointer("/spec/stateless").is_some());
        if stateless {
            diagnostic = diagnostic.related(context.documents.locate(class.doc, "/spec/stateless"), "not stateless");
        }
        diagnostics.push(diagnostic);
    }
}
