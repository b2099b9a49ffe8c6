//! JSON Schemas (2020-12) of every kind, generated from the wire types, and their compiled validators.
//!
//! The schemas are what editors complete from and what `load` checks against: one truth, so what an editor accepts is
//! what `validate` accepts. An explicit `null` is not a value of any field: a key without a value is mostly an
//! unfinished edit, so the schemas refuse it where the types alone would take it for 'absent'.

mod examples;
pub mod reference;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::{PatternOptions, Validator};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::wire::{self, API_VERSION};

/// Where the schemas say they live. Nothing is fetched from there.
pub const BASE_URI: &str = "https://patchwave.dev/schemas/v1/";

/// One kind.
#[derive(Clone, Copy)]
pub struct KindInfo {
    /// As written in `kind:`.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    spec: fn(&mut SchemaGenerator) -> schemars::Schema,
}

fn spec_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<T>()
}

macro_rules! kinds {
    ($($name:literal $spec:ident $about:literal)+) => {
        /// Every kind, in order of name.
        pub const KINDS: &[KindInfo] = &[$(KindInfo { name: $name, about: $about, spec: spec_of::<wire::$spec> }),+];
    };
}

kinds! {
    "Advisory" AdvisorySpec "A bulletin without a feed."
    "AssetClass" AssetClassSpec "What an asset is, which tool patches it, when, and how carefully."
    "ChangeFreeze" ChangeFreezeSpec "When nothing may start; beats every window, lane and target."
    "CompatibilityMatrix" CompatibilityMatrixSpec "Which versions go together."
    "ComplianceProfile" ComplianceProfileSpec "The controls a report is made for."
    "Fleet" FleetSpec "Assets, where they are observed, and the services they form."
    "MaintenanceWindow" MaintenanceWindowSpec "When a batch may start."
    "NotificationPolicy" NotificationPolicySpec "Who is told what."
    "Override" OverrideSpec "The only way through a freeze; expires by itself."
    "PatchException" PatchExceptionSpec "A recorded decision not to fix, for a time."
    "PatchPolicy" PatchPolicySpec "What is patched, by when, and how it is rolled out."
    "PolicyTest" PolicyTestSpec "A unit test of the policies in this repository."
    "Project" ProjectSpec "Paths, forge, state and defaults; stands in `patchwave.yaml`."
    "RolloutStrategy" RolloutStrategySpec "The waves a rollout goes through."
    "SlaPolicy" SlaPolicySpec "From which instant the clock runs, and how long."
    "Source" SourceSpec "Where facts come from."
    "ValidationSuite" ValidationSuiteSpec "Checks run after the patch."
}

/// The names of all kinds, in order.
pub fn kind_names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|k| k.name)
}

/// The kind with this name.
pub fn kind(name: &str) -> Option<&'static KindInfo> {
    KINDS.iter().find(|k| k.name == name)
}

/// The file name of a kind's schema: `patchpolicy.json`.
pub fn file_name(kind: &str) -> String {
    format!("{}.json", kind.to_lowercase())
}

/// The schema of one kind; `None` for a name that is no kind.
pub fn schema_for(kind_name: &str) -> Option<Value> {
    kind(kind_name).map(generate)
}

fn generate(kind: &KindInfo) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = envelope(kind, &mut generator);
    let definitions = definitions(&mut generator);
    if let Value::Object(object) = &mut schema {
        let id = format!("{BASE_URI}{}", file_name(kind.name));
        let head = json!({"$schema": DIALECT, "$id": id});
        let mut whole = head.as_object().cloned().unwrap_or_default();
        whole.append(object);
        whole.insert("$defs".into(), definitions);
        return Value::Object(whole);
    }
    schema
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// `apiVersion`, `kind`, `metadata` and `spec` of one kind; what they refer to stays in the generator.
fn envelope(kind: &KindInfo, generator: &mut SchemaGenerator) -> Value {
    let described = |schema: schemars::Schema, about: &str| {
        let mut schema = Value::from(schema);
        if let Value::Object(object) = &mut schema {
            object.insert("description".into(), about.into());
        }
        schema
    };
    let spec = described((kind.spec)(generator), kind.about);
    let metadata = described(
        generator.subschema_for::<wire::Metadata>(),
        "Name, labels and annotations of the resource.",
    );
    // A Project may leave out everything; every other kind has something to say.
    let spec_required = (kind.name != "Project").then_some("spec");
    let required: Vec<&str> = ["apiVersion", "kind", "metadata"]
        .into_iter()
        .chain(spec_required)
        .collect();
    json!({
        "title": kind.name,
        "description": kind.about,
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": format!("Always `{API_VERSION}`.")},
            "kind": {"const": kind.name, "description": kind.about},
            "metadata": metadata,
            "spec": spec,
        },
        "required": required,
        "additionalProperties": false,
    })
}

fn definitions(generator: &mut SchemaGenerator) -> Value {
    let mut definitions: BTreeMap<String, Value> = generator.take_definitions(true).into_iter().collect();
    definitions.values_mut().for_each(forbid_null);
    examples::add(&mut definitions);
    definitions.into_iter().collect()
}

/// The schema that chooses by `kind`, for editors that map one schema to all files. It refers only into itself, so no
/// editor has to fetch anything.
pub fn combined() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let resources: Vec<(String, Value)> = KINDS
        .iter()
        .map(|k| (format!("{}Resource", k.name), envelope(k, &mut generator)))
        .collect();
    let branches: Vec<Value> = KINDS
        .iter()
        .map(|k| {
            json!({
                "if": {"properties": {"kind": {"const": k.name}}, "required": ["kind"]},
                "then": {"$ref": format!("#/$defs/{}Resource", k.name)},
            })
        })
        .collect();
    let kinds: Vec<Value> = KINDS
        .iter()
        .map(|k| json!({"const": k.name, "description": k.about}))
        .collect();
    let mut definitions = definitions(&mut generator);
    if let Value::Object(object) = &mut definitions {
        object.extend(resources);
    }
    json!({
        "$schema": DIALECT,
        "$id": format!("{BASE_URI}patchwave.json"),
        "title": "patchwave resource",
        "description": "Any resource; `kind` decides.",
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": format!("Always `{API_VERSION}`.")},
            "kind": {"description": "What the document describes.", "oneOf": kinds},
        },
        "required": ["apiVersion", "kind"],
        "allOf": branches,
        "$defs": definitions,
    })
}

/// Every generated file: name → text, as checked in below `schemas/v1/`.
pub fn files() -> BTreeMap<String, String> {
    let pretty = |value: &Value| format!("{value:#}\n");
    let mut files: BTreeMap<String, String> = KINDS
        .iter()
        .map(|k| (file_name(k.name), pretty(&generate(k))))
        .collect();
    files.insert("patchwave.json".into(), pretty(&combined()));
    files
}

/// Takes `null` out of what `Option` fields accept, and tidies descriptions.
fn forbid_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|c| c != &json!({"type": "null"}));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            // Links of the source's documentation mean nothing in an editor.
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            object.values_mut().for_each(forbid_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        _ => {}
    }
}

/// A schema and its compiled form.
pub(super) struct Compiled {
    pub(super) schema: Value,
    pub(super) validator: Validator,
}

/// Compiled once in the life of a process. A schema that does not compile would be a fault of this crate; the test over
/// all kinds keeps it from happening.
static COMPILED: LazyLock<BTreeMap<&'static str, Compiled>> = LazyLock::new(|| {
    KINDS
        .iter()
        .filter_map(|kind| {
            let schema = generate(kind);
            let validator = jsonschema::options()
                .with_pattern_options(PatternOptions::regex())
                .should_validate_formats(true)
                .offline()
                .build(&schema)
                .ok()?;
            Some((kind.name, Compiled { schema, validator }))
        })
        .collect()
});

/// The schema of one kind, kept for the life of the process: for those who walk it at every keystroke.
pub fn of(kind: &str) -> Option<&'static Value> {
    COMPILED.get(kind).map(|compiled| &compiled.schema)
}

pub(super) fn compiled(kind: &str) -> Option<&'static Compiled> {
    COMPILED.get(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `see` with every field of every mapping in a schema; conditions (`if`) describe nothing.
    fn fields(schema: &Value, place: &str, see: &mut impl FnMut(String, &Value)) {
        match schema {
            Value::Object(object) => {
                for (name, field) in object
                    .get("properties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                {
                    see(format!("{place}/properties/{name}"), field);
                }
                for (key, value) in object
                    .iter()
                    .filter(|(key, _)| !["if", "examples", "default"].contains(&key.as_str()))
                {
                    fields(value, &format!("{place}/{key}"), see);
                }
            }
            Value::Array(items) => {
                let mut items = items.iter().enumerate();
                items
                    .by_ref()
                    .for_each(|(i, item)| fields(item, &format!("{place}/{i}"), see));
            }
            _ => {}
        }
    }

    fn whole() -> Vec<(String, Value)> {
        let kinds = KINDS.iter().map(|kind| (file_name(kind.name), generate(kind)));
        kinds.chain([("patchwave.json".to_owned(), combined())]).collect()
    }

    #[test]
    fn everything_is_described() {
        for (file, schema) in whole() {
            let said = |value: &Value| {
                value
                    .get("description")
                    .and_then(Value::as_str)
                    .is_some_and(|d| d.len() > 3)
            };
            fields(&schema, "", &mut |place, field| {
                assert!(said(field), "{file}#{place} has no description");
                let words = field.get("oneOf").and_then(Value::as_array).into_iter().flatten();
                words.for_each(|word| assert!(said(word), "{file}#{place}: a word without its meaning: {word}"));
            });
            for (name, definition) in schema["$defs"].as_object().unwrap() {
                assert!(said(definition), "{file}#/$defs/{name} has no description");
                for keyword in ["oneOf", "anyOf"] {
                    let choices = definition.get(keyword).and_then(Value::as_array).into_iter().flatten();
                    let mut words = choices.filter(|choice| choice.get("const").is_some());
                    assert!(words.all(said), "{file}#/$defs/{name}: a word without its meaning");
                }
                assert!(
                    definition.get("enum").is_none(),
                    "{file}#/$defs/{name}: words without their meaning"
                );
            }
        }
    }

    #[test]
    fn examples_and_defaults_are_valid_where_they_stand() {
        let schema = combined();
        let mut seen = 0;
        fields(&schema["$defs"], "#/$defs", &mut |place, field| {
            let examples = field.get("examples").and_then(Value::as_array).into_iter().flatten();
            let values: Vec<&Value> = examples.chain(field.get("default")).collect();
            if values.is_empty() {
                return;
            }
            let this = json!({"$schema": DIALECT, "$ref": place, "$defs": schema["$defs"]});
            let validator = jsonschema::options().offline().build(&this).unwrap();
            for value in values {
                seen += 1;
                assert!(validator.is_valid(value), "{place}: {value}");
            }
        });
        assert!(seen > 100, "{seen}");
    }

    #[test]
    fn the_defaults_of_the_contract_are_shown() {
        let schema = combined();
        for (definition, field, default) in [
            ("ForgeSpec", "type", json!("local")),
            ("StateSpec", "path", json!(".patchwave/state")),
            ("ProjectDefaults", "timezone", json!("UTC")),
            ("PatchPolicySpec", "mode", json!("propose")),
            ("PatchPolicySpec", "strategy", json!("minimal")),
            ("SlaPolicySpec", "clock", json!("published")),
            ("SlaPolicySpec", "unknownDate", json!("detected")),
            ("SlaPolicySpec", "unknownSeverity", json!("high")),
            ("SlaPolicySpec", "atRisk", json!("75%")),
            ("Release", "minAge", json!("0s")),
            ("Requires", "tested", json!(true)),
            ("Requires", "untested", json!("refuse")),
            ("Requires", "reversible", json!("none")),
            ("AssetClassSpec", "priority", json!(0)),
            ("AssetClassSpec", "criticality", json!("medium")),
            ("AssetClassSpec", "content", json!("none")),
            ("Protection", "backup", json!("none")),
            ("Protection", "rollback", json!("none")),
            ("Disruption", "maxUnavailable", json!(1)),
            ("Disruption", "per", json!("class")),
            ("Disruption", "reboot", json!("ifNeeded")),
            ("WaveSpec", "batches", json!(["100%"])),
            ("WaveSpec", "maxFailures", json!(0)),
            ("WaveSpec", "onFailure", json!("halt")),
            ("WaveSpec", "soak", json!("0s")),
            ("WaveSpec", "approval", json!({"pullRequest": {"reviewers": 1}})),
            ("PromoteAt", "patched", json!("100%")),
            ("PromoteAt", "of", json!("reachable")),
            ("PromoteAt", "min", json!(1)),
            ("Estimate", "perAsset", json!("15m")),
            ("Estimate", "reboot", json!("10m")),
            ("FleetSpec", "identity", json!(["machineId", "fqdn", "name"])),
            ("SourceSpec", "staleAfter", json!("1d12h")),
            ("MaintenanceWindowSpec", "cutoff", json!("0s")),
            ("MaintenanceWindowSpec", "overrun", json!("finish")),
        ] {
            let shown = &schema["$defs"][definition]["properties"][field]["default"];
            assert_eq!(*shown, default, "{definition}.{field}");
        }
    }

    #[test]
    fn every_schema_compiles_and_refuses_null() {
        assert!(KINDS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for name in kind_names() {
            let compiled = compiled(name).unwrap_or_else(|| panic!("{name} does not compile"));
            let text = compiled.schema.to_string();
            assert!(
                !text.contains("\"null\"") && !text.contains("\"default\":null"),
                "{name} accepts null"
            );
        }
        let combined = jsonschema::options().offline().build(&combined()).unwrap();
        let resource =
            |kind: &str| json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "x"}, "spec": {}});
        assert!(combined.is_valid(&resource("Project")));
        assert!(
            !combined.is_valid(&resource("PatchPolicy")),
            "the branch of the kind counts"
        );
        assert!(!combined.is_valid(&resource("Nothing")));
    }
}
