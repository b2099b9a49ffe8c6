use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use patchwave_core::load::{Catalog, PROJECT_FILE, load};
use patchwave_core::source::{SourceFile, SourceSet};
use proptest::prelude::*;

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every YAML file of the repository; what is built or written by the engine left out.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, found);
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            found.push(path);
        }
    }
}

/// Everything a file says, typed; where it says it left out.
fn resources(text: &str) -> (String, Vec<String>) {
    let files = vec![
        SourceFile::new(
            PROJECT_FILE,
            "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata: {name: p}\n",
        ),
        SourceFile::new("policies/x.yaml", text),
    ];
    let set = SourceSet {
        files,
        ..SourceSet::default()
    };
    let (catalog, diagnostics) = load(&set, Timestamp::UNIX_EPOCH);
    let catalog = Catalog {
        places: std::collections::BTreeMap::new(),
        ..catalog
    };
    let said = diagnostics
        .iter()
        .map(|d| format!("{} {} {}", d.code, d.pointer, d.message));
    let mut said: Vec<String> = said.collect();
    said.sort_unstable();
    (format!("{catalog:?}"), said)
}

fn comments(text: &str) -> Vec<String> {
    let mut found: Vec<String> = yaml::comments(text).into_iter().map(|c| c.text).collect();
    found.sort_unstable();
    found
}

#[test]
fn every_file_of_the_repository_keeps_its_meaning_and_its_comments() {
    let mut all = Vec::new();
    files(&root(), &mut all);
    let mut laid_out = 0;
    for path in &all {
        let Ok(text) = fs::read_to_string(path) else { continue };
        let after = match canonical(&text) {
            Ok(after) => after,
            Err(Unformatted::Unreadable) => continue,
            Err(Unformatted::Unsafe(why)) => panic!("{}: {why}", path.display()),
        };
        laid_out += 1;
        assert_eq!(canonical(&after).as_deref(), Ok(after.as_str()), "{}", path.display());
        assert_eq!(comments(&text), comments(&after), "{}", path.display());
        assert_eq!(resources(&text), resources(&after), "{}", path.display());
    }
    assert!(
        laid_out > 100 && laid_out * 10 > all.len() * 8,
        "{laid_out} of {}",
        all.len()
    );
}

#[test]
fn the_layout_is_that_of_the_house() {
    let before = "\u{feff}kind:   'Fleet'\r\nspec:\r\n    assets:\r\n    - {name:  a,\r\n       labels: {env:  prod}}   # why\r\n    note: |\r\n        two  \r\n          lines\r\n\r\n\r\n\r\n    x: \"it's\"\r\n\r\n";
    let after = "kind: \"Fleet\"\nspec:\n  assets:\n    - {name: a, labels: {env: prod}} # why\n  note: |\n    two  \n      lines\n\n  x: \"it's\"\n";
    assert_eq!(canonical(before).as_deref(), Ok(after));
    assert_eq!(canonical("").as_deref(), Ok(""));
    assert_eq!(canonical("# only words\n\n\n").as_deref(), Ok("# only words\n"));
}

#[test]
fn a_setting_that_is_commented_out_stays_beside_its_neighbours() {
    let before = "forge:\n    type: local   # why\n    # type: github\n    # tokenFrom: {env: T}\nlist:\n   - name: a\n     # soak: 1h\n   - name: b\n   # - name: c\n# about end\nend: 1\n";
    let after = "forge:\n  type: local # why\n  # type: github\n  # tokenFrom: {env: T}\nlist:\n  - name: a\n    # soak: 1h\n  - name: b\n  # - name: c\n# about end\nend: 1\n";
    assert_eq!(canonical(before).as_deref(), Ok(after));
}

#[test]
fn a_block_scalar_at_the_end_keeps_its_line_ends_and_the_want_of_one() {
    for (before, after) in [
        ("a:   |\n  x", "a: |-\n  x\n"),
        ("a:   >\n  x\n  y", "a: >-\n  x\n  y\n"),
        ("a:   |+ # why\n  x", "a: |- # why\n  x\n"),
        ("a:   |-\n  x", "a: |-\n  x\n"),
        ("a:   |\n  x\n\n\n", "a: |\n  x\n"),
        ("a:   |+\n  x\n\n", "a: |+\n  x\n\n"),
        ("a:   |\n  x\n# end", "a: |\n  x\n# end\n"),
    ] {
        assert_eq!(canonical(before).as_deref(), Ok(after), "{before:?}");
        assert_eq!(canonical(after).as_deref(), Ok(after), "{before:?}");
    }
}

#[test]
fn what_cannot_be_read_whole_is_not_laid_out() {
    for text in [
        "a: [1",
        "a: 1\na: 2\n",
        "a: !local x\n",
        "a:\n\tb: 1\n",
        "a: 1\n---\n}{\n",
    ] {
        assert_eq!(canonical(text), Err(Unformatted::Unreadable), "{text:?}");
    }
}

/// A value as someone might write it.
#[derive(Clone, Debug)]
enum Node {
    /// Written as it stands.
    Scalar(String),
    /// A block scalar: header and lines.
    Block(&'static str, Vec<String>),
    /// In one line: `{…}` or `[…]`, with blanks.
    Flow(String),
    Map(Vec<(String, Node, Option<u16>)>),
    Seq(Vec<(Node, Option<u16>)>),
    Alias,
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("plain words".to_owned()),
        Just("'it''s'".to_owned()),
        Just("'say \"x\"'".to_owned()),
        Just("\"tab\\tand \\\"quote\\\"\"".to_owned()),
        Just("\"#no comment\"".to_owned()),
        Just("0o17".to_owned()),
        Just("1.10".to_owned()),
        Just("2026-11-20T12:00:00Z".to_owned()),
        Just("asset.os.family in [\"rhel\"] ? 'a' : 'b'".to_owned()),
        Just("größe ü 🦀".to_owned()),
        Just("~".to_owned()),
        Just(String::new()),
        "[a-z]{1,12}",
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let line = prop_oneof![
        Just(String::new()),
        Just("  deeper".to_owned()),
        Just("# not a comment".to_owned()),
        Just("trailing  ".to_owned()),
        "[a-z: ]{0,20}[a-z]"
    ];
    let flow = prop_oneof![
        Just("{a:  1,b: [x ,y]}".to_owned()),
        Just("[ ]".to_owned()),
        Just("{ }".to_owned()),
        Just("[{a: 'x'}, \"y\" , {b: {c: d}}]".to_owned()),
        Just(format!(
            "{{{}}}",
            ["somewhat-long-key: somewhat-long-value"; 1]
                .repeat(6)
                .iter()
                .enumerate()
                .map(|(i, t)| format!("k{i}-{t}"))
                .collect::<Vec<_>>()
                .join(",  ")
        )),
    ];
    let leaf = prop_oneof![
        6 => scalar().prop_map(Node::Scalar),
        2 => flow.prop_map(Node::Flow),
        2 => (prop_oneof![Just("|"), Just(">"), Just("|-"), Just(">+"), Just("|2")], prop::collection::vec(line, 1..4))
            .prop_map(|(head, mut lines)| {
                lines.insert(0, "first".into());
                Node::Block(head, lines)
            }),
        1 => Just(Node::Alias),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let comment = prop::option::weighted(0.4, any::<u16>());
        prop_oneof![
            prop::collection::vec(("[a-z]{1,6}", inner.clone(), comment.clone()), 1..4).prop_map(Node::Map),
            prop::collection::vec((inner, comment), 1..4).prop_map(Node::Seq),
        ]
    })
}

/// Writes a document: `step` blanks an indent; comments where people put them.
struct Writer {
    text: String,
    step: usize,
    number: usize,
}

impl Writer {
    fn comment(&mut self, seed: Option<u16>, indent: usize) {
        if let Some(seed) = seed {
            self.number += 1;
            let indent = if seed % 3 == 0 { 0 } else { indent };
            let blank = if seed % 5 == 0 { "\n" } else { "" };
            let note = format!("{blank}{}# note {} {seed}\n", " ".repeat(indent), self.number);
            self.text.push_str(&note);
        }
    }

    fn end(&mut self, seed: Option<u16>) {
        match seed {
            Some(seed) if seed % 2 == 0 => {
                self.number += 1;
                self.text.push_str(&format!("   # end {}\n", self.number));
            }
            _ => self.text.push('\n'),
        }
    }

    /// What stands behind `key:` or `-`.
    fn value(&mut self, node: &Node, indent: usize, seed: Option<u16>) {
        match node {
            Node::Scalar(text) | Node::Flow(text) => {
                self.text.push(' ');
                self.text.push_str(text);
                self.end(seed);
            }
            Node::Alias => {
                self.text.push_str(" *top");
                self.end(seed);
            }
            Node::Block(head, lines) => {
                let deep = if head.ends_with('2') {
                    indent + 2
                } else {
                    indent + self.step
                };
                self.text.push_str(&format!(" {head}\n"));
                for line in lines {
                    let written = format!("{}{line}", " ".repeat(deep));
                    self.text.push_str(if line.is_empty() { "" } else { &written });
                    self.text.push('\n');
                }
            }
            Node::Map(_) | Node::Seq(_) => {
                self.end(seed);
                self.children(node, indent + self.step);
            }
        }
    }

    fn children(&mut self, node: &Node, indent: usize) {
        let blanks = " ".repeat(indent);
        match node {
            Node::Map(entries) => {
                for (i, (key, value, seed)) in entries.iter().enumerate() {
                    self.comment(*seed, indent);
                    self.text.push_str(&format!("{blanks}{key}{i}:"));
                    self.value(value, indent, *seed);
                }
            }
            Node::Seq(items) => {
                for (value, seed) in items {
                    self.comment(*seed, indent);
                    self.text.push_str(&format!("{blanks}-"));
                    self.value(value, indent, *seed);
                }
            }
            other => {
                self.text.push_str(&blanks);
                self.value(other, indent, None);
            }
        }
    }
}

fn document() -> impl Strategy<Value = String> {
    let body = prop::collection::vec(("[a-z]{1,6}", node(), prop::option::weighted(0.3, any::<u16>())), 1..5);
    (prop::collection::vec((body, any::<bool>()), 1..3), 1_usize..5).prop_map(|(documents, step)| {
        let mut writer = Writer {
            text: String::new(),
            step,
            number: 0,
        };
        for (entries, comment) in documents {
            writer
                .text
                .push_str(if comment { "--- # new\n# above\n" } else { "---\n" });
            writer.text.push_str("anchored: &top\n   x:   1 # inside\n");
            writer.children(&Node::Map(entries), 0);
        }
        writer.text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_document_keeps_its_values_and_its_comments(text in document()) {
        let before = yaml::read(&text, LIMITS);
        prop_assume!(before.problems.iter().all(|p| p.fault == Fault::LookAlike));
        match canonical(&text) {
            // The forms the layout is known to get wrong: the proof finds them, and nothing is written.
            Err(Unformatted::Unsafe(why)) => prop_assert!(text.contains("|2") || text.contains(">+"), "{}\n{}", why, text),
            Err(Unformatted::Unreadable) => prop_assert!(false, "{}", text),
            Ok(after) => {
                let values = |text: &str| {
                    let documents = yaml::read(text, LIMITS).documents;
                    documents.into_iter().map(|d| d.value).collect::<Vec<_>>()
                };
                prop_assert_eq!(values(&text), values(&after));
                prop_assert_eq!(comments(&text), comments(&after));
                prop_assert_eq!(canonical(&after), Ok(after.clone()));
                prop_assert!(after.ends_with('\n') && !after.contains('\r'));
                prop_assert!(!after.ends_with("\n\n") || text.contains(">+"));
            }
        }
    }
}
