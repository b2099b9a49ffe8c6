//! Comments on lines of their own stay beside the lines they were written below.
//!
//! The layout puts such a comment where the *next* line stands. That is right for a comment that introduces it, and wrong
//! for a setting that is commented out at the end of a mapping: it would slip out of the mapping it belongs to. Which of
//! the two a comment is, its column in the text tells.

use patchwave_core::source::yaml;

/// `after`, the layout of `before`, with the comments that stood in the columns of the line above them put back there.
pub(super) fn aligned(before: &str, after: &str) -> String {
    let (old, new) = (Lines::new(before), Lines::new(after));
    if old.own.len() != new.own.len() {
        return after.to_owned();
    }
    let mut lines: Vec<String> = after.split('\n').map(str::to_owned).collect();
    for (from, to) in old.own.iter().zip(&new.own) {
        let Some(place) = old.place_above(from) else { continue };
        let columns = new.columns_above(to);
        if let (Some(column), Some(line)) = (columns.get(place), lines.get_mut(to.line)) {
            *line = format!("{}{}", " ".repeat(*column), line.trim_start());
        }
    }
    lines.join("\n")
}

/// A comment with a line of its own.
struct Own {
    line: usize,
    column: usize,
}

struct Lines<'a> {
    text: Vec<&'a str>,
    own: Vec<Own>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let place = |comment: yaml::Comment| {
            let before = text.get(..comment.start)?;
            let line = before.matches('\n').count();
            let blanks = before.rsplit('\n').next()?;
            blanks.bytes().all(|b| b == b' ').then_some(Own {
                line,
                column: blanks.len(),
            })
        };
        Self {
            own: yaml::comments(text).into_iter().filter_map(place).collect(),
            text: text.split('\n').collect(),
        }
    }

    fn is_own(&self, line: usize) -> bool {
        self.own.binary_search_by_key(&line, |own| own.line).is_ok()
    }

    /// The columns in which something starts on the nearest line of content above: each dash, then the word.
    fn columns_above(&self, comment: &Own) -> Vec<usize> {
        let above = (0..comment.line).rev();
        let content = above.filter(|line| !self.is_own(*line));
        let found = content
            .filter_map(|line| self.text.get(line))
            .find(|text| !text.trim().is_empty());
        found.map_or_else(Vec::new, |text| columns(text))
    }

    /// Which of those columns a comment stands in; `None` if it is that of the line below, or no such column at all.
    fn place_above(&self, comment: &Own) -> Option<usize> {
        let below = (comment.line..self.text.len()).filter(|line| !self.is_own(*line));
        let mut below = below
            .filter_map(|line| self.text.get(line))
            .filter(|text| !text.trim().is_empty());
        let introduces = below
            .next()
            .is_some_and(|text| columns(text).first() == Some(&comment.column));
        let mut columns = self.columns_above(comment).into_iter();
        if introduces {
            return None;
        }
        columns.position(|column| column == comment.column)
    }
}

fn columns(line: &str) -> Vec<usize> {
    let mut rest = line.trim_start_matches(' ');
    let mut found = vec![line.len() - rest.len()];
    while let Some(inside) = rest.strip_prefix("- ") {
        rest = inside.trim_start_matches(' ');
        found.push(line.len() - rest.len());
    }
    found
}
