//! Examples of the fields whose form a person cannot guess, put into the schemas in one place: editors offer them, and
//! the reference shows them.
//!
//! A field is named by its definition and its name; `*` stands for every definition with a field of that name. Types with
//! one form everywhere (durations, dates, amounts, severities, approvals) carry their examples themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

fn table() -> Vec<(&'static str, &'static str, Value)> {
    let of_asset = json!([
        "asset.os.family == \"rhel\"",
        "has(asset.gpu.driver) && asset.labels[\"tier\"] == \"gpu\""
    ]);
    let of_finding = json!([
        "advisory.exploited && asset.class.exposure == \"public\"",
        "finding.package.startsWith(\"kernel\")"
    ]);
    let selector = json!([
        {},
        {"matchLabels": {"env": "prod", "tier": "web"}},
        {"matchExpressions": [{"key": "site", "operator": "In", "values": ["fra", "ams"]}]},
    ]);
    vec![
        (
            "*",
            "rrule",
            json!(["FREQ=WEEKLY;BYDAY=TU,TH", "FREQ=MONTHLY;BYDAY=2TU", "FREQ=DAILY"]),
        ),
        ("*", "timezone", json!(["Europe/Berlin", "America/New_York", "UTC"])),
        ("Schedule", "start", json!(["22:00", "02:30"])),
        ("WindowSchedule", "start", json!(["22:00", "02:30"])),
        ("*", "selector", selector),
        ("Include", "when", of_finding.clone()),
        ("Exclude", "when", of_finding.clone()),
        ("SlaRule", "when", of_finding),
        ("*", "when", of_asset),
        ("WaveSpec", "batches", json!([["100%"], [1, "10%", "100%"]])),
        ("*", "maxUnavailable", json!([1, "25%"])),
        ("Disruption", "per", json!(["class", "service", "site"])),
        ("Hold", "versions", json!([">= 16", ">= 16, < 17"])),
        ("*", "packages", json!([["openssl*", "kernel*"]])),
        ("Gate", "promql", json!(["up{job=\"node\"}"])),
        ("*", "is", json!(["== 1", "< 0.01"])),
        ("GateMatch", "label", json!(["instance"])),
        ("GateMatch", "to", json!(["asset.fqdn", "asset.name"])),
        ("Roles", "approvers", json!([["team-sre"]])),
        ("Requires", "likeness", json!([["tier", "site"]])),
        ("ForgeSpec", "repository", json!(["acme/patching"])),
        ("StateSpec", "url", json!(["s3://bucket/prefix"])),
    ]
}

/// Adds the examples to the definitions that have such fields and none of their own.
pub(super) fn add(definitions: &mut BTreeMap<String, Value>) {
    let table = table();
    for (definition, schema) in definitions {
        let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (name, field) in fields.into_iter().flatten() {
            let fits = |(of, named, _): &&(&str, &str, Value)| (*of == "*" || of == definition) && named == name;
            if let (Some((_, _, examples)), Value::Object(field)) = (table.iter().find(fits), field) {
                field.entry("examples").or_insert_with(|| examples.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::expr;

    #[test]
    fn every_condition_is_one() {
        let mut seen = 0;
        for (_, _, examples) in table().into_iter().filter(|(_, name, _)| *name == "when") {
            for example in examples.as_array().unwrap() {
                let text = example.as_str().unwrap();
                assert!(expr::compile(text).is_ok(), "{text}: {:?}", expr::compile(text).err());
                seen += 1;
            }
        }
        assert!(seen > 0, "no field `when` has an example");
    }
}
