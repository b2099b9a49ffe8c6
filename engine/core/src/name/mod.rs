//! Names, amounts, severities, globs and label selectors: the small words every stage shares.

mod amount;
mod glob;
mod selector;
mod severity;

pub use amount::{Amount, Rounding};
pub use glob::Glob;
pub use selector::{LabelSelector, Operator, Requirement};
pub use severity::{Severity, SeverityMatch};
