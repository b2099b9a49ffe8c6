//! For people: `file:line:column: error[PW0101]: message`, the source line with what is meant underlined, then help and
//! related places. Colour only repeats what the words say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::diag::{Code, Diagnostic, Diagnostics, Severity};
use crate::source::{Location, SourceSet};

const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

fn colour_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\u{1b}[31;1m",
        Severity::Warning => "\u{1b}[33;1m",
        Severity::Info => "\u{1b}[36;1m",
    }
}

/// All diagnostics and a closing count; empty text for none. `sources` gives the source lines.
pub fn document(diagnostics: &Diagnostics, sources: &SourceSet, colour: bool) -> String {
    let mut out = String::new();
    let meant: BTreeSet<&str> = diagnostics
        .iter()
        .filter_map(|d| Some(&*d.location.as_ref()?.file))
        .collect();
    let texts: Texts<'_> = sources
        .files
        .iter()
        .filter(|f| meant.contains(f.path.as_str()))
        .map(|f| (f.path.as_str(), f.text.lines().collect()))
        .collect();
    // A secret must not go into logs as well, whatever else is wrong with its line.
    let secrets: BTreeSet<(&str, u32)> = diagnostics
        .iter()
        .filter(|d| d.code == Code::PlainTextSecret)
        .filter_map(|d| d.location.as_ref())
        .flat_map(|l| (l.line..=l.end_line).map(|line| (&*l.file, line)))
        .collect();
    let no_texts = Texts::new();
    for item in diagnostics.iter() {
        let hidden = item
            .location
            .as_ref()
            .is_some_and(|l| secrets.contains(&(&*l.file, l.line)));
        out += &diagnostic(item, if hidden { &no_texts } else { &texts }, colour);
        out.push('\n');
    }
    if !diagnostics.is_empty() {
        let count = |severity, word: &str| match diagnostics.count(severity) {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let counts = [
            count(Severity::Error, "error"),
            count(Severity::Warning, "warning"),
            count(Severity::Info, "note"),
        ];
        out += &counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        out.push('\n');
    }
    out
}

/// The lines of texts, by path.
pub type Texts<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// One diagnostic, ending with a line end.
pub fn diagnostic(item: &Diagnostic, texts: &Texts<'_>, colour: bool) -> String {
    let mut out = String::new();
    let paint = |text: &str, style: &str| {
        if colour {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    };
    if let Some(location) = &item.location {
        let _ = write!(out, "{}: ", paint(&printable(&location.to_string()), BOLD));
    }
    let label = format!("{}[{}]", item.severity, item.code);
    let _ = writeln!(
        out,
        "{}: {}",
        paint(&label, colour_of(item.severity)),
        printable(&item.message)
    );
    // A secret must not go into logs as well.
    if let Some(location) = item.location.as_ref().filter(|_| item.code != Code::PlainTextSecret) {
        snippet(&mut out, location, texts, &|marks| {
            paint(marks, colour_of(item.severity))
        });
    }
    if let Some(help) = &item.help {
        let _ = writeln!(out, "  {}: {}", paint("help", BOLD), printable(help));
    }
    for related in &item.related {
        let _ = writeln!(
            out,
            "  {}: {}: {}",
            paint("see", BOLD),
            printable(&related.location.to_string()),
            printable(&related.message)
        );
    }
    out
}

/// Characters of a file that must not reach the terminal: a control character moves the cursor or ends the line, and one that
/// sets the direction of writing (`Bidi_Control` of the Unicode Character Database) or ends a line in Unicode's sense makes
/// the words behind it look like others.
fn is_deceptive(c: char) -> bool {
    let directs = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || directs || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text of one line, with what is deceptive written as an escape (`\n`, `\u{202e}`).
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn snippet(out: &mut String, location: &Location, texts: &Texts<'_>, paint: &dyn Fn(&str) -> String) {
    let index = location.line.saturating_sub(1) as usize;
    let line = texts.get(&*location.file).and_then(|lines| lines.get(index).copied());
    let Some(line) = line
        .map(|l| l.trim_start_matches('\u{feff}'))
        .filter(|l| !l.trim().is_empty())
    else {
        return;
    };
    /// A longer line (a minified file) would fill the screen.
    const SHOWN_MAX: usize = 160;
    let start = location.column.saturating_sub(1) as usize;
    if start >= SHOWN_MAX {
        return;
    }
    let shown: String = line
        .chars()
        .take(SHOWN_MAX)
        // One character for one: the marks below count columns.
        .map(|c| match c {
            '\t' => ' ',
            c if is_deceptive(c) => '\u{fffd}',
            c => c,
        })
        .collect();
    let length = shown.chars().count();
    let end = if location.end_line == location.line {
        location.end_column.saturating_sub(1) as usize
    } else {
        length
    };
    let marks = "^".repeat(end.min(length).saturating_sub(start).max(1));
    let number = location.line.to_string();
    let margin = " ".repeat(number.len());
    let _ = writeln!(out, "  {number} | {shown}");
    let _ = writeln!(out, "  {margin} | {}{}", " ".repeat(start), paint(&marks));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, Text};

    #[test]
    fn a_diagnostic_points_at_its_text() {
        let text = "kind: Fleet\nspec:\n  größe: { sle: x }\n";
        let sources = SourceSet {
            files: vec![SourceFile::new("a.yaml", text)],
            ..SourceSet::default()
        };
        let start = text.find("sle").unwrap();
        let at = Text::new("a.yaml", text).location(start..start + 3);
        let item = Diagnostic::new(Code::UnknownField, "unknown field `sle`")
            .at(at.clone(), "/spec/sle")
            .help("did you mean `sla`?")
            .related(Location { line: 1, ..at }, "in this resource");
        let all: Diagnostics = [item].into_iter().collect();
        let expected = "a.yaml:3:12: error[PW0101]: unknown field `sle`\n\
                        \x20 3 |   größe: { sle: x }\n\
                        \x20   |            ^^^\n\
                        \x20 help: did you mean `sla`?\n\
                        \x20 see: a.yaml:1:12: in this resource\n\n1 error\n";
        assert_eq!(document(&all, &sources, false), expected);
        assert!(document(&all, &sources, true).contains("\u{1b}[31;1merror[PW0101]"));
    }

    #[test]
    fn what_would_deceive_a_terminal_is_escaped_wherever_it_stands() {
        let text = "\u{202e}k\u{1b}[2J: 1\n";
        let sources = SourceSet {
            files: vec![SourceFile::new("a\u{2067}.yaml", text)],
            ..SourceSet::default()
        };
        let at = Text::new("a\u{2067}.yaml", text).location(3..4);
        let item = Diagnostic::new(Code::UnknownField, "unknown field `x\ny\u{202e}\u{85}`")
            .at(at.clone(), "")
            .help("remove `\u{2066}`\r")
            .related(at, "a\u{2028}b\u{200f}");
        let all: Diagnostics = [item].into_iter().collect();
        let expected = "a\\u{2067}.yaml:1:2: error[PW0101]: unknown field `x\\ny\\u{202e}\\u{85}`\n\
                        \x20 1 | \u{fffd}k\u{fffd}[2J: 1\n\
                        \x20   |  ^\n\
                        \x20 help: remove `\\u{2066}`\\r\n\
                        \x20 see: a\\u{2067}.yaml:1:2: a\\u{2028}b\\u{200f}\n\n1 error\n";
        assert_eq!(document(&all, &sources, false), expected);
    }
}
