//! Whole tables answer; anything else is refused with every reason, however hostile it is.

use serde_json::{Value, json};

use super::*;

fn tiny() -> Value {
    json!({"namespace": "x", "key": "T", "version": "1.0.0", "outcome": "x:O:1.0.0",
        "decision_points": {
            "cisa:KEV:1.0.0": {"values": [{"key": "N"}, {"key": "Y"}]},
            "x:O:1.0.0": {"values": [{"key": "slow"}, {"key": "fast"}]}},
        "mapping": [{"cisa:KEV:1.0.0": "N", "x:O:1.0.0": "slow"}, {"cisa:KEV:1.0.0": "y", "x:O:1.0.0": "fast"}]})
}

fn faults(table: &Value) -> Vec<String> {
    let faults = parse(&table.to_string()).expect_err("it is wrong");
    faults
        .into_iter()
        .map(|f| format!("{}: {}", f.place, f.message))
        .collect()
}

#[test]
fn what_stands_twice_counts_for_nobody() {
    let text = tiny().to_string();
    for (given, twice, expected) in [
        (
            r#""x:O:1.0.0":"fast""#,
            r#""x:O:1.0.0":"fast","x:O:1.0.0":"slow""#,
            "`x:O:1.0.0` stands twice",
        ),
        (
            r#""outcome":"#,
            r#""outcome":"x:P:1.0.0","outcome":"#,
            "`outcome` stands twice",
        ),
        (
            r#""x:O:1.0.0":"fast""#,
            r#""x:O:1.0.0":"fast","X:O:1.0.0":"slow""#,
            "twice; the case",
        ),
    ] {
        let changed = text.replace(given, twice);
        assert_ne!(changed, text, "{given}");
        let faults = parse(&changed).expect_err("a key stands twice");
        assert!(faults.iter().any(|f| f.message.contains(expected)), "{faults:?}");
    }
}

#[test]
fn a_pack_for_every_known_name() {
    for known in super::super::known::TABLE_PACKS {
        let text = PACKS.iter().find(|(name, _)| *name == known.name);
        assert_eq!(text.is_some(), known.built, "{}", known.name);
        let table = parse(text.unwrap().1).unwrap();
        assert_eq!(
            table.possible(&vec![None; table.columns.len()]).len(),
            table.outcomes.len()
        );
    }
    assert_eq!(PACKS.len(), super::super::known::TABLE_PACKS.len());
}

#[test]
fn an_unknown_value_may_be_any() {
    let table = parse(&tiny().to_string()).unwrap();
    assert_eq!((table.id.as_str(), table.columns.len()), ("x:T:1.0.0", 1));
    assert_eq!(table.possible(&[Some(0)]), [0]);
    assert_eq!(table.possible(&[Some(1)]), [1]);
    assert_eq!(table.possible(&[None]), [0, 1]);
}

#[test]
fn every_fault_is_told_with_its_place() {
    let cases: [(&str, Value, &str); 11] = [
        (
            "/mapping/1",
            json!({"cisa:KEV:1.0.0": "N", "x:O:1.0.0": "slow"}),
            "/mapping/1: the row asks the same as row 0",
        ),
        (
            "/mapping/1",
            json!({"cisa:KEV:1.0.0": "Z", "x:O:1.0.0": "fast"}),
            "/mapping/1/cisa:KEV:1.0.0: `Z` is no value of",
        ),
        (
            "/mapping/1",
            json!({"cisa:KEV:1.0.0": "Y", "x:O:1.0.0": "soon"}),
            "/mapping/1/x:O:1.0.0: `soon` is no value of the outcome",
        ),
        (
            "/mapping/1",
            json!({"cisa:KEV:1.0.0": "Y"}),
            "/mapping/1: the row does not say `x:O:1.0.0`",
        ),
        (
            "/mapping/1",
            json!({"cisa:KEV:1.0.0": "Y", "x:O:1.0.0": "fast", "a:B:1": "c"}),
            "/mapping/1: the row names `a:b:1`",
        ),
        ("/mapping/1", json!(7), "/mapping/1: the row is no map"),
        ("/mapping", json!("x"), "/mapping: `mapping` is missing"),
        (
            "/outcome",
            json!("x:P:1.0.0"),
            "/outcome: the outcome `x:P:1.0.0` is not among",
        ),
        (
            "/decision_points/cisa:KEV:1.0.0/values",
            json!([{"key": "Y"}]),
            "lacks the value `N`",
        ),
        (
            "/decision_points/cisa:KEV:1.0.0/values",
            json!([{"key": "N"}, {"key": "Y"}, {"key": "M"}]),
            "never has the value `M`",
        ),
        ("/version", json!(1), "/version: `version` is missing"),
    ];
    for (pointer, value, expected) in cases {
        let mut table = tiny();
        *table.pointer_mut(pointer).unwrap() = value;
        let told = faults(&table);
        assert!(told.iter().any(|f| f.contains(expected)), "{expected}: {told:?}");
    }
    // A row with one wrong word is there: it is not called missing as well.
    for row in [
        json!({"cisa:KEV:1.0.0": "Y", "x:O:1.0.0": "soon"}),
        json!({"cisa:KEV:1.0.0": "Y"}),
        json!({"cisa:KEV:1.0.0": "Z", "x:O:1.0.0": "fast"}),
        json!(7),
    ] {
        let mut table = tiny();
        table["mapping"][1] = row;
        assert_eq!(faults(&table).len(), 1, "{:?}", faults(&table));
    }
    let mut missing = tiny();
    missing["mapping"].as_array_mut().unwrap().pop();
    assert_eq!(faults(&missing), ["/mapping: no row for cisa:KEV:1.0.0 = Y"]);
    let mut unknown = tiny();
    unknown["decision_points"]["ssvc:MWI:1.0.0"] = json!({"values": [{"key": "L"}]});
    assert!(faults(&unknown)[0].contains("cannot answer the decision point `ssvc:MWI:1.0.0`"));
}

#[test]
fn hostile_tables_are_bounded() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(parse(&deep).unwrap_err().len(), 1);
    let huge = format!("\"{}\"", "x".repeat(3 << 20));
    assert!(parse(&huge).unwrap_err()[0].message.contains("bytes long"));
    for text in ["", "null", "[]", "{}", "7", "{\"decision_points\": []}", "\u{feff}{}"] {
        assert!(!parse(text).unwrap_err().is_empty(), "{text}");
    }
    let mut many = tiny();
    many["mapping"] = Value::Array(vec![json!({"cisa:KEV:1.0.0": "Z"}); 50_000]);
    let told = parse(&many.to_string()).unwrap_err();
    assert!(
        told.len() <= 26 && told.last().unwrap().message.contains("more faults"),
        "{}",
        told.len()
    );
    let mut wide = tiny();
    for (namespace, key, input) in Input::ALL {
        let values: Vec<Value> = input.keys().iter().map(|k| json!({"key": k})).collect();
        for version in ["1.0.0", "2.0.0"] {
            wide["decision_points"][format!("{namespace}:{key}:{version}")] = json!({"values": values.clone()});
        }
    }
    assert!(faults(&wide)[0].contains("combinations"));
    let keys: Vec<Value> = (0..20_000).map(|i| json!({"key": i.to_string()})).collect();
    let mut tall = tiny();
    tall["decision_points"]["x:O:1.0.0"]["values"] = json!(keys);
    assert!(parse(&tall.to_string()).is_err());
}
