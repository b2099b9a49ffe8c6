//! How diagnostics look: one file a format. Each is a function from diagnostics to text or JSON.

pub mod github;
pub mod json;
pub mod junit;
pub mod sarif;
pub mod text;

#[cfg(test)]
mod tests {
    use crate::diag::{Code, Diagnostic, Diagnostics};
    use crate::source::Location;

    /// One error with everything and one warning, with characters that every format has to escape.
    pub(super) fn sample() -> Diagnostics {
        let at = |line| Location {
            file: "policies/a,b.yaml".into(),
            line,
            column: 5,
            end_line: line,
            end_column: 9,
        };
        let error = Diagnostic::new(Code::UnknownField, "unknown field `<sle>` & 100%")
            .at(at(3), "/spec/sle")
            .help("did you mean\n`sla`?")
            .related(at(1), "in this document");
        [error, Diagnostic::new(Code::LookAlike, "`yes` is a text").at(at(7), "")]
            .into_iter()
            .collect()
    }
}
