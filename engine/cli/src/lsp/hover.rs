//! Hover: what a field is for, its type and default, what a name leads to, when a window opens, how long a duration is.

use jiff::Timestamp;
use patchwave_core::load::schedule::window;
use patchwave_core::load::{schema, target_of};
use patchwave_core::source::unescape_token;
use patchwave_core::time::{DurationSeconds, FreezeSet};

use super::cursor::cursor;
use super::shape::{self, Node};
use super::workspace::Workspace;

/// Openings shown: enough to see the rhythm of a window.
const OPENINGS_SHOWN: usize = 3;

/// What is known of the word at a byte, as Markdown, and the bytes it is about.
pub fn hover(
    workspace: &Workspace,
    path: &str,
    text: &str,
    byte: usize,
    now: Timestamp,
) -> Option<(String, std::ops::Range<usize>)> {
    let here = place(workspace, path, text, byte)?;
    let nodes = shape::all_forms(&here.kind, &here.path);
    let mut parts = Vec::new();
    if let Some(name) = here.path.iter().rev().find(|t| !t.bytes().all(|b| b.is_ascii_digit())) {
        let (types, about) = (shape::types(&nodes), field_text(&nodes));
        let types = if types.is_empty() {
            String::new()
        } else {
            format!(" — {types}")
        };
        parts.push(format!("**`{name}`**{types}"));
        parts.extend((!about.is_empty()).then_some(about));
    }
    if here.path.as_slice() == ["kind"] {
        parts.extend(schema::kind(&here.word).map(|kind| format!("`{}`: {}", kind.name, kind.about)));
    }
    if let Some(word) = shape::words(&nodes)
        .into_iter()
        .find(|word| word.text == here.word && !word.about.is_empty())
    {
        parts.push(format!("`{}`: {}", word.text, word.about));
    }
    parts.extend(duration(&nodes, &here.word));
    let steps: Vec<&str> = here.path.iter().map(String::as_str).collect();
    let named = match (target_of(&here.kind, &steps), steps.as_slice()) {
        (Some(target), _) => Some(target),
        (None, ["metadata", "name"]) => schema::kind(&here.kind).map(|kind| kind.name),
        _ => None,
    };
    if let Some(target) = named {
        parts.extend(resource(workspace, target, &here.word, now));
    }
    (!parts.is_empty()).then(|| (parts.join("\n\n"), here.range))
}

/// The word at a byte with the way to it.
pub struct Place {
    /// `kind:` of the document.
    pub kind: String,
    /// The way to the value.
    pub path: Vec<String>,
    /// The value as written, without quotes; empty on a key whose value is no word.
    pub word: String,
    /// The bytes of the key or value.
    pub range: std::ops::Range<usize>,
}

/// The place of a byte: from the last parse, else, where the document is not YAML at the moment, off its lines.
pub fn place(workspace: &Workspace, path: &str, text: &str, byte: usize) -> Option<Place> {
    let loaded = workspace.loaded();
    if let Some((doc, spot)) = loaded.documents.at(path, byte) {
        let doc = loaded.documents.get(doc)?;
        let word = doc
            .value
            .pointer(&spot.pointer)
            .filter(|v| !v.is_object() && !v.is_array());
        return Some(Place {
            kind: doc.kind().to_owned(),
            path: spot
                .pointer
                .split('/')
                .skip(1)
                .map(|t| unescape_token(t).into_owned())
                .collect(),
            word: word.map(shape::written).unwrap_or_default(),
            range: spot.range,
        });
    }
    let here = cursor(text, byte)?;
    let written = text.get(here.word.clone()).unwrap_or_default();
    let mut steps = here.path;
    if !here.after_key && here.colon_follows {
        steps.push(written.trim_matches(['"', '\'']).to_owned());
    }
    Some(Place {
        kind: here.kind?,
        path: steps,
        word: written.trim_matches(['"', '\'']).to_owned(),
        range: here.word,
    })
}

/// Description, default and examples of a field.
pub fn field_text(nodes: &[Node]) -> String {
    let mut text = shape::about(nodes).to_owned();
    if let Some(default) = shape::default(nodes) {
        text.push_str(&format!("\n\nDefault: `{default}`"));
    }
    let examples = shape::examples(nodes);
    if !examples.is_empty() {
        let shown: Vec<String> = examples
            .into_iter()
            .map(|e| format!("`{}`", shape::written(e)))
            .collect();
        text.push_str(&format!("\n\nFor example: {}", shown.join(", ")));
    }
    text
}

fn duration(nodes: &[Node], word: &str) -> Option<String> {
    if !shape::is_a(nodes, "Duration") {
        return None;
    }
    let length: DurationSeconds = word.parse().ok()?;
    let hours = length.seconds() / 3600;
    let whole = if length.seconds() % 3600 == 0 && hours > 24 {
        format!(", {hours} hours")
    } else {
        String::new()
    };
    Some(format!(
        "`{word}` = {length} of elapsed time{whole} ({} s)",
        length.seconds()
    ))
}

/// Where a resource stands, what it says of itself, and of a window the next openings.
fn resource(workspace: &Workspace, kind: &str, name: &str, now: Timestamp) -> Option<String> {
    let doc = workspace.resource(kind, name)?;
    let at = workspace.loaded().documents.locate(doc, "/metadata/name");
    let mut text = format!("→ {kind} `{name}` ({}:{})", at.file, at.line);
    let value = &workspace.loaded().documents.get(doc)?.value;
    if let Some(about) = value.pointer("/spec/description").and_then(serde_json::Value::as_str) {
        text.push_str(&format!("\n\n{about}"));
    }
    let catalog = &workspace.loaded().catalog;
    if let Some(found) = catalog.windows.get(name).filter(|_| kind == "MaintenanceWindow") {
        let window = window(found, catalog).ok()?;
        text.push_str("\n\nNext openings (freezes not counted):");
        for opening in window.openings(now, &FreezeSet::EMPTY).take(OPENINGS_SHOWN) {
            let shown = |at: Option<Timestamp>| {
                at.map_or_else(
                    || "open end".to_owned(),
                    |at| {
                        at.to_zoned(catalog.zone.0.clone())
                            .strftime("%a %Y-%m-%d %H:%M %Z")
                            .to_string()
                    },
                )
            };
            text.push_str(&format!("\n- {} – {}", shown(opening.start), shown(opening.end)));
        }
    }
    Some(text)
}
