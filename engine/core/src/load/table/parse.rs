//! Reading a table: JSON of unknown origin to a [`DecisionTable`], with every fault at once.
//!
//! Invariant \[bounded\]: whatever the text is, work and memory are bounded by its length, which is bounded; serde_json
//! refuses nesting deeper than 128.

use std::collections::BTreeMap;

use serde_json::error::Category;
use serde_json::{Map, Value};

use super::strict::Strict;
use super::{Column, DecisionTable, Input, TableFault};

/// The largest table CERT/CC publishes is 0.3 MB.
const BYTES_MAX: usize = 2 << 20;
/// The product of all our inputs' values is 11,520; a table that asks all of them is none that a person reads.
const ROWS_MAX: usize = 12_000;
/// More faults than this are counted, not listed: nobody reads them, and a hostile table could make millions.
const FAULTS_MAX: usize = 25;

/// Every fault so far, bounded.
#[derive(Default)]
struct Faults {
    listed: Vec<TableFault>,
    more: usize,
}

impl Faults {
    fn add(&mut self, place: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        if self.listed.len() < FAULTS_MAX {
            self.listed.push(TableFault {
                place: place.into(),
                message: message.into(),
                help: help.into(),
            });
        } else {
            self.more += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    fn into_list(mut self) -> Vec<TableFault> {
        if self.more > 0 {
            self.listed.push(TableFault {
                place: String::new(),
                message: format!("{} more faults of this table are not listed", self.more),
                help: "correct those that are, and validate again".into(),
            });
        }
        self.listed
    }
}

/// A declared decision point: its id and the keys of its values.
struct Point<'t> {
    id: &'t str,
    keys: Vec<&'t str>,
}

/// Reads a table.
///
/// # Errors
/// Every fault of it, at most 26.
pub fn parse(text: &str) -> Result<DecisionTable, Vec<TableFault>> {
    let mut faults = Faults::default();
    let table = read(text, &mut faults);
    match table {
        Some(table) if faults.is_empty() => Ok(table),
        _ => Err(faults.into_list()),
    }
}

const FORM: &str = "write it as CERT/CC does: `namespace`, `key`, `version`, `decision_points`, `outcome`, `mapping`";

fn read(text: &str, faults: &mut Faults) -> Option<DecisionTable> {
    if text.len() > BYTES_MAX {
        let message = format!("the table is {} bytes long; at most {BYTES_MAX} are read", text.len());
        faults.add(
            "",
            message,
            "a table of a few decision points is a few kilobytes; give one of those",
        );
        return None;
    }
    let value = match serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Ok(Strict(value)) => value,
        Err(error) => {
            let place = format!("{}:{}", error.line(), error.column());
            let (message, help) = match error.classify() {
                Category::Data => (error.to_string(), "write each key once"),
                _ => (format!("the table is not JSON: {error}"), FORM),
            };
            faults.add(place, message, help);
            return None;
        }
    };
    let Some(root) = value.as_object() else {
        faults.add("", "the table is not an object", FORM);
        return None;
    };
    let name = |field: &str, faults: &mut Faults| text_of(root, field, faults).unwrap_or_default().to_owned();
    let (namespace, key, version) = (name("namespace", faults), name("key", faults), name("version", faults));
    let points = points(root, faults)?;
    let outcome = outcome(root, &points, faults)?;
    let columns = columns(&points, outcome.id, faults);
    if columns.is_empty() {
        faults.add(
            "/decision_points",
            "the table asks nothing: its only decision point is its outcome",
            FORM,
        );
        return None;
    }
    if !faults.is_empty() {
        return None;
    }
    let cells = cells(root, &columns, outcome, faults)?;
    Some(DecisionTable {
        id: format!("{namespace}:{key}:{version}"),
        columns,
        outcomes: outcome.keys.iter().map(|k| (*k).to_owned()).collect(),
        cells,
    })
}

fn text_of<'t>(object: &'t Map<String, Value>, field: &str, faults: &mut Faults) -> Option<&'t str> {
    let text = object.get(field).and_then(Value::as_str).filter(|t| !t.is_empty());
    if text.is_none() {
        faults.add(
            format!("/{field}"),
            format!("`{field}` is missing, or is no text"),
            FORM,
        );
    }
    text
}

fn points<'t>(root: &'t Map<String, Value>, faults: &mut Faults) -> Option<Vec<Point<'t>>> {
    let Some(declared) = root.get("decision_points").and_then(Value::as_object) else {
        faults.add("/decision_points", "`decision_points` is missing, or is no map", FORM);
        return None;
    };
    let mut points = Vec::new();
    for (id, point) in declared {
        let place = format!("/decision_points/{}", escaped(id));
        let Some(values) = point.get("values").and_then(Value::as_array).filter(|v| !v.is_empty()) else {
            faults.add(
                place,
                format!("decision point `{}` has no list of `values`", shown(id)),
                FORM,
            );
            continue;
        };
        let mut keys: Vec<&str> = Vec::new();
        for (index, value) in values.iter().enumerate() {
            match value.get("key").and_then(Value::as_str) {
                Some(key) if keys.iter().any(|k| k.eq_ignore_ascii_case(key)) => {
                    let message = format!("value `{}` of `{}` stands twice", shown(key), shown(id));
                    faults.add(format!("{place}/values/{index}"), message, "declare each value once");
                }
                // Keys that are compared with each other must be few.
                Some(_) if keys.len() >= 64 => {}
                Some(key) => keys.push(key),
                None => faults.add(format!("{place}/values/{index}"), "the value has no `key`", FORM),
            }
        }
        points.push(Point { id, keys });
    }
    Some(points)
}

fn outcome<'p, 't>(
    root: &'t Map<String, Value>,
    points: &'p [Point<'t>],
    faults: &mut Faults,
) -> Option<&'p Point<'t>> {
    let id = text_of(root, "outcome", faults)?;
    let found = points.iter().find(|p| p.id.eq_ignore_ascii_case(id));
    if found.is_none() {
        let message = format!("the outcome `{}` is not among `decision_points`", shown(id));
        faults.add("/outcome", message, "declare its values there, as CERT/CC does");
    }
    found
}

/// The decision points but the outcome, as inputs. The values of a point must be those we can give: with one missing the
/// table has no answer where it occurs, and one too many shows that another point of the same name is meant.
fn columns(points: &[Point<'_>], outcome: &str, faults: &mut Faults) -> Vec<Column> {
    let mut columns = Vec::new();
    for point in points.iter().filter(|p| p.id != outcome) {
        let place = format!("/decision_points/{}", escaped(point.id));
        let mut parts = point.id.split(':');
        let named = parts.next().zip(parts.next());
        let Some(input) = named.and_then(|(namespace, key)| Input::find(namespace, key)) else {
            let known: Vec<String> = Input::ALL.iter().map(|(n, k, _)| format!("{n}:{k}")).collect();
            let message = format!("patchwave cannot answer the decision point `{}`", shown(point.id));
            faults.add(place, message, format!("it can answer {}", known.join(", ")));
            continue;
        };
        let here = |key: &str| point.keys.iter().any(|k| k.eq_ignore_ascii_case(key));
        for key in input.keys().iter().filter(|key| !here(key)) {
            let message = format!("decision point `{}` lacks the value `{key}`", shown(point.id));
            let help = format!(
                "its values are {}; the table must say what each gives",
                input.keys().join(", ")
            );
            faults.add(format!("{place}/values"), message, help);
        }
        for key in &point.keys {
            if place_of(input, key).is_none() {
                let message = format!(
                    "decision point `{}` never has the value `{}`",
                    shown(point.id),
                    shown(key)
                );
                faults.add(
                    format!("{place}/values"),
                    message,
                    format!("its values are {}", input.keys().join(", ")),
                );
            }
        }
        columns.push(Column {
            id: point.id.to_owned(),
            input,
        });
    }
    columns.sort_by(|a, b| a.id.cmp(&b.id));
    columns
}

fn place_of(input: Input, key: &str) -> Option<usize> {
    input.keys().iter().position(|k| k.eq_ignore_ascii_case(key))
}

/// Reads `mapping`: every combination once.
fn cells(
    root: &Map<String, Value>,
    columns: &[Column],
    outcome: &Point<'_>,
    faults: &mut Faults,
) -> Option<Vec<usize>> {
    let size = columns
        .iter()
        .try_fold(1_usize, |size, c| size.checked_mul(c.input.keys().len()))
        .filter(|size| *size <= ROWS_MAX);
    let Some(size) = size else {
        let message = format!("the decision points have more than {ROWS_MAX} combinations");
        faults.add("/decision_points", message, "ask fewer questions");
        return None;
    };
    let Some(rows) = root.get("mapping").and_then(Value::as_array) else {
        faults.add("/mapping", "`mapping` is missing, or is no list", FORM);
        return None;
    };
    let mut cells: Vec<Option<(usize, Option<usize>)>> = vec![None; size];
    let mut unplaced = 0;
    for (index, row) in rows.iter().enumerate() {
        let place = format!("/mapping/{index}");
        let Some((cell, given)) = row_of(row, columns, outcome, &place, faults) else {
            unplaced += 1;
            continue;
        };
        match cells.get_mut(cell) {
            Some(Some((first, _))) => {
                let message = format!("the row asks the same as row {first}");
                faults.add(place, message, "give each combination of values exactly one row");
            }
            Some(slot) => *slot = Some((index, given)),
            None => {}
        }
    }
    let missing: Vec<usize> = (0..).zip(&cells).filter(|(_, s)| s.is_none()).map(|(c, _)| c).collect();
    // A row whose question is misspelt is the missing one: it was said already.
    if missing.len() > unplaced {
        for cell in missing {
            let message = format!("no row for {}", combination(columns, cell));
            faults.add("/mapping", message, "give each combination of values exactly one row");
        }
    }
    cells.into_iter().map(|slot| slot?.1).collect()
}

/// The cell of a row and the place of its outcome, which is none if the table does not declare it. None for a row that asks
/// nothing that can be told.
fn row_of(
    row: &Value,
    columns: &[Column],
    outcome: &Point<'_>,
    place: &str,
    faults: &mut Faults,
) -> Option<(usize, Option<usize>)> {
    let Some(row) = row.as_object() else {
        faults.add(place, "the row is no map", FORM);
        return None;
    };
    let mut by_id: BTreeMap<String, &str> = BTreeMap::new();
    for (id, value) in row {
        match value.as_str() {
            Some(key) => {
                if by_id.insert(id.to_ascii_lowercase(), key).is_some() {
                    let message = format!("the row says `{}` twice; the case of an id does not count", shown(id));
                    faults.add(place, message, "give every decision point one value");
                }
            }
            None => faults.add(
                format!("{place}/{}", escaped(id)),
                format!("the value of `{}` is no text", shown(id)),
                FORM,
            ),
        }
    }
    let mut given = |id: &str, faults: &mut Faults| {
        let key = by_id.remove(&id.to_ascii_lowercase());
        if key.is_none() {
            faults.add(
                place,
                format!("the row does not say `{id}`"),
                "give every decision point a value",
            );
        }
        key
    };
    let mut cell = Some(0);
    for column in columns {
        let digit = given(&column.id, faults).and_then(|key| {
            let digit = place_of(column.input, key);
            if digit.is_none() {
                let message = format!("`{}` is no value of `{}`", shown(key), shown(&column.id));
                let help = format!("its values are {}", column.input.keys().join(", "));
                faults.add(format!("{place}/{}", escaped(&column.id)), message, help);
            }
            digit
        });
        cell = cell
            .zip(digit)
            .map(|(cell, digit)| cell * column.input.keys().len() + digit);
    }
    let result = given(outcome.id, faults).and_then(|key| {
        let found = outcome.keys.iter().position(|k| *k == key);
        if found.is_none() {
            let message = format!("`{}` is no value of the outcome `{}`", shown(key), shown(outcome.id));
            faults.add(
                format!("{place}/{}", escaped(outcome.id)),
                message,
                format!("its values are {}", outcome.keys.join(", ")),
            );
        }
        found
    });
    for id in by_id.keys() {
        let message = format!("the row names `{}`, which is no decision point of the table", shown(id));
        faults.add(place, message, "declare it under `decision_points`, or leave it out");
    }
    Some((cell?, result))
}

/// The values of a cell, in words.
fn combination(columns: &[Column], mut cell: usize) -> String {
    let mut words: Vec<String> = Vec::new();
    for column in columns.iter().rev() {
        let keys = column.input.keys();
        let key = keys.get(cell % keys.len()).copied().unwrap_or_default();
        words.push(format!("{} = {key}", column.id));
        cell /= keys.len();
    }
    words.reverse();
    words.join(", ")
}

/// A foreign text, fit for a message.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(60)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

/// A part of a JSON pointer (RFC 6901), shortened.
fn escaped(text: &str) -> String {
    shown(text).replace('~', "~0").replace('/', "~1")
}
