//! Where a cursor stands in a document that is being typed.
//!
//! A document under the cursor is rarely YAML: `sla: ` has no value yet, a flow mapping is still open. So the place is
//! read off the lines above by their columns, which is all that indentation means, and never off a parse. A block scalar
//! is passed over; inside a flow collection brackets, commas and colons are counted.

use std::ops::Range;

use super::flow::Flow;

/// What is known of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// `kind:` of the document, if it has one.
    pub kind: Option<String>,
    /// The way to the place: keys, and the numbers of list entries. Behind `key:` the key is part of it; else it ends at
    /// the mapping or entry that what is typed belongs to.
    pub path: Vec<String>,
    /// The cursor stands behind `key:` on its line: only a value can be meant.
    pub after_key: bool,
    /// The bytes of what is typed here so far, to be replaced.
    pub word: Range<usize>,
    /// Keys the mapping has already.
    pub siblings: Vec<String>,
    /// A `:` follows what is typed: a key is being changed.
    pub colon_follows: bool,
    /// Inside `{…}` or `[…]`.
    pub flow: bool,
    /// Column of what is typed, for lines that belong to it.
    pub column: usize,
}

/// The place of a byte; `None` inside comments and block scalars, where nothing can be meant.
pub fn cursor(text: &str, byte: usize) -> Option<Cursor> {
    let all: Vec<Line<'_>> = lines(text);
    let here = all.iter().rposition(|line| line.start <= byte)?;
    let before = all.get(..=here)?;
    let first = before
        .iter()
        .rposition(|line| is_marker(line.text))
        .map_or(0, |at| at + 1);
    let last = all.iter().skip(here + 1).position(|line| is_marker(line.text));
    let document = all.get(first..last.map_or(all.len(), |count| here + 1 + count))?;
    if first > here {
        return None;
    }
    let mut walk = Walk::default();
    for line in document.get(..here - first)? {
        walk.line(line);
    }
    let line = document.get(here - first)?;
    let mut found = walk.stop(line, byte)?;
    found.kind = document.iter().find_map(|line| kind(line.text));
    if !found.flow && !found.after_key {
        found.siblings = siblings(document, here - first, found.column);
    }
    Some(found)
}

struct Line<'a> {
    start: usize,
    text: &'a str,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut start = 0;
    let mut found = Vec::new();
    for line in text.split('\n') {
        found.push(Line {
            start,
            text: line.trim_end_matches('\r'),
        });
        start += line.len() + 1;
    }
    found
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn kind(line: &str) -> Option<String> {
    let value = line.strip_prefix("kind:")?;
    let word = value.split_whitespace().next()?.trim_matches(['"', '\'']);
    Some(word.to_owned())
}

/// One line without its indent: how many columns its dashes take, and the rest.
struct Content<'a> {
    /// Columns of the dashes.
    dashes: Vec<usize>,
    /// Column of what stands behind them.
    column: usize,
    text: &'a str,
}

fn content(line: &str) -> Content<'_> {
    let mut rest = line.trim_start_matches(' ');
    let mut dashes = Vec::new();
    while let Some(inside) = rest.strip_prefix('-').filter(|r| r.is_empty() || r.starts_with(' ')) {
        dashes.push(line.len() - rest.len());
        rest = inside.trim_start_matches(' ');
    }
    Content {
        dashes,
        column: line.len() - rest.len(),
        text: rest,
    }
}

/// The key of `key: value`, its length as written, and where the value starts.
fn split_key(text: &str) -> Option<(String, usize, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end = match quote {
        Some(quote) => text.get(1..)?.find(quote)? + 2,
        None if text.starts_with(['{', '[', '|', '>', '#']) => return None,
        None => {
            let colon = text.match_indices(':').map(|(at, _)| at);
            let mut ends = colon.filter(|at| text.get(at + 1..).is_some_and(|r| r.is_empty() || r.starts_with(' ')));
            ends.next()?
        }
    };
    let (written, rest) = text.split_at_checked(end)?;
    let after = rest.strip_prefix(':')?;
    let blanks = after.len() - after.trim_start_matches(' ').len();
    Some((written.trim_matches(['"', '\'']).to_owned(), end, end + 1 + blanks))
}

struct Step {
    column: usize,
    token: String,
    entry: bool,
}

/// Reading line by line, the way to the current line.
#[derive(Default)]
struct Walk {
    steps: Vec<Step>,
    /// Inside a block scalar: lines deeper than this column belong to it.
    block: Option<usize>,
    /// Inside a flow collection.
    flow: Option<Flow>,
}

impl Walk {
    fn line(&mut self, line: &Line<'_>) {
        if let Some(flow) = &mut self.flow {
            flow.feed(line.text, line.start);
            flow.feed("\n", line.start + line.text.len());
            if flow.is_closed() {
                self.flow = None;
            }
            return;
        }
        let found = content(line.text);
        if found.text.is_empty() && found.dashes.is_empty() || found.text.starts_with('#') || self.in_block(&found) {
            return;
        }
        self.enter(&found);
        let mut value_start = found.column;
        if let Some((key, _, after)) = split_key(found.text) {
            self.push_key(found.column, key);
            value_start += after;
        }
        let value = line.text.get(value_start..).unwrap_or_default();
        if value.starts_with(['|', '>']) {
            self.block = Some(found.dashes.first().copied().unwrap_or(found.column));
        } else if value.starts_with(['{', '[']) {
            let mut flow = Flow::default();
            flow.feed(value, line.start + value_start);
            flow.feed("\n", line.start + line.text.len());
            self.flow = (!flow.is_closed()).then_some(flow);
        }
    }

    fn in_block(&mut self, found: &Content<'_>) -> bool {
        let leading = found.dashes.first().copied().unwrap_or(found.column);
        match self.block {
            Some(column) if leading > column => true,
            _ => {
                self.block = None;
                false
            }
        }
    }

    /// Leaves what ends above this line, and enters its list entries.
    fn enter(&mut self, found: &Content<'_>) {
        for column in &found.dashes {
            self.leave(|step| step.column > *column);
            match self
                .steps
                .last_mut()
                .filter(|step| step.entry && step.column == *column)
            {
                Some(step) => step.token = step.token.parse::<usize>().map_or(0, |n| n + 1).to_string(),
                None => self.steps.push(Step {
                    column: *column,
                    token: "0".into(),
                    entry: true,
                }),
            }
        }
        self.leave(|step| step.column >= found.column);
    }

    fn push_key(&mut self, column: usize, token: String) {
        self.steps.push(Step {
            column,
            token,
            entry: false,
        });
    }

    fn leave(&mut self, ended: impl Fn(&Step) -> bool) {
        while self.steps.last().is_some_and(&ended) {
            self.steps.pop();
        }
    }

    fn path(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.token.clone()).collect()
    }

    /// The place inside the line of the cursor.
    fn stop(mut self, line: &Line<'_>, byte: usize) -> Option<Cursor> {
        let at = byte.saturating_sub(line.start).min(line.text.len());
        let typed = line.text.get(..at)?;
        if let Some(mut flow) = self.flow.take() {
            flow.feed(typed, line.start);
            if !flow.is_closed() {
                return Some(flow.cursor(self.path(), line.text.get(at..)?, byte));
            }
        }
        if typed.trim_start().starts_with('#') || typed.contains(" #") {
            return None;
        }
        // An empty line belongs where the cursor was put; any other where its text starts.
        let blank = line.text.trim().is_empty();
        let found = content(if blank { typed } else { line.text });
        if at < found.column || self.in_block(&found) {
            return None;
        }
        self.enter(&found);
        let start = line.start + found.column;
        let Some((key, key_len, after)) = split_key(found.text) else {
            if found.text.starts_with(['{', '[']) {
                let mut flow = Flow::default();
                flow.feed(typed.get(found.column..)?, start);
                return (!flow.is_closed()).then(|| flow.cursor(self.path(), line.text.get(at..).unwrap_or(""), byte));
            }
            return Some(Cursor {
                path: self.path(),
                word: start..start + found.text.trim_end().len(),
                column: found.column,
                ..Cursor::default()
            });
        };
        if at <= found.column + key_len {
            return Some(Cursor {
                path: self.path(),
                word: start..start + key_len,
                colon_follows: true,
                column: found.column,
                ..Cursor::default()
            });
        }
        self.push_key(found.column, key);
        let value_at = (found.column + after).min(line.text.len());
        let value = line.text.get(value_at..)?;
        if value.starts_with(['{', '[']) && at > value_at {
            let mut flow = Flow::default();
            flow.feed(line.text.get(value_at..at)?, line.start + value_at);
            return (!flow.is_closed()).then(|| flow.cursor(self.path(), line.text.get(at..).unwrap_or(""), byte));
        }
        let written = value.split(" #").next().unwrap_or_default().trim_end();
        let value_at = value_at.max(if written.is_empty() { at } else { value_at });
        Some(Cursor {
            path: self.path(),
            after_key: true,
            word: line.start + value_at..line.start + value_at + written.len(),
            column: found.column,
            ..Cursor::default()
        })
    }
}

/// Keys in the same column of the same mapping, the line of the cursor left out.
fn siblings(document: &[Line<'_>], here: usize, column: usize) -> Vec<String> {
    let key = |line: &Line<'_>| {
        let found = content(line.text);
        let key = split_key(found.text).map(|(key, ..)| key);
        let leading = found.dashes.first().copied().unwrap_or(found.column);
        (
            leading,
            found.column,
            key,
            line.text.trim().is_empty() || found.text.starts_with('#'),
        )
    };
    let mut found = Vec::new();
    let starts_entry = document
        .get(here)
        .is_some_and(|line| !content(line.text).dashes.is_empty());
    let above = document.iter().take(here).rev().take_while(|_| !starts_entry);
    for (leading, at, key, skip) in above.map(key) {
        if skip {
            continue;
        }
        if at == column {
            found.extend(key);
        }
        if leading < column {
            break;
        }
    }
    for (leading, at, key, skip) in document.iter().skip(here + 1).map(key) {
        if skip {
            continue;
        }
        if leading < column {
            break;
        }
        if at == column {
            found.extend(key);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of `|` in a text.
    fn place(text: &str) -> Option<Cursor> {
        let at = text.find('§').unwrap();
        cursor(&text.replacen('§', "", 1), at)
    }

    fn path(text: &str) -> (String, bool) {
        let found = place(text).unwrap();
        (found.path.join("/"), found.after_key)
    }

    #[test]
    fn a_half_typed_document_has_a_place_for_its_cursor() {
        for (text, expected, after_key) in [
            ("kind: Fleet\nspec:\n  sla: §", "spec/sla", true),
            ("spec:\n  sla:§", "spec/sla", true),
            ("spec:\n  §", "spec", false),
            ("spec:\n  a: 1\n  b§", "spec", false),
            ("spec:\n  a: 1\n§", "", false),
            (
                "spec:\n  waves:\n    - name: a\n      needs:\n        - §\n",
                "spec/waves/0/needs/0",
                false,
            ),
            (
                "spec:\n  waves:\n    - name: a\n    - name: b\n      §",
                "spec/waves/1",
                false,
            ),
            ("spec:\n  waves:\n  - name: a\n  - §", "spec/waves/1", false),
            ("spec:\n  waves:\n  - name: a\n  x§", "spec", false),
            ("spec:\n  note: |\n    a: b\n    c\n  sla: §", "spec/sla", true),
            ("spec:\n  rules:\n    - {name: x, sev§}", "spec/rules/0", false),
            (
                "spec:\n  rules:\n    - {name: x, severity: §",
                "spec/rules/0/severity",
                true,
            ),
            (
                "spec:\n  rules:\n    - {name: x, severity: {atLeast: hi§",
                "spec/rules/0/severity/atLeast",
                true,
            ),
            ("spec:\n  sources: [a, §]", "spec/sources/1", false),
            ("spec:\n  list: [\n    a,\n    §\n  ]\n  x: 1", "spec/list/1", false),
            ("spec:\n  done: [a]\n  §", "spec", false),
            ("a: 1\n---\nkind: X\nspec:\n  §\n---\nb: 1", "spec", false),
            ("spec:\n  \"sla\": §", "spec/sla", true),
        ] {
            assert_eq!(path(text), (expected.to_owned(), after_key), "{text}");
        }
    }

    #[test]
    fn nothing_is_meant_in_words() {
        for text in ["a: 1 # wo§rds", "# x§", "a: |\n  te§xt", "a: >-\n  one\n\n  tw§o\nb: 1"] {
            assert_eq!(place(text), None, "{text}");
        }
    }

    #[test]
    fn the_word_and_its_neighbours_are_known() {
        let text = "kind: Fleet\nspec:\n  # first\n  sources: [a]\n\n  lab§\n  assets:\n    - name: x\nmore: 1";
        let found = place(text).unwrap();
        assert_eq!(found.kind.as_deref(), Some("Fleet"));
        assert_eq!(found.siblings, ["sources", "assets"]);
        assert_eq!(text.replacen('§', "", 1).get(found.word), Some("lab"));

        let found = place("spec:\n  - {a: 1, b§: 2, c: 3}").unwrap();
        assert_eq!(
            (found.siblings, found.colon_follows),
            (vec!["a".to_owned(), "c".into()], true)
        );
        let found = place("spec:\n  sl§a: x").unwrap();
        assert!(found.colon_follows && found.siblings.is_empty());
        let text = "spec:\n  sla: stand§ard # why";
        assert_eq!(
            text.replacen('§', "", 1).get(place(text).unwrap().word),
            Some("standard")
        );
        let found = place("spec:\n  - name: a\n    b: 1\n  - §").unwrap();
        assert!(found.siblings.is_empty(), "{found:?}");
    }
}
