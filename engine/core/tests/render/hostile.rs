//! Hostile values: refused, or shown unchanged by a file that still parses.

use std::sync::Arc;

use patchwave_core::render::{Escape, HOSTILE_TEXTS, render};
use patchwave_core::source::yaml::{LIMITS, read};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixture::{World, world};

/// The list that targets are tried with, and one text of 10,000 characters.
pub fn hostile() -> Vec<String> {
    let texts = HOSTILE_TEXTS.iter().map(|text| (*text).to_owned());
    texts.chain(["A".repeat(10_000)]).collect()
}

/// A place where a hostile value may come in.
type Entry = (&'static str, fn(&mut World, &str));

const REFUSING: &[Entry] = &[
    ("asset name", |w, v| {
        let (asset, planned) = w.asset(1);
        asset.name = v.into();
        planned.name = v.into();
        w.observation.assets.sort_by(|a, b| a.name.cmp(&b.name));
    }),
    ("address", |w, v| w.asset(0).0.address = Some(v.into())),
    ("fqdn", |w, v| w.asset(0).0.facts.identity.fqdn = Some(v.into())),
    ("rpm package", |w, v| w.rollout.targets[1].name = v.into()),
    ("rpm version", |w, v| w.rollout.targets[1].version = v.into()),
    ("deb package", |w, v| w.rollout.targets[3].name = v.into()),
    ("deb version", |w, v| w.rollout.targets[3].version = v.into()),
    ("arch", |w, v| w.rollout.targets[0].arch = v.into()),
    ("module", |w, v| w.rollout.targets[0].module = Some(v.into())),
    ("os id", |w, v| w.rollout.targets[0].os_id = v.into()),
    ("installed version", |w, v| {
        let before = &mut w.asset(0).1.before;
        *before = std::iter::once(v.into())
            .chain(before.iter().skip(1).cloned())
            .collect();
    }),
    ("rollout name", |w, v| w.rollout.name = v.into()),
    ("wave name", |w, v| w.rollout.waves[0].name = v.into()),
    ("batch id", |w, v| w.rollout.waves[0].batches[0].id = v.into()),
    ("window", |w, v| w.rollout.waves[0].batches[0].window.name = v.into()),
    ("hook", |w, v| {
        w.catalog.classes.get_mut("web").unwrap().spec.hooks.always[0].name = v.into()
    }),
    ("backup", |w, v| {
        w.catalog.classes.get_mut("web").unwrap().spec.protection.backup = v.into()
    }),
    ("ha type", |w, v| {
        let fleet = w.catalog.fleets.get_mut("eu").unwrap();
        fleet.spec.services[0].ha.as_mut().unwrap().kind = v.into();
    }),
];

const SHOWING: &[Entry] = &[
    ("description", |w, v| {
        w.catalog.policies.get_mut("linux-security").unwrap().spec.description = Some(v.into())
    }),
    ("role", |w, v| {
        w.catalog
            .policies
            .get_mut("linux-security")
            .unwrap()
            .spec
            .roles
            .deployers = vec![v.into()]
    }),
    ("advisory", |w, v| w.rollout.advisories = vec![v.into()]),
    ("check", |w, v| {
        let suite = w.catalog.suites.get_mut("web").unwrap();
        suite.spec.checks[0].name = v.into();
        suite.spec.checks[0].command = Some(v.into());
    }),
    ("label", |w, v| {
        let labels: &mut _ = Arc::make_mut(&mut w.asset(1).0.labels);
        labels.insert(v.into(), v.into());
    }),
];

type Files = std::collections::BTreeMap<String, Vec<u8>>;

/// Every string of a value, keys too.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|v| strings(v, found)),
        Value::Object(map) => map.iter().for_each(|(k, v)| {
            found.push(k.clone());
            strings(v, found);
        }),
        _ => {}
    }
}

/// Parses every YAML and JSON file that differs from `plain` (the others are known) and gives all their strings.
fn parsed(files: &Files, plain: &Files) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bytes) in files.iter().filter(|(path, bytes)| plain.get(*path) != Some(bytes)) {
        let text = std::str::from_utf8(bytes).unwrap();
        if path.ends_with(".json") {
            strings(
                &serde_json::from_str(text).unwrap_or_else(|e| panic!("{path}: {e}")),
                &mut found,
            );
        } else if path.ends_with(".yml") || path.ends_with(".yaml") {
            // `!unsafe` is Ansible's own tag; what it tags is a plain list.
            let reading = read(&text.replace(" !unsafe\n", "\n").replace(" !unsafe '", " '"), LIMITS);
            let bad: Vec<_> = reading
                .problems
                .iter()
                .filter(|p| p.fault != patchwave_core::source::yaml::Fault::LookAlike)
                .collect();
            assert!(bad.is_empty(), "{path}: {bad:?}");
            reading.documents.iter().for_each(|d| strings(&d.value, &mut found));
        }
    }
    found
}

#[test]
fn hostile_values_are_refused_or_written_so_that_they_stay_what_they_are() {
    let values = hostile();
    let plain = world().render().unwrap().files;
    assert!(!parsed(&plain, &Files::new()).is_empty());
    assert!(values.len() >= 80, "{}", values.len());
    let mut refused = 0;
    for (entry, put) in REFUSING {
        for value in &values {
            let mut world = world();
            put(&mut world, value);
            let Ok(bundle) = world.render() else {
                refused += 1;
                continue;
            };
            // What passes is plain: nothing in it needs an escape anywhere.
            assert!(
                value.is_empty()
                    || value
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "._+-~^:".contains(c)),
                "{value:?} passed as {entry}"
            );
            assert!(
                parsed(&bundle.files, &plain).iter().any(|s| s.contains(value.as_str())),
                "{value:?} as {entry} is not shown"
            );
        }
    }
    assert!(refused > 1000, "only {refused} refused");
}

#[test]
fn free_text_is_shown_unchanged_and_never_breaks_out() {
    // One wave is enough here: the values go to the same templates in every wave.
    let only = [Arc::from("test")];
    let plain = render(&world().input(&only)).unwrap().files;
    assert!(plain.keys().any(|path| path.ends_with(".md")));
    let shape = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        (
            text.lines().count(),
            text.lines().filter(|l| l.starts_with("| ")).count(),
        )
    };
    for (entry, put) in SHOWING {
        for value in hostile() {
            let mut world = world();
            put(&mut world, &value);
            let bundle = render(&world.input(&only)).unwrap_or_else(|e| panic!("{entry} {value:?}: {e:?}"));
            let found = parsed(&bundle.files, &plain);
            if matches!(*entry, "advisory" | "check") {
                assert!(found.contains(&value), "{value:?} as {entry} is not shown unchanged");
            }
            for (path, text) in plain.iter().filter(|(path, _)| path.ends_with(".md")) {
                let now = &bundle.files[path];
                assert!(
                    value.is_empty() || shape(now) == shape(text),
                    "{value:?} as {entry} changes the lines of {path}"
                );
                assert!(!String::from_utf8_lossy(now).contains("<script>"), "{path}");
            }
        }
    }
}

proptest! {
    #[test]
    fn yaml_and_json_escapes_come_back(value in any::<String>()) {
        let yaml = read(&Escape::Yaml.function()(&value), LIMITS);
        prop_assert_eq!(yaml.documents.first().map(|d| d.value.clone()), Some(Value::from(value.as_str())));
        let json: Value = serde_json::from_str(&Escape::Json.function()(&value)).unwrap();
        prop_assert_eq!(json, Value::from(value));
    }

    #[test]
    fn no_escape_lets_a_value_out_of_its_line(value in any::<String>()) {
        for escape in [Escape::Yaml, Escape::Json, Escape::Ini, Escape::Markdown] {
            let text = escape.function()(&value);
            prop_assert!(!text.contains(['\n', '\r', '\u{2028}', '\u{202e}', '\0']), "{:?}: {:?}", escape, text);
        }
        // A shell word ends where it began: outside of the quotes only an escaped quote stands.
        let shell = Escape::Shell.function()(&value).replace("'\\''", "");
        prop_assert_eq!(shell.matches('\'').count(), 2);
        let powershell = Escape::Powershell.function()(&value);
        prop_assert_eq!(powershell.chars().filter(|c| matches!(c, '\'' | '\u{2018}'..='\u{201b}')).count() % 2, 0);
    }
}
