//! Comparing what is expected with what is there: field by field, only the fields that are written.

use std::fmt::Display;

use similar::TextDiff;

use crate::load::Catalog;
use crate::time::{Boundary, When};

/// One field that is expected.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Where it stands below the expected item: `deadline`, `waves/0/start`.
    pub(super) pointer: String,
    /// What people read: `deadline`, `wave test: start`.
    pub(super) name: String,
    expected: String,
    /// What is there, in the same words; the expected text where the field holds.
    actual: String,
    pub(super) holds: bool,
}

/// The fields of one expected item against one candidate.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) list: Vec<Field>,
    /// In front of every pointer and name.
    prefix: (String, String),
}

/// What stands for a value that is not there.
const NONE: &str = "none";

impl Fields {
    /// The following fields belong to a part: pointers start with `pointer/`, names with `name: `.
    pub(super) fn part(&mut self, pointer: &str, name: &str) {
        self.prefix = (format!("{pointer}/"), format!("{name}: "));
    }

    fn push(&mut self, field: &str, expected: String, actual: String, holds: bool) {
        let (pointer, name) = &self.prefix;
        self.list.push(Field {
            pointer: format!("{pointer}{field}"),
            name: format!("{name}{field}"),
            actual: if holds { expected.clone() } else { actual },
            expected,
            holds,
        });
    }

    /// A field that must be equal in words, if it is expected.
    pub(super) fn same(&mut self, field: &str, expected: Option<impl Display>, actual: Option<impl Display>) {
        let Some(expected) = expected else { return };
        let expected = expected.to_string();
        let actual = actual.map_or_else(|| NONE.to_owned(), |actual| actual.to_string());
        let holds = expected == actual;
        self.push(field, expected, actual, holds);
    }

    /// A time; a bare date is the start of its day in the project's zone.
    pub(super) fn time(
        &mut self,
        field: &str,
        expected: Option<When>,
        actual: Option<impl Display>,
        catalog: &Catalog,
    ) {
        let expected = expected.map(|when| when.resolve(Boundary::Start, &catalog.zone.0));
        self.same(field, expected, actual);
    }

    /// A text that must contain the expected one.
    pub(super) fn part_of(&mut self, field: &str, expected: Option<&str>, actual: Option<&str>) {
        let Some(expected) = expected else { return };
        let holds = actual.is_some_and(|actual| actual.contains(expected));
        self.push(field, expected.to_owned(), actual.unwrap_or(NONE).to_owned(), holds);
    }

    /// Names that must be the same ones, in any order.
    pub(super) fn names<T: AsRef<str>>(
        &mut self,
        field: &str,
        expected: Option<&[String]>,
        actual: impl IntoIterator<Item = T>,
    ) {
        let actual: Vec<String> = actual.into_iter().map(|name| name.as_ref().to_owned()).collect();
        self.same(field, expected.map(names), Some(names(&actual)));
    }

    /// A field that holds or does not, in the words of the caller.
    pub(super) fn judged(&mut self, field: &str, expected: impl Display, actual: impl Display, holds: bool) {
        self.push(field, expected.to_string(), actual.to_string(), holds);
    }

    /// That the part itself is not there, or is.
    pub(super) fn presence(&mut self, expected: &str, actual: &str) {
        let (pointer, name) = &self.prefix;
        self.list.push(Field {
            pointer: format!("{pointer}name"),
            name: name.trim_end_matches(": ").to_owned(),
            expected: expected.to_owned(),
            actual: actual.to_owned(),
            holds: false,
        });
    }

    pub(super) fn all_hold(&self) -> bool {
        self.list.iter().all(|field| field.holds)
    }

    pub(super) fn holding(&self) -> usize {
        self.list.iter().filter(|field| field.holds).count()
    }

    pub(super) fn first_wrong(&self) -> Option<&Field> {
        self.list.iter().find(|field| !field.holds)
    }

    /// Whether one of these fields does not hold.
    pub(super) fn wrong(&self, fields: &[&str]) -> bool {
        let of = |field: &&Field| fields.contains(&field.pointer.as_str());
        self.list.iter().filter(of).any(|field| !field.holds)
    }

    /// The fields as lines, `-` expected and `+` found.
    pub(super) fn difference(&self) -> String {
        let text = |value: fn(&Field) -> &str| -> String {
            let lines = self
                .list
                .iter()
                .map(|field| format!("{}: {}\n", field.name, value(field)));
            lines.collect()
        };
        let (expected, actual) = (text(|f| &f.expected), text(|f| &f.actual));
        let diff = TextDiff::from_lines(&expected, &actual);
        diff.iter_all_changes()
            .map(|change| format!("{} {change}", change.tag()))
            .collect()
    }
}

/// Sorted names, for comparing lists whose order means nothing.
pub(super) fn names(list: &[String]) -> String {
    let mut list: Vec<&str> = list.iter().map(String::as_str).collect();
    list.sort_unstable();
    format!("[{}]", list.join(", "))
}
