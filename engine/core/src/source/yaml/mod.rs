//! YAML 1.2 text → JSON values with the place of every key and value, in one pass over parser events.
//!
//! Hostile input is bounded before it costs anything: nodes, depth and scalar sizes are counted while events arrive, and
//! an alias pays for everything it would copy. A fault inside a document is recorded and reading goes on; after a syntax
//! error it goes on at the next `---`, so one slip never hides what else is wrong.

mod reader;

use std::ops::Range;

use granit_parser::{Event, Options, Parser};
use serde_json::Value;

use super::span::SpanTree;
use reader::{Reader, Stop};

/// Bounds on one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file.
    pub file_bytes_max: usize,
    /// Size of one scalar.
    pub scalar_bytes_max: usize,
    /// Nesting of collections.
    pub depth_max: usize,
    /// Values in the file, each copy that an alias makes included.
    pub nodes_max: usize,
    /// Faults that are told of one file.
    pub problems_max: usize,
}

/// Far above any reviewed resource (the largest example has 400 nodes) and far below what hurts: 250 000 nodes take
/// about 30 MB. Inventory never travels as YAML. Nobody reads more than some hundred faults of one file: the rest of them
/// comes up when these are gone.
pub const LIMITS: Limits = Limits {
    file_bytes_max: 8 << 20,
    scalar_bytes_max: 256 << 10,
    depth_max: 64,
    nodes_max: 250_000,
    problems_max: 500,
};

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Where each part of it stands.
    pub spans: SpanTree,
    /// A part could not be read and stands in the value as a placeholder: what follows from the value is not certain.
    pub incomplete: bool,
}

/// What kind of fault a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The text is not YAML; the document is lost.
    Syntax,
    /// A key stands twice in a mapping; the first counts.
    DuplicateKey,
    /// A string that other tools read as something else; only a warning.
    LookAlike,
    /// A bound is exceeded; the rest of the file is not read.
    Limit,
    /// YAML that has no meaning in a resource: local tags, mappings as keys, infinity.
    Unsupported,
}

/// A fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind.
    pub fault: Fault,
    /// What is wrong.
    pub message: String,
    /// Byte range; `None` concerns the whole file.
    pub at: Option<Range<usize>>,
    /// A second place that matters, and why.
    pub other: Option<(String, Range<usize>)>,
    /// What to do.
    pub help: Option<String>,
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Its documents, in order; empty ones (only comments) are left out.
    pub documents: Vec<Document>,
    /// What is wrong, in the order found.
    pub problems: Vec<Problem>,
    /// Stretches of text that belong to documents lost to a syntax error.
    pub lost: Vec<Range<usize>>,
}

/// Reads every document of `text`.
pub fn read(text: &str, limits: Limits) -> Reading {
    let mut reading = Reading::default();
    if text.len() > limits.file_bytes_max {
        reading.problems.push(Problem {
            fault: Fault::Limit,
            message: format!(
                "the file has {} bytes; at most {} are read",
                text.len(),
                limits.file_bytes_max
            ),
            at: None,
            other: None,
            help: Some("split it: resources may stand in any number of files below the roots".into()),
        });
        return reading;
    }
    let mark = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let (mut base, mut nodes, mut copied_bytes) = (mark, 0, 0);
    while let Some(rest) = text.get(base..) {
        let mut reader = Reader::new(rest, base, limits, nodes, copied_bytes);
        let stop = reader.stream();
        (nodes, copied_bytes) = (reader.nodes, reader.copied_bytes);
        let document_start = reader.document_start;
        reading.documents.append(&mut reader.documents);
        reading.problems.append(&mut reader.problems);
        if reading.problems.len() > limits.problems_max {
            too_many(&mut reading.problems, limits);
            break;
        }
        let Err(Stop::Syntax(at)) = stop else { break };
        let next = next_document(text, at);
        reading.lost.push(document_start..next.unwrap_or(text.len()));
        match next {
            Some(next) if next > base => base = next,
            _ => break,
        }
    }
    reading
}

/// Keeps the first faults and says that there are more.
fn too_many(problems: &mut Vec<Problem>, limits: Limits) {
    problems.truncate(limits.problems_max);
    let at = problems.last().and_then(|last| last.at.clone());
    problems.push(Problem {
        fault: Fault::Limit,
        message: format!(
            "more than {} faults: no more of this file were looked for",
            limits.problems_max
        ),
        at,
        other: None,
        help: Some("correct these first; the others come up then".into()),
    });
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What stands behind `#`, without trailing blanks.
    pub text: String,
    /// Byte of the `#`.
    pub start: usize,
}

/// Every comment of a text that reads without a syntax error, in order.
///
/// A layout that loses one is refused, so comments are found here by another parser than the one that lays out.
pub fn comments(text: &str) -> Vec<Comment> {
    let mut options = Options::default();
    options.set_emit_comments(true);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut found = Vec::new();
    while let Some(Ok((event, span))) = parser.next_event() {
        match event {
            Event::Comment(comment, _) => found.push(Comment {
                text: comment.trim_end().to_owned(),
                start: span.byte_range().map_or(0, |at| at.start),
            }),
            Event::StreamEnd => break,
            _ => {}
        }
    }
    found
}

/// The first line after `at` that starts a document. A marker inside a block scalar cannot be told from a real one, so
/// a second error may follow a first; it is a true place to look at all the same.
fn next_document(text: &str, at: usize) -> Option<usize> {
    let tail = text.get(at..)?;
    let mut offset = at;
    for (index, line) in tail.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if index > 0 && marker {
            return Some(offset);
        }
        offset += line.len();
    }
    None
}

/// One YAML document of a known shape, through the same bounded reader as authored resources.
///
/// # Errors
/// What is wrong, with the line where it is known.
pub(crate) fn from_text<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut reading = read(text, LIMITS);
    if let Some(problem) = reading.problems.iter().find(|p| p.fault != Fault::LookAlike) {
        let before = problem
            .at
            .as_ref()
            .and_then(|at| text.get(..at.start))
            .unwrap_or_default();
        return Err(format!(
            "line {}: {}",
            before.matches('\n').count() + 1,
            problem.message
        ));
    }
    match (reading.documents.pop(), reading.documents.is_empty()) {
        (Some(document), true) => serde_path_to_error::deserialize(document.value).map_err(|e| e.to_string()),
        (None, _) => Err("there is no document in it".into()),
        (Some(_), false) => Err("there is more than one document in it".into()),
    }
}

#[cfg(test)]
mod tests;
