//! Texts as the adapters read them, and places inside them. Nothing here touches a disk: files come in as values.
//!
//! Every place a person is pointed to is a [`Location`]: repository-relative path, line and column counted from 1,
//! columns in Unicode characters, so that `file:line:column` means the same in every editor and on every system.

mod scalar;
mod span;
pub mod yaml;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use span::{Children, Hit, SpanTree, Spot, escape_token, unescape_token};

/// One file of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Path relative to the repository root, with `/` on every system.
    pub path: String,
    /// The whole text; empty when it could not be read.
    pub text: String,
    /// Why the adapter could not give the text (not UTF-8, a symlink that leaves the repository, …), if so.
    pub fault: Option<String>,
}

impl SourceFile {
    /// A file that was read.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
            fault: None,
        }
    }

    /// A file from its bytes. Text that is not UTF-8 becomes a fault, never a guess.
    pub fn from_bytes(path: impl Into<String>, bytes: Vec<u8>) -> Self {
        let path = path.into();
        match String::from_utf8(bytes) {
            Ok(text) => Self {
                path,
                text,
                fault: None,
            },
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                Self {
                    path,
                    text: String::new(),
                    fault: Some(format!("is not UTF-8 text (byte {at})")),
                }
            }
        }
    }

    /// A file that could not be read; `fault` completes the sentence "`path` …".
    pub fn unreadable(path: impl Into<String>, fault: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: String::new(),
            fault: Some(fault.into()),
        }
    }
}

/// Everything `load` may look at.
///
/// `files` holds every YAML file under the roots plus `patchwave.yaml`, in any order: [`SourceSet::sorted`] decides it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceSet {
    /// The resource files.
    pub files: Vec<SourceFile>,
    /// Other paths that exist, relative to the root (`templates/hooks/*.yml`, `templates/*/target.yaml`,
    /// `tables/*.json`): only their existence matters to `load`.
    pub present: BTreeSet<String>,
    /// Texts of other files that rules read, by path (decision tables written as JSON).
    pub blobs: BTreeMap<String, String>,
    /// Such files that could not be read, and why.
    pub unread: BTreeMap<String, String>,
}

impl SourceSet {
    /// The files in path order. A path given twice is kept once, the first text in byte order, so that the order in
    /// which an adapter lists a folder can never show.
    pub fn sorted(&self) -> Vec<&SourceFile> {
        let mut files: Vec<&SourceFile> = self.files.iter().collect();
        files.sort_by(|a, b| (&a.path, &a.text, &a.fault).cmp(&(&b.path, &b.text, &b.fault)));
        files.dedup_by(|b, a| a.path == b.path);
        files
    }

    /// The text of a file, for showing a source line.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|f| f.path == path).map(|f| f.text.as_str())
    }
}

/// A YAML document: an index into the catalog's documents, in order of path and position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(pub u32);

/// A stretch of a file. Lines and columns count from 1, columns in Unicode characters; the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Repository-relative path.
    pub file: Arc<str>,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column behind the last character.
    pub end_column: u32,
}

impl Location {
    /// The place of a fault that concerns a whole file: 1:1.
    pub fn whole_file(path: &str) -> Self {
        Self {
            file: path.into(),
            line: 1,
            column: 1,
            end_line: 1,
            end_column: 1,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A text with its line starts, for turning byte ranges into locations.
#[derive(Clone, Debug)]
pub struct Text {
    /// Repository-relative path.
    pub path: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
    line_starts: Vec<usize>,
}

impl Text {
    /// Indexes the lines of `text`.
    pub fn new(path: &str, text: &str) -> Self {
        let starts = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b'\n')
            .map(|(i, _)| i + 1);
        Self {
            path: path.into(),
            text: text.into(),
            line_starts: std::iter::once(0).chain(starts).collect(),
        }
    }

    /// The text of a byte range; empty if the range does not fall on characters.
    pub fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or("")
    }

    fn line_column(&self, byte: usize) -> (u32, u32) {
        let line = self.line_starts.partition_point(|start| *start <= byte);
        let start = line
            .checked_sub(1)
            .and_then(|l| self.line_starts.get(l))
            .copied()
            .unwrap_or(0);
        // A byte order mark is not a character anyone sees.
        let before = self.slice(start..byte).trim_start_matches('\u{feff}');
        (
            u32::try_from(line).unwrap_or(u32::MAX),
            u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX),
        )
    }

    /// The location of a byte range; trailing blanks and line ends are left out.
    pub fn location(&self, range: Range<usize>) -> Location {
        let end = range.start + self.slice(range.clone()).trim_end().len();
        let (line, column) = self.line_column(range.start);
        let (end_line, end_column) = self.line_column(end);
        Location {
            file: self.path.clone(),
            line,
            column,
            end_line,
            end_column,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = Text::new("a.yaml", "\u{feff}größe: ü\nname: x \n");
        let at = |needle: &str| {
            let start = text.text.find(needle).unwrap();
            text.location(start..start + needle.len())
        };
        assert_eq!(at("größe").to_string(), "a.yaml:1:1");
        let value = at("ü\n");
        assert_eq!(
            (value.line, value.column, value.end_column),
            (1, 8, 9),
            "the line end is left out"
        );
        assert_eq!(at("x ").end_column, 8);
    }

    #[test]
    fn a_path_given_twice_counts_once_whatever_the_order() {
        let (a, b) = (SourceFile::new("x.yaml", "a"), SourceFile::new("x.yaml", "b"));
        let one = SourceSet {
            files: vec![a.clone(), b.clone()],
            ..SourceSet::default()
        };
        let two = SourceSet {
            files: vec![b, a],
            ..SourceSet::default()
        };
        assert_eq!(one.sorted(), two.sorted());
        assert_eq!(one.sorted().len(), 1);
    }
}
