//! Every field of every kind has an effect that a page shows: without it, something shown on a page reads otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use patchwave_core::load::schema;
use patchwave_core::source::yaml::{self, LIMITS};
use patchwave_core::source::{SourceFile, SourceSet};
use rayon::prelude::*;
use serde_json::Value;

use crate::case::{Case, case};
use crate::page::{Block, Page};
use crate::run;

/// A field where it is written on a page.
struct Mention {
    /// Index into the cases.
    case: usize,
    /// Path of the file, and the document in it.
    file: String,
    document: usize,
    /// JSON Pointer into the document.
    pointer: String,
}

/// A heading with its documents as values, so that a field can be taken away.
struct Bare<'p> {
    page: &'p Page,
    section: usize,
    case: Case,
    documents: BTreeMap<String, Vec<Value>>,
    /// What is shown with everything there.
    whole: OnceLock<String>,
}

/// A field of a definition or kind: `SlaRule.within`.
fn fields_of(root: &Value, node: &Value, owner: &str, seen: &mut BTreeSet<String>, out: &mut BTreeSet<String>) {
    if let Some((name, definition)) = definition(root, node)
        && seen.insert(name.clone())
    {
        fields_of(root, definition, &name, seen, out);
    }
    for part in parts(node) {
        fields_of(root, part, owner, seen, out);
    }
    for (field, below) in properties(node) {
        let name = format!("{owner}.{field}");
        fields_of(root, below, &name, seen, out);
        out.insert(name);
    }
}

fn definition<'s>(root: &'s Value, node: &Value) -> Option<(String, &'s Value)> {
    let name = node.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
    Some((name.to_owned(), root.get("$defs")?.get(name)?))
}

/// Branches, entries and values of a node: what belongs to the same owner.
fn parts(node: &Value) -> Vec<&Value> {
    let branches = ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .filter_map(|key| node.get(key)?.as_array());
    let below = ["items", "additionalProperties"]
        .into_iter()
        .filter_map(|key| node.get(key).filter(|v| v.is_object()));
    branches.flatten().chain(below).collect()
}

fn properties(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// Where a value has fields of the schema: the field and its pointer.
fn mentioned(root: &Value, node: &Value, value: &Value, owner: &str, at: &str, out: &mut Vec<(String, String)>) {
    if let Some((name, below)) = definition(root, node) {
        mentioned(root, below, value, &name, at, out);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for branch in node.get(key).and_then(Value::as_array).into_iter().flatten() {
            mentioned(root, branch, value, owner, at, out);
        }
    }
    if let (Some(items), Some(list)) = (node.get("items"), value.as_array()) {
        for (index, entry) in list.iter().enumerate() {
            mentioned(root, items, entry, owner, &format!("{at}/{index}"), out);
        }
    }
    let Some(object) = value.as_object() else { return };
    for (field, below) in properties(node) {
        if let Some(value) = object.get(field) {
            let name = format!("{owner}.{field}");
            mentioned(root, below, value, &name, &format!("{at}/{field}"), out);
            out.push((name, format!("{at}/{field}")));
        }
    }
    if let Some(below) = node.get("additionalProperties").filter(|v| v.is_object()) {
        for (key, value) in object {
            mentioned(
                root,
                below,
                value,
                owner,
                &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                out,
            );
        }
    }
}

/// The headings that show something, with the documents of their files.
fn bare<'p>(pages: &'p BTreeMap<String, Page>) -> Vec<Bare<'p>> {
    let mut all = Vec::new();
    for page in pages.values() {
        for section in 0..page.sections.len() {
            if !run::is_case(page, section) {
                continue;
            }
            let Ok(case) = case(pages, page, section) else { continue };
            let shows = page.sections[section].blocks.iter().any(Block::is_expectation) || !case.inline.is_empty();
            let read = |file: &SourceFile| {
                yaml::read(&file.text, LIMITS)
                    .documents
                    .into_iter()
                    .map(|d| d.value)
                    .collect()
            };
            let documents = case
                .set
                .files
                .iter()
                .map(|file| (file.path.clone(), read(file)))
                .collect();
            if shows {
                all.push(Bare {
                    page,
                    section,
                    case,
                    documents,
                    whole: OnceLock::new(),
                });
            }
        }
    }
    all
}

impl Bare<'_> {
    /// What is shown with these documents. Places are left out: taking a field away moves what stands behind it.
    fn shown(&self, documents: &BTreeMap<String, Vec<Value>>) -> String {
        let text = |list: &Vec<Value>| list.iter().map(|value| format!("---\n{value}\n")).collect::<String>();
        let set = SourceSet {
            files: documents
                .iter()
                .map(|(path, list)| SourceFile::new(path, text(list)))
                .collect(),
            ..self.case.set.clone()
        };
        run::shown(self.page, &self.page.sections[self.section], &self.case, &set)
    }

    fn without(&self, mention: &Mention) -> Option<String> {
        let mut documents = self.documents.clone();
        let document = documents.get_mut(&mention.file)?.get_mut(mention.document)?;
        take_away(document, &mention.pointer)?;
        Some(self.shown(&documents))
    }

    /// The same with another value in the place of the field's: an expectation that is taken away is not missed, but one
    /// that is wrong must fail.
    fn otherwise(&self, mention: &Mention) -> Option<String> {
        let mut documents = self.documents.clone();
        let document = documents.get_mut(&mention.file)?.get_mut(mention.document)?;
        let value = document.pointer_mut(&mention.pointer)?;
        *value = other(value)?;
        Some(self.shown(&documents))
    }
}

fn take_away(document: &mut Value, pointer: &str) -> Option<()> {
    let (parent, key) = pointer.rsplit_once('/')?;
    document.pointer_mut(parent)?.as_object_mut()?.shift_remove(key)?;
    Some(())
}

fn other(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Bool(flag) => (!flag).into(),
        Value::Number(number) => (number.as_u64()? + 1).into(),
        Value::String(text) if text.starts_with("20") => "2031-01-01T00:00:00Z".into(),
        Value::String(text)
            if text.ends_with(['s', 'm', 'h', 'd']) && text.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            "999d".into()
        }
        Value::String(text) => format!("{text}-not").into(),
        Value::Array(list) if list.is_empty() => return None,
        Value::Array(list) => Value::Array(list.iter().filter_map(other).collect()),
        Value::Object(object) => {
            let renamed = |(key, value): (&String, &Value)| (format!("{key}-not"), value.clone());
            Value::Object(object.iter().map(renamed).collect())
        }
        Value::Null => return None,
    })
}

/// Fields that no page can show an effect of, each with its reason.
fn excused(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder.join("unasserted.txt")).unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let entry = |line: &str| {
        let (field, reason) = line.split_once(": ").unwrap_or((line, ""));
        assert!(!reason.is_empty(), "unasserted.txt: `{line}` has no reason");
        (field.to_owned(), reason.to_owned())
    };
    lines.map(entry).collect()
}

#[test]
fn every_field_has_an_effect_that_a_page_shows() {
    let pages = crate::pages();
    let cases = bare(&pages);
    let mut all = BTreeSet::new();
    let mut mentions: BTreeMap<String, Vec<Mention>> = BTreeMap::new();
    for kind in schema::kind_names() {
        let root = schema::schema_for(kind).unwrap();
        let spec = root.pointer("/properties/spec").unwrap();
        fields_of(&root, spec, kind, &mut BTreeSet::new(), &mut all);
        for (index, case) in cases.iter().enumerate() {
            for (file, list) in &case.documents {
                for (document, value) in list.iter().enumerate().filter(|(_, v)| v["kind"] == *kind) {
                    let mut found = Vec::new();
                    mentioned(&root, spec, &value["spec"], kind, "/spec", &mut found);
                    for (field, pointer) in found {
                        let mention = Mention {
                            case: index,
                            file: file.clone(),
                            document,
                            pointer,
                        };
                        mentions.entry(field).or_default().push(mention);
                    }
                }
            }
        }
    }
    // What a page says itself comes before what it takes over from the estate.
    for list in mentions.values_mut() {
        list.sort_by_key(|m| !m.file.starts_with("spec"));
    }
    let excused = excused(&crate::folder());
    let has_effect = |field: &&String| {
        let tries = if excused.contains_key(*field) {
            TRIES_EXCUSED
        } else {
            TRIES
        };
        let tried = mentions.get(*field).into_iter().flatten().take(tries);
        let expected = field.starts_with("Expect") || field.starts_with("DetailedBatch");
        tried.into_iter().any(|mention| {
            let case = &cases[mention.case];
            let changed = if expected {
                case.otherwise(mention)
            } else {
                case.without(mention)
            };
            changed.is_some_and(|changed| changed != *case.whole.get_or_init(|| case.shown(&case.documents)))
        })
    };
    let without: Vec<&String> = all.par_iter().filter(|field| !has_effect(field)).collect();
    let missing: Vec<String> = without
        .iter()
        .filter(|field| !excused.contains_key(**field))
        .map(|field| match mentions.contains_key(*field) {
            true => format!("{field} (written on a page, but nothing shown there changes without it)"),
            false => format!("{field} (on no page)"),
        })
        .collect();
    let stale: Vec<&String> = excused.keys().filter(|field| !without.contains(field)).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "{} of {} fields have no effect that a page in tests/spec shows; show one, or say in tests/spec/unasserted.txt why \
         none can be shown:\n{}\nentries of unasserted.txt that are not needed: {stale:?}",
        missing.len(),
        all.len(),
        missing.join("\n"),
    );
}

/// Mentions of a field that are tried before it counts as without effect: an effect, if there is one, is shown where the
/// field is the subject, and those places come first.
const TRIES: usize = 60;

/// The same for a field that is excused, which is tried only to find out whether it still has to be.
const TRIES_EXCUSED: usize = 2;
