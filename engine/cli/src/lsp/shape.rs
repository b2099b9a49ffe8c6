//! What the JSON Schema of a kind says of one place: the reference that completion and hover read from.

use patchwave_core::load::schema;
use serde_json::Value;

/// A part of a schema. The schemas live as long as the process.
pub type Node = &'static Value;

/// References into references are at most a few deep; a schema that turned in a circle would be a fault, and ends here.
const DEPTH_MAX: usize = 24;

/// The parts of the schema of `kind` that describe the value at `path`; several where a value may take several forms.
pub fn at(kind: &str, path: &[String]) -> Vec<Node> {
    let Some(root) = schema::of(kind) else {
        return Vec::new();
    };
    let mut nodes = vec![root];
    for token in path {
        nodes = nodes
            .iter()
            .flat_map(|node| forms(root, node))
            .filter_map(|form| step(form, token))
            .collect();
    }
    nodes
}

fn step(form: Node, token: &str) -> Option<Node> {
    let property = form.get("properties").and_then(|p| p.get(token));
    let entry = || form.get("items").filter(|_| token.bytes().all(|b| b.is_ascii_digit()));
    let any = || form.get("additionalProperties").filter(|node| node.is_object());
    property.or_else(entry).or_else(any)
}

/// A part with everything it refers to or chooses from, itself first.
pub fn forms(root: Node, node: Node) -> Vec<Node> {
    fn walk(root: Node, node: Node, depth: usize, found: &mut Vec<Node>) {
        if depth > DEPTH_MAX {
            return;
        }
        found.push(node);
        let target = node.get("$ref").and_then(Value::as_str);
        if let Some(target) = target.and_then(|r| root.pointer(r.strip_prefix('#')?)) {
            walk(root, target, depth + 1, found);
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            for choice in node.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                walk(root, choice, depth + 1, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(root, node, 0, &mut found);
    found
}

/// Every form of every part at a place.
pub fn all_forms(kind: &str, path: &[String]) -> Vec<Node> {
    let Some(root) = schema::of(kind) else {
        return Vec::new();
    };
    at(kind, path).into_iter().flat_map(|node| forms(root, node)).collect()
}

/// A field that a mapping may have.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// The parts of the schema that describe it.
    pub nodes: Vec<Node>,
}

/// The fields of the mapping at a place, required ones first, then in the order of the reference.
pub fn fields(kind: &str, path: &[String]) -> Vec<Field> {
    let root = schema::of(kind);
    let mut found: Vec<Field> = Vec::new();
    for form in all_forms(kind, path) {
        let required = |name: &str| {
            let names = form.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|n| n == name))
        };
        for (name, node) in form.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if found.iter().any(|field| field.name == name) {
                continue;
            }
            found.push(Field {
                name,
                required: required(name),
                nodes: root.map(|root| forms(root, node)).unwrap_or_default(),
            });
        }
    }
    found.sort_by_key(|field| !field.required);
    found
}

/// A word a value can be, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As written.
    pub text: String,
    /// What it means; empty if the schema does not say.
    pub about: &'static str,
}

/// The words that the value at a place can be, in the order of the reference. Numbers and free texts are no words.
pub fn words(nodes: &[Node]) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut add = |value: &Value, about: &'static str| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            _ => return,
        };
        if !found.iter().any(|word| word.text == text) {
            found.push(Word { text, about });
        }
    };
    for node in nodes {
        let about = text(node, "description");
        if let Some(value) = node.get("const") {
            add(value, about);
        }
        for value in node.get("enum").and_then(Value::as_array).into_iter().flatten() {
            add(value, "");
        }
        if node.get("type").is_some_and(|t| t == "boolean") {
            add(&Value::Bool(true), "");
            add(&Value::Bool(false), "");
        }
    }
    found
}

/// The examples the schema gives.
pub fn examples(nodes: &[Node]) -> Vec<&'static Value> {
    let lists = nodes.iter().filter_map(|node| node.get("examples")?.as_array());
    let mut found: Vec<&'static Value> = Vec::new();
    for example in lists.flatten() {
        if !found.contains(&example) {
            found.push(example);
        }
    }
    found
}

/// A value as one would write it in one line of YAML.
pub fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a place is for: the description nearest to it.
pub fn about(nodes: &[Node]) -> &'static str {
    let texts = nodes.iter().map(|node| text(node, "description"));
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

/// The default, if the schema has one.
pub fn default(nodes: &[Node]) -> Option<String> {
    nodes.iter().find_map(|node| node.get("default")).map(written)
}

/// The types a value may have, in words.
pub fn types(nodes: &[Node]) -> String {
    let mut found: Vec<String> = Vec::new();
    for node in nodes {
        let named = node
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|r| r.strip_prefix("#/$defs/"));
        let word = match node.get("type").and_then(Value::as_str) {
            Some("array") => "list",
            Some("object") => "mapping",
            Some("string") if node.get("const").is_some() => continue,
            Some("string") => "text",
            Some("integer") => "whole number",
            Some(other) => other,
            None => continue,
        };
        if named.is_none() && !found.iter().any(|known| known == word) {
            found.push(word.to_owned());
        }
    }
    if found.is_empty() && !words(nodes).is_empty() {
        return "one word".into();
    }
    found.join(" or ")
}

/// Whether a place holds a value of the named definition.
pub fn is_a(nodes: &[Node], definition: &str) -> bool {
    let named = |node: &&Node| text(node, "$ref").strip_prefix("#/$defs/") == Some(definition);
    nodes.iter().any(|node| named(&node))
}

fn text(node: Node, key: &str) -> &'static str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').filter(|t| !t.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn fields_come_required_first_and_words_with_their_meaning() {
        let fields = fields("PatchPolicy", &path("spec"));
        let required: Vec<_> = fields.iter().take_while(|f| f.required).map(|f| f.name).collect();
        assert_eq!(required, ["scope", "include", "sla", "rollout"]);
        assert!(fields.iter().any(|f| f.name == "mode" && !f.required));
        let words = words(&all_forms("PatchPolicy", &path("spec/mode")));
        assert_eq!(words.first().map(|w| w.text.as_str()), Some("observe"));
        assert_eq!(words.first().map(|w| w.about), Some("Reports only."));
        assert!(is_a(
            &all_forms("PatchPolicy", &path("spec/release/minAge")),
            "Duration"
        ));
        assert_eq!(
            default(&all_forms("PatchPolicy", &path("spec/mode"))).as_deref(),
            Some("propose")
        );
        assert!(!about(&all_forms("RolloutStrategy", &path("spec/waves/0/soak"))).is_empty());
        assert!(at("PatchPolicy", &path("spec/nothing")).is_empty());
        assert!(at("Nothing", &[]).is_empty());
    }
}
