use super::*;
use proptest::prelude::*;
use serde_json::json;

fn faults(text: &str) -> Vec<Fault> {
    read(text, LIMITS).problems.iter().map(|p| p.fault).collect()
}

#[test]
fn every_key_and_value_has_its_place() {
    let text = "\u{feff}a:\n  - {x: 1, y: two}\n  - |\n    block\nb: end\n";
    let reading = read(text, LIMITS);
    let [document] = reading.documents.as_slice() else {
        panic!("{reading:?}")
    };
    assert_eq!(
        document.value,
        json!({"a": [{"x": 1, "y": "two"}, "block\n"], "b": "end"})
    );
    let slice = |pointer: &str| {
        let hit = document.spans.locate(pointer);
        (hit.key.map(|k| text.get(k).unwrap()), text.get(hit.value).unwrap())
    };
    assert_eq!(slice("/a/0/y"), (Some("y"), "two"));
    assert_eq!(slice("/a/0").1, "{x: 1, y: two}");
    assert_eq!(slice("/b"), (Some("b"), "end"));
    assert_eq!(document.spans.locate("/a/0/none/deeper").resolved, 2);
}

#[test]
fn one_slip_hides_nothing_behind_it() {
    let text = "a: 1\na: 2\n---\nb: [1, 2\n---\nc: no\n";
    let reading = read(text, LIMITS);
    assert_eq!(faults(text), [Fault::DuplicateKey, Fault::Syntax, Fault::LookAlike]);
    let values: Vec<_> = reading.documents.iter().map(|d| d.value.clone()).collect();
    assert_eq!(values, [json!({"a": 1}), json!({"c": "no"})]);
    let duplicate = &reading.problems[0];
    assert_eq!(
        (
            text.get(duplicate.at.clone().unwrap()).unwrap(),
            duplicate.other.as_ref().unwrap().1.start
        ),
        ("a", 0)
    );
    assert_eq!(reading.lost.len(), 1);
}

#[test]
fn merge_keys_and_aliases() {
    let reading = read("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nagain: *b\n", LIMITS);
    assert_eq!(reading.documents[0].value["use"], json!({"x": 1, "y": 3}));
    assert_eq!(reading.documents[0].value["again"], json!({"x": 1, "y": 2}));
    assert!(reading.problems.is_empty());
}

#[test]
fn hostile_input_is_bounded() {
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let previous = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", [previous.as_str(); 10].join(","));
    }
    assert_eq!(faults(&laughs), [Fault::Limit]);
    assert_eq!(faults(&"[".repeat(20_000)).len(), 1);
    let deep: String = (0..3000).map(|n| format!("{}k:\n", " ".repeat(n))).collect();
    assert_eq!(faults(&deep).len(), 1);
    assert_eq!(faults(&format!("a: {}", "x".repeat(300_000))), [Fault::Limit]);
    let copies = format!("a: &a {}\nb: [{}]", "x".repeat(200_000), vec!["*a"; 100].join(","));
    assert_eq!(faults(&copies), [Fault::Limit]);
    assert_eq!(faults(&" ".repeat((8 << 20) + 1)), [Fault::Limit]);
}

#[test]
fn the_end_of_the_text_is_no_line_end() {
    let value = |text: &str| read(text, LIMITS).documents[0].value["a"].clone();
    for (text, expected) in [
        ("a: |\n  x\n  y", "x\ny"),
        ("a: >\n  x\n  y", "x y"),
        ("a: |+\n  x", "x"),
        ("a: |-\n  x", "x"),
        ("b: [1]\na: | # why\n  x  ", "x  "),
        ("a: |\n  x\n", "x\n"),
        ("a: |\n  x\n\n  ", "x\n"),
        ("a: |+\n  x\n\n", "x\n\n"),
        ("a: |\n  x\n# end", "x\n"),
        ("a: |\n  x\n---\nb", "x\n"),
        ("a: |\n  x\nb: y", "x\n"),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
}

#[test]
fn what_has_no_meaning_is_said() {
    assert_eq!(faults("a: !Foo bar"), [Fault::Unsupported]);
    assert_eq!(faults("? [x]\n: 1"), [Fault::Unsupported]);
    assert_eq!(faults("a: .inf"), [Fault::Unsupported]);
    assert_eq!(faults("a: !!str 1"), []);
    assert_eq!(faults("# only a comment\n---\n"), []);
}

proptest! {
    #[test]
    fn reading_never_panics(text in "(?s)[ -~\\n\\t\u{e4}&*<>:{}\\[\\]!|'\"#-]{0,200}") {
        let reading = read(&text, LIMITS);
        for problem in reading.problems {
            if let Some(at) = problem.at { prop_assert!(at.start <= text.len()); }
        }
    }
}
