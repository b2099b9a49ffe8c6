//! `docs/reference.md`: every kind, field, type, default and word, written from the schemas.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{KINDS, combined};

const HEAD: &str = "# Reference of the resources

Every kind with its fields, as the JSON Schemas in `schemas/v1/` say it: this page is generated from them by
`cargo run -p xtask -- generate`. Every resource starts with `apiVersion: patchwave.dev/v1`, `kind` and `metadata`
([Metadata](#metadata)); the tables below are about `spec`. A field without a default and not marked required may be left
out. Unknown fields are errors.
";

/// The whole page, as Markdown.
pub fn page() -> String {
    let schema = combined();
    let empty = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    let mut page = String::from(HEAD);
    page.push_str("\n## Kinds\n\n");
    for kind in KINDS {
        let _ = writeln!(page, "- [{0}](#{1}): {2}", kind.name, anchor(kind.name), kind.about);
    }
    for kind in KINDS {
        let _ = write!(page, "\n### {}\n\n{}\n", kind.name, kind.about);
        if let Some(spec) = definitions.get(&format!("{}Spec", kind.name)) {
            page.push_str(&body(spec));
        }
    }
    page.push_str("\n## Types\n");
    let shown =
        |name: &&String| !name.ends_with("Resource") && !KINDS.iter().any(|k| **name == format!("{}Spec", k.name));
    let types: BTreeMap<&String, &Value> = definitions.iter().filter(|(name, _)| shown(name)).collect();
    for (name, definition) in types {
        let _ = write!(page, "\n### {name}\n\n{}\n", text(definition, "description"));
        page.push_str(&body(definition));
    }
    page
}

fn anchor(name: &str) -> String {
    name.to_lowercase()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The fields of a mapping, the words of a choice, or the forms of anything else.
fn body(definition: &Value) -> String {
    let mut out = String::new();
    if let Some(fields) = definition.get("properties").and_then(Value::as_object) {
        out.push_str("\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
        let required = |name: &str| {
            let names = definition.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|n| n == name))
        };
        for (name, field) in fields {
            let default = match field.get("default") {
                _ if required(name) => "required".to_owned(),
                Some(default) => code(default),
                None => String::new(),
            };
            let meaning = format!("{}{}", text(field, "description"), examples(field));
            let _ = writeln!(out, "| `{name}` | {} | {default} | {} |", form(field), cell(&meaning));
        }
    } else if let Some(words) = words(definition) {
        out.push_str("\n| word | meaning |\n| --- | --- |\n");
        for (word, about) in words {
            let _ = writeln!(out, "| `{word}` | {} |", cell(about));
        }
    } else {
        let _ = write!(out, "\nWritten as: {}.{}\n", form(definition), examples(definition));
    }
    out
}

fn words(definition: &Value) -> Option<Vec<(&str, &str)>> {
    let choices = definition.get("oneOf")?.as_array()?;
    let word = |choice: &'_ Value| -> Option<()> { choice.get("const").map(|_| ()) };
    choices.iter().try_for_each(word)?;
    Some(
        choices
            .iter()
            .map(|choice| (text(choice, "const"), text(choice, "description")))
            .collect(),
    )
}

/// What a value looks like, in words, with links to its types.
fn form(schema: &Value) -> String {
    if let Some(name) = text(schema, "$ref").strip_prefix("#/$defs/") {
        return format!("[{name}](#{})", anchor(name));
    }
    if let Some(word) = schema.get("const") {
        return code(word);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(choices) = schema.get(keyword).and_then(Value::as_array) {
            return choices.iter().map(form).collect::<Vec<_>>().join(" or ");
        }
    }
    let one = |word: &str| match word {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => schema
            .get("items")
            .map_or_else(|| "list".to_owned(), |items| format!("list of {}", form(items))),
        "object" => match schema.get("additionalProperties").filter(|any| any.is_object()) {
            Some(any) => format!("mapping to {}", form(any)),
            None => schema.get("properties").and_then(Value::as_object).map_or_else(
                || "mapping".to_owned(),
                |fields| format!("`{{{}}}`", fields.keys().cloned().collect::<Vec<_>>().join(", ")),
            ),
        },
        other => other.to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(word)) => one(word),
        Some(Value::Array(several)) => several
            .iter()
            .filter_map(Value::as_str)
            .map(one)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "anything".to_owned(),
    }
}

fn examples(schema: &Value) -> String {
    let found = schema.get("examples").and_then(Value::as_array);
    let shown: Vec<String> = found.into_iter().flatten().map(code).collect();
    if shown.is_empty() {
        String::new()
    } else {
        format!(" For example {}.", shown.join(", "))
    }
}

fn code(value: &Value) -> String {
    let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // A bar ends a cell of a table even inside code.
    format!("`{}`", written.replace('|', "\\|"))
}

/// A text in a cell: one line, bars escaped.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace("\\|", "|").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_every_link_has_its_heading() {
        let page = page();
        let headings: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .map(anchor)
            .collect();
        assert!(KINDS.iter().all(|kind| headings.contains(&anchor(kind.name))));
        for link in page.split("](#").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            assert!(headings.iter().any(|h| h == target), "{target}");
        }
        assert!(page.contains("| `sla` | text | required | Name of the SlaPolicy that gives deadlines. |"));
        assert!(page.contains("| `propose` | Opens pull requests. |"));
    }
}
