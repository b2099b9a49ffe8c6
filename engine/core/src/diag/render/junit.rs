//! JUnit XML: one test case a file, so that CI systems show which files are at fault.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::source::SourceSet;

/// A test suite over the files of `sources`; errors are failures, warnings and notes are the output of a case.
pub fn document(diagnostics: &Diagnostics, sources: &SourceSet) -> String {
    let mut cases: BTreeMap<&str, Vec<&Diagnostic>> = sources.files.iter().map(|f| (f.path.as_str(), vec![])).collect();
    for diagnostic in diagnostics.iter() {
        let file = diagnostic.location.as_ref().map_or("repository", |l| &*l.file);
        cases.entry(file).or_default().push(diagnostic);
    }
    let failed = |found: &[&Diagnostic]| found.iter().any(|d| d.severity == Severity::Error);
    let failures = cases.values().filter(|found| failed(found)).count();
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\"",
        cases.len()
    );
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites {counts}>\n  <testsuite name=\"patchwave validate\" {counts}>"
    );
    for (file, found) in &cases {
        let _ = write!(out, "    <testcase classname=\"validate\" name=\"{}\"", escape(file));
        if found.is_empty() {
            out += "/>\n";
            continue;
        }
        out += ">\n";
        let (errors, advice): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
            found.iter().copied().partition(|d| d.severity == Severity::Error);
        if let Some(first) = errors.first() {
            let message = escape(&first.message);
            let text: String = errors.iter().map(|d| line(d)).collect();
            let _ = writeln!(
                out,
                "      <failure type=\"{}\" message=\"{message}\">{}</failure>",
                first.code,
                escape(&text)
            );
        }
        if !advice.is_empty() {
            let text: String = advice.iter().map(|d| line(d)).collect();
            let _ = writeln!(out, "      <system-out>{}</system-out>", escape(&text));
        }
        out += "    </testcase>\n";
    }
    out += "  </testsuite>\n</testsuites>\n";
    out
}

fn line(diagnostic: &Diagnostic) -> String {
    let place = diagnostic
        .location
        .as_ref()
        .map_or_else(String::new, |l| format!("{l}: "));
    let help = diagnostic
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!(" (help: {help})"));
    format!(
        "{place}{}[{}]: {}{help}\n",
        diagnostic.severity, diagnostic.code, diagnostic.message
    )
}

/// XML 1.0 has no way to write most control characters, so they are replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    #[test]
    fn one_case_a_file() {
        let files = vec![
            SourceFile::new("policies/a,b.yaml", ""),
            SourceFile::new("fleets/ok.yaml", ""),
        ];
        let set = SourceSet {
            files,
            ..SourceSet::default()
        };
        let xml = document(&super::super::tests::sample(), &set);
        assert!(xml.contains("<testsuites tests=\"2\" failures=\"1\""), "{xml}");
        assert!(xml.contains("name=\"fleets/ok.yaml\"/>"), "{xml}");
        assert!(
            xml.contains("type=\"PW0101\" message=\"unknown field `&lt;sle&gt;` &amp; 100%\""),
            "{xml}"
        );
        assert!(
            xml.contains("<system-out>policies/a,b.yaml:7:5: warning[PW0003]"),
            "{xml}"
        );
    }
}
