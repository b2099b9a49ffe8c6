//! Completion: field names with their documentation, words a value can be, names of resources, labels.

use std::collections::BTreeSet;

use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, MarkupContent, MarkupKind, TextEdit,
};
use patchwave_core::load::{known, schema, target_of};
use patchwave_core::source::yaml::{self, LIMITS};

use super::cursor::{Cursor, cursor};
use super::hover::field_text;
use super::position::Lines;
use super::shape;
use super::workspace::Workspace;

/// What can be written at a byte of a file. The text is the buffer's; names and labels are those of the last load, which
/// a half-typed line does not change.
pub fn complete(workspace: &Workspace, text: &str, byte: usize) -> Vec<CompletionItem> {
    let Some(here) = cursor(text, byte) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if here.path.as_slice() == ["kind"] {
        found.extend(
            schema::KINDS
                .iter()
                .map(|kind| item(kind.name, CompletionItemKind::CLASS, kind.about)),
        );
    } else {
        // Without a kind, what every kind has.
        let kind = here
            .kind
            .as_deref()
            .filter(|k| schema::kind(k).is_some())
            .unwrap_or("Project");
        if !here.after_key {
            fields(kind, &here, &mut found);
            labels(workspace, &here, &mut found);
        }
        values(workspace, kind, &here, &mut found);
    }
    // A word of the schema may be one of its examples too; the first says more of it.
    let mut seen = BTreeSet::new();
    found.retain(|item| seen.insert(item.label.clone()));
    let range = Lines::new(text, workspace.encoding).range(here.word.clone());
    for (order, item) in found.iter_mut().enumerate() {
        item.sort_text = Some(format!("{order:04}"));
        let text = item.insert_text.take().unwrap_or_else(|| item.label.clone());
        item.filter_text = Some(item.label.clone());
        item.text_edit = Some(CompletionTextEdit::Edit(TextEdit::new(range, text)));
    }
    found
}

fn item(label: &str, kind: CompletionItemKind, about: &str) -> CompletionItem {
    let about = MarkupContent {
        kind: MarkupKind::Markdown,
        value: about.to_owned(),
    };
    CompletionItem {
        label: label.to_owned(),
        kind: Some(kind),
        documentation: (!about.value.is_empty()).then_some(Documentation::MarkupContent(about)),
        ..CompletionItem::default()
    }
}

fn fields(kind: &str, here: &Cursor, found: &mut Vec<CompletionItem>) {
    for field in shape::fields(kind, &here.path) {
        if here.siblings.iter().any(|key| key == field.name) {
            continue;
        }
        let types = shape::types(&field.nodes);
        let required = if field.required { "required, " } else { "" };
        let opens = !here.flow && shape::words(&field.nodes).is_empty() && (types == "mapping" || types == "list");
        let inside = if types == "list" { "- " } else { "" };
        let insert = match (here.colon_follows, opens) {
            (true, _) => field.name.to_owned(),
            // An editor indents the line after it by the column of this one.
            (false, true) => format!("{}:\n{}{inside}", field.name, " ".repeat(here.column + 2)),
            (false, false) => format!("{}: ", field.name),
        };
        found.push(CompletionItem {
            detail: Some(format!("{required}{types}")),
            insert_text: Some(insert),
            insert_text_mode: Some(lsp_types::InsertTextMode::AS_IS),
            ..item(field.name, CompletionItemKind::FIELD, &field_text(&field.nodes))
        });
    }
}

fn values(workspace: &Workspace, kind: &str, here: &Cursor, found: &mut Vec<CompletionItem>) {
    let path: Vec<&str> = here.path.iter().map(String::as_str).collect();
    if let Some(target) = target_of(kind, &path) {
        let names = workspace.loaded().names.get(target).into_iter().flatten();
        found.extend(names.map(|(name, doc)| CompletionItem {
            detail: doc.map(|doc| workspace.loaded().documents.locate(doc, "/metadata/name").to_string()),
            ..item(name, CompletionItemKind::REFERENCE, &format!("{target} `{name}`"))
        }));
    }
    let nodes = shape::all_forms(kind, &here.path);
    for word in shape::words(&nodes) {
        found.push(item(
            &quoted(&word.text, &nodes),
            CompletionItemKind::ENUM_MEMBER,
            word.about,
        ));
    }
    for example in shape::examples(&nodes) {
        let written = example.as_str().map_or_else(|| example.to_string(), plain);
        found.push(CompletionItem {
            detail: Some("example".into()),
            ..item(&written, CompletionItemKind::VALUE, "")
        });
    }
    for name in known_words(kind, &path) {
        found.push(item(name, CompletionItemKind::VALUE, ""));
    }
    for value in label_values(workspace, &path) {
        found.push(item(
            &plain(&value),
            CompletionItemKind::VALUE,
            "A value of this label.",
        ));
    }
}

/// `true` as a word, where the schema asks for a text.
fn quoted(word: &str, nodes: &[shape::Node]) -> String {
    let text = !nodes
        .iter()
        .any(|node| node.get("type").is_some_and(|t| t == "boolean"));
    if text { plain(word) } else { word.to_owned() }
}

/// A text as it is written in YAML, also inside `{…}`: in quotes where the plain word would be read as something else.
fn plain(word: &str) -> String {
    let reading = yaml::read(&format!("{{a: {word}}}"), LIMITS);
    let same = |document: &yaml::Document| document.value.get("a").is_some_and(|value| value == word);
    match reading.documents.as_slice() {
        [only] if reading.problems.is_empty() && same(only) => word.to_owned(),
        _ if word.contains('"') && !word.contains(['\\', '\'']) => format!("'{word}'"),
        _ => format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// Words that name parts of the engine; the schemas leave them open because a folder can add to them.
fn known_words(kind: &str, path: &[&str]) -> Vec<&'static str> {
    let names = |list: &'static [known::Known]| list.iter().map(|known| known.name).collect();
    match (kind, path) {
        ("AssetClass", ["spec", "target"] | ["spec", "targets", _, "use"]) => names(known::TARGETS),
        ("AssetClass", ["spec", "protection", "backup"]) => names(known::BACKUPS),
        ("AssetClass", ["spec", "protection", "rollback"]) => names(known::ROLLBACKS),
        ("AssetClass", ["spec", "hooks", _, _] | ["spec", "hooks", _, _, "name"]) => known::HOOKS.to_vec(),
        ("Source", ["spec", "type"]) => known::SOURCE_TYPES.iter().map(|source| source.name).collect(),
        ("SlaPolicy", ["spec", "table", "pack"]) => names(known::TABLE_PACKS),
        ("Source", ["spec", "authoritativeFor", _]) => known::FACT_GROUPS.to_vec(),
        _ => Vec::new(),
    }
}

/// Every label that a fleet gives its assets.
fn fleet_labels(workspace: &Workspace) -> BTreeSet<(&str, &str)> {
    let fleets = workspace.loaded().catalog.fleets.values();
    let maps = fleets.flat_map(|fleet| {
        let assets = fleet.spec.assets.iter().map(|asset| &asset.labels);
        std::iter::once(&fleet.spec.labels).chain(assets)
    });
    maps.flatten()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

fn label_keys(workspace: &Workspace) -> BTreeSet<&str> {
    fleet_labels(workspace).into_iter().map(|(key, _)| key).collect()
}

/// Label keys, as keys of `matchLabels` and as values of the fields that name one.
fn labels(workspace: &Workspace, here: &Cursor, found: &mut Vec<CompletionItem>) {
    let inside = here.path.last().is_some_and(|last| last == "matchLabels");
    let keys = label_keys(workspace);
    let missing = keys
        .into_iter()
        .filter(|key| inside && !here.siblings.iter().any(|sibling| sibling == key));
    found.extend(missing.map(|key| CompletionItem {
        insert_text: Some(if here.colon_follows {
            plain(key)
        } else {
            format!("{}: ", plain(key))
        }),
        ..item(key, CompletionItemKind::PROPERTY, "A label of the fleets.")
    }));
}

fn label_values(workspace: &Workspace, path: &[&str]) -> Vec<String> {
    let owned = |values: BTreeSet<&str>| values.into_iter().map(str::to_owned).collect();
    match path {
        [.., "matchLabels", key] => {
            let values = fleet_labels(workspace).into_iter().filter(|(k, _)| k == key);
            owned(values.map(|(_, value)| value).collect())
        }
        [.., "matchExpressions", _, "key"] | [.., "fromLabel"] | [.., "likeness", _] => owned(label_keys(workspace)),
        _ => Vec::new(),
    }
}
