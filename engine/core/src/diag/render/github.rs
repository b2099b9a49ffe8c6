//! Workflow commands of GitHub Actions, which show as annotations in the pull request (GitHub documentation, workflow
//! commands: `::error file=…,line=…::message`).

use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::source::Location;

/// One line a diagnostic.
pub fn document(diagnostics: &Diagnostics) -> String {
    diagnostics.iter().map(|d| command(d) + "\n").collect()
}

fn command(diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let place = diagnostic.location.as_ref().map_or_else(String::new, |location| {
        let Location {
            file,
            line,
            column,
            end_line,
            end_column,
        } = location;
        // The command counts end columns inclusively.
        let end_column = end_column.saturating_sub(1).max(1);
        let file = property(file);
        format!("file={file},line={line},endLine={end_line},col={column},endColumn={end_column},")
    });
    let title = property(&format!("{}: {}", diagnostic.code, diagnostic.code.title()));
    let mut message = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        message += &format!("\nhelp: {help}");
    }
    for related in &diagnostic.related {
        message += &format!("\nsee {}: {}", related.location, related.message);
    }
    format!("::{level} {place}title={title}::{}", data(&message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_a_line() {
        let expected = "::error file=policies/a%2Cb.yaml,line=3,endLine=3,col=5,endColumn=8,title=PW0101%3A unknown field::\
                        unknown field `<sle>` & 100%25%0Ahelp: did you mean%0A`sla`?%0Asee policies/a,b.yaml:1:5: in this document\n\
                        ::warning file=policies/a%2Cb.yaml,line=7,endLine=7,col=5,endColumn=8,title=PW0003%3A ambiguous scalar::\
                        `yes` is a text\n";
        assert_eq!(document(&super::super::tests::sample()), expected);
    }
}
