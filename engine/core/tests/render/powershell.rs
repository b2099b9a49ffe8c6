//! PowerShell that is shipped: it parses, and calls nothing but what is known to exist.
//!
//! No PowerShell runs here, so a grammar takes its place: no error node, and then a walk. The grammar knows no cmdlet and no
//! parameter, and an injection with balanced quotes parses as well; what it calls is therefore compared with a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use patchwave_core::load::BUILTIN;
use patchwave_core::observe::OfferedUpdate;
use patchwave_core::render::render;
use serde_json::Value;
use tree_sitter::{Node, Parser, Tree};

use crate::fixture::World;
use crate::hostile::hostile;
use crate::powershell_table::{COMMANDS, COMMON, DYNAMIC, EXPECTED, FACTS, METHODS, SHOULD_PROCESS, TYPES, WORDS};
use crate::worlds::windows;

/// What a script calls, and what it defines.
#[derive(Debug, Default)]
pub struct Calls {
    /// Command → parameters given to it.
    commands: BTreeMap<String, BTreeSet<String>>,
    /// Commands whose name is an expression.
    dynamic: BTreeSet<String>,
    /// `Method`, or `[type]::Method`.
    methods: BTreeSet<String>,
    /// Members that are read or set.
    members: BTreeSet<String>,
    types: BTreeSet<String>,
    /// Words that stand as arguments without quotes.
    words: BTreeSet<String>,
    /// Function → its parameters.
    functions: BTreeMap<String, BTreeSet<String>>,
    /// Command → names of the tables splatted into it.
    splatted: BTreeSet<(String, String)>,
    /// Variable → keys of the hash literal it is set to.
    tables: BTreeMap<String, BTreeSet<String>>,
}

fn parse(text: &str) -> Tree {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    parser.parse(text, None).unwrap()
}

fn each<'t>(node: Node<'t>, visit: &mut dyn FnMut(Node<'t>)) {
    visit(node);
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        each(child, visit);
    }
}

fn below<'t>(node: Node<'t>, kind: &str) -> Vec<Node<'t>> {
    let mut found = Vec::new();
    each(node, &mut |n| {
        if n.kind() == kind {
            found.push(n);
        }
    });
    found
}

/// Lines (from 1) where the grammar does not know what it reads.
fn faults(text: &str) -> Vec<String> {
    let tree = parse(text);
    let mut found = Vec::new();
    each(tree.root_node(), &mut |node| {
        if node.is_error() || node.is_missing() {
            found.push(format!("line {}: {}", node.start_position().row + 1, node.kind()));
        }
    });
    found
}

fn calls(text: &str) -> Calls {
    let tree = parse(text);
    let word = |node: Node<'_>| node.utf8_text(text.as_bytes()).unwrap().to_owned();
    let children = |node: Node<'_>| -> Vec<(String, String)> {
        let mut cursor = node.walk();
        node.children(&mut cursor)
            .map(|c| (c.kind().to_owned(), word(c)))
            .collect()
    };
    let child = |node: Node<'_>, kind: &str| children(node).into_iter().find(|(k, _)| k == kind).map(|(_, w)| w);
    let mut calls = Calls::default();
    each(tree.root_node(), &mut |node| match node.kind() {
        "command" => {
            let name = node.child_by_field_name("command_name");
            let (Some(kind), Some(name)) = (name.map(|n| n.kind()), name.map(word)) else {
                calls.dynamic.insert(word(node));
                return;
            };
            if kind != "command_name" {
                calls.dynamic.insert(name.clone());
            }
            let mut given = BTreeSet::new();
            let mut cursor = node.walk();
            for elements in node.children(&mut cursor).filter(|c| c.kind() == "command_elements") {
                for (kind, text) in children(elements) {
                    if kind == "generic_token" {
                        calls.words.insert(text);
                    } else if kind == "command_parameter" {
                        given.insert(text.trim_end_matches(':').to_owned());
                    } else if let Some(table) = text.strip_prefix('@').filter(|t| !t.starts_with(['(', '{'])) {
                        calls.splatted.insert((name.clone(), table.to_owned()));
                    }
                }
            }
            if kind == "command_name" {
                calls.commands.entry(name).or_default().extend(given);
            }
        }
        "function_statement" => {
            let own = below(node, "script_parameter").into_iter();
            let parameters = own
                .filter_map(|p| child(p, "variable"))
                .map(|v| v.replacen('$', "-", 1));
            calls
                .functions
                .insert(child(node, "function_name").unwrap(), parameters.collect());
        }
        "invokation_expression" => {
            let name = child(node, "member_name").unwrap_or_else(|| word(node));
            let of = child(node, "type_literal").map(|t| format!("{t}::"));
            calls.methods.insert(format!("{}{name}", of.unwrap_or_default()));
        }
        "member_access" => {
            let name = child(node, "member_name").unwrap_or_else(|| word(node));
            let of = child(node, "type_literal").map(|t| format!("{t}::"));
            calls.members.insert(format!("{}{name}", of.unwrap_or_default()));
        }
        "type_literal" => drop(calls.types.insert(word(node))),
        "assignment_expression" => {
            let all = children(node);
            let (Some((_, left)), Some(hash)) =
                (all.first(), below(node, "hash_literal_expression").into_iter().next())
            else {
                return;
            };
            let keys = below(hash, "key_expression")
                .into_iter()
                .map(|k| format!("-{}", word(k)));
            calls
                .tables
                .insert(left.trim_start_matches('$').to_owned(), keys.collect());
        }
        _ => {}
    });
    calls
}

/// The scripts of the engine, by path; each is told of the functions that `functions.ps1` gives it.
fn scripts() -> BTreeMap<&'static str, &'static str> {
    BUILTIN
        .iter()
        .filter(|(path, _)| path.ends_with(".ps1"))
        .copied()
        .collect()
}

fn shared() -> BTreeMap<String, BTreeSet<String>> {
    calls(scripts()["wsus/functions.ps1"]).functions
}

/// Everything a script calls that is not in the tables.
fn unknown(calls: &Calls, shared: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut found = Vec::new();
    let parameters_of = |name: &str| -> Option<BTreeSet<String>> {
        let own = calls.functions.get(name).or_else(|| shared.get(name)).cloned();
        let cmdlet = COMMANDS.iter().find(|(known, ..)| *known == name);
        own.or_else(|| cmdlet.map(|(_, parameters, _)| parameters.iter().map(|p| (*p).to_owned()).collect()))
    };
    let common = |parameter: &str| COMMON.contains(&parameter) || SHOULD_PROCESS.contains(&parameter);
    for (name, given) in &calls.commands {
        let Some(known) = parameters_of(name) else {
            found.push(format!("command {name}"));
            continue;
        };
        let wrong = given.iter().filter(|p| !known.contains(*p) && !common(p));
        found.extend(wrong.map(|p| format!("parameter {p} of {name}")));
    }
    for (name, table) in &calls.splatted {
        let keys = calls.tables.get(table);
        let (Some(known), Some(keys)) = (parameters_of(name), keys) else {
            if !DYNAMIC.contains(&name.as_str()) {
                found.push(format!("splatted @{table} of {name}"));
            }
            continue;
        };
        found.extend(
            keys.iter()
                .filter(|k| !known.contains(*k))
                .map(|k| format!("splatted {k} of {name}")),
        );
    }
    let listed = |list: &[(&str, &str)], name: &str| list.iter().any(|(known, _)| *known == name);
    found.extend(
        calls
            .dynamic
            .iter()
            .filter(|d| !DYNAMIC.contains(&d.as_str()))
            .map(|d| format!("dynamic {d}")),
    );
    found.extend(
        calls
            .methods
            .iter()
            .filter(|m| !listed(METHODS, m))
            .map(|m| format!("method {m}")),
    );
    found.extend(
        calls
            .members
            .iter()
            .filter(|m| !listed(FACTS, m))
            .map(|m| format!("member {m}")),
    );
    found.extend(
        calls
            .words
            .iter()
            .filter(|w| !listed(WORDS, w))
            .map(|w| format!("word {w}")),
    );
    found.extend(
        calls
            .types
            .iter()
            .filter(|t| !listed(TYPES, t))
            .map(|t| format!("type {t}")),
    );
    found
}

#[test]
fn every_script_parses_and_calls_only_what_is_known() {
    let shared = shared();
    let scripts = scripts();
    assert_eq!(
        scripts.keys().collect::<Vec<_>>(),
        EXPECTED.iter().map(|(path, _)| path).collect::<Vec<_>>()
    );
    let mut used = BTreeSet::new();
    for (path, text) in &scripts {
        assert!(faults(text).is_empty(), "{path}: {:?}", faults(text));
        // Windows PowerShell reads a script without a byte order mark in the code page of the machine.
        assert!(
            text.is_ascii(),
            "{path} has letters that a code page may read as others"
        );
        let calls = calls(text);
        let unknown = unknown(&calls, &shared);
        assert!(unknown.is_empty(), "{path}: {unknown:#?}");
        let known = |name: &&String| !shared.contains_key(*name) && !calls.functions.contains_key(*name);
        let cmdlets: Vec<&str> = calls.commands.keys().filter(known).map(String::as_str).collect();
        let expected = EXPECTED.iter().find(|(known, _)| known == path).map(|(_, all)| *all);
        assert_eq!(
            Some(cmdlets.as_slice()),
            expected,
            "{path} calls other commands than expected"
        );
        used.extend(calls.commands.into_keys());
        used.extend(calls.methods);
        used.extend(calls.members);
        used.extend(calls.types);
        used.extend(calls.words);
    }
    let listed = COMMANDS.iter().map(|(name, ..)| *name);
    let listed = listed.chain(
        [METHODS, FACTS, TYPES, WORDS]
            .into_iter()
            .flatten()
            .map(|(name, _)| *name),
    );
    let idle: Vec<&str> = listed.filter(|name| !used.contains(*name)).collect();
    assert!(idle.is_empty(), "the tables name what no script calls: {idle:?}");
}

#[test]
fn every_change_asks_whether_it_may() {
    const CHANGES: &[&str] = &[
        "AcceptLicenseAgreement",
        "AddComputerTarget",
        "Approve",
        "CreateComputerTargetGroup",
        "Delete",
        "RemoveComputerTarget",
        "WriteAllText",
    ];
    let mut seen = BTreeSet::new();
    for (path, text) in scripts() {
        let tree = parse(text);
        for call in below(tree.root_node(), "invokation_expression") {
            let word = call.utf8_text(text.as_bytes()).unwrap();
            let Some(change) = CHANGES
                .iter()
                .find(|c| word.contains(&format!(".{c}(")) || word.contains(&format!("::{c}(")))
            else {
                continue;
            };
            seen.insert(*change);
            let mut outer = call.parent();
            let mut asked = false;
            while let Some(node) = outer {
                let body = node.utf8_text(text.as_bytes()).unwrap();
                asked |= matches!(node.kind(), "if_statement" | "statement_list")
                    && body.contains("$PSCmdlet.ShouldProcess(");
                outer = node.parent().filter(|n| n.kind() != "function_statement");
            }
            assert!(asked, "{path}: {word} is not asked for");
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), CHANGES);
}

#[test]
fn the_walk_finds_what_the_grammar_lets_through() {
    let shared = shared();
    let with = |line: &str| {
        let text = scripts()["wsus/withdraw.ps1"].to_owned() + line + "\n";
        assert!(faults(&text).is_empty(), "{line}: {:?}", faults(&text));
        unknown(&calls(&text), &shared)
    };
    assert!(with("").is_empty());
    for (line, what) in [
        ("Get-WsusServr -Name 'x'", "command Get-WsusServr"),
        ("Get-WsusServer -Nmae 'x'", "parameter -Nmae of Get-WsusServer"),
        (
            "Read-PatchwaveBatch -Foldr 'x' -Batch '1'",
            "parameter -Foldr of Read-PatchwaveBatch",
        ),
        ("$a = 'Prod'; Remove-Item 'x'", "command Remove-Item"),
        ("Invoke-Expression $x", "command Invoke-Expression"),
        ("& $x", "dynamic $x"),
        ("& { Get-Date }", "command Get-Date"),
        ("[scriptblock]::Create($x).Invoke()", "method Invoke"),
        ("$null = $update.Aprove('Install', $group)", "method Aprove"),
        ("$update.IsSuperceded", "member IsSuperceded"),
        (
            "$one = @{ Foldr = 1 }; Read-PatchwaveBatch @one",
            "splatted -Foldr of Read-PatchwaveBatch",
        ),
        ("Read-PatchwaveBatch @two", "splatted @two of Read-PatchwaveBatch"),
        (
            "[System.Diagnostics.Process]::Start('x')",
            "type [System.Diagnostics.Process]",
        ),
    ] {
        assert!(with(line).iter().any(|found| found == what), "{line}: {:?}", with(line));
    }
}

#[test]
fn the_grammar_finds_what_is_no_powershell() {
    let good = scripts()["wsus/approve.ps1"];
    for (from, to) in [
        ("exit 1 }", "exit 1 "),
        ("'functions.ps1')", "'functions.ps1)"),
        ("'functions.ps1')", "'O'Brien.ps1')"),
        ("if ($left -gt 0)", "if $left -gt 0"),
        ("Wave = Join-Path", "Wave = | Join-Path"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(!faults(&bad).is_empty(), "{to} passes");
    }
}

/// The asset of the first wave, in order of name.
const FIRST: usize = 3;

/// The updates of that asset, changed.
fn change(world: &mut World, edit: impl Fn(&mut OfferedUpdate)) {
    let facts = &mut world.asset(FIRST).0.facts;
    let mut updates: Vec<OfferedUpdate> = facts.updates.as_deref().unwrap().to_vec();
    updates.iter_mut().for_each(edit);
    facts.updates = Some(updates.into());
}

/// A place where a hostile value comes in, and whether it is free text that must stay what it is.
type Entry = (&'static str, bool, fn(&mut World, &str));

const ENTRIES: &[Entry] = &[
    ("title", true, |w, v| change(w, |update| update.title = v.into())),
    ("update id", false, |w, v| {
        change(w, |update| update.update_id = v.into())
    }),
    ("fqdn", false, |w, v| {
        w.asset(FIRST).0.facts.identity.fqdn = Some(v.into())
    }),
    ("address", false, |w, v| w.asset(FIRST).0.address = Some(v.into())),
    ("asset name", false, |w, v| {
        let (asset, planned) = w.asset(FIRST);
        (asset.name, planned.name) = (v.into(), v.into());
        w.observation.assets.sort_by(|a, b| a.name.cmp(&b.name));
    }),
    ("rollout name", false, |w, v| w.rollout.name = v.into()),
    ("wave name", false, |w, v| {
        w.rollout.waves[0].name = v.into();
        w.rollout.waves[1].needs = vec![Arc::from(v)];
    }),
    ("batch id", false, |w, v| w.rollout.waves[0].batches[0].id = v.into()),
    ("advisory", false, |w, v| w.rollout.advisories = vec![v.into()]),
    ("description", false, |w, v| {
        w.catalog.policies.get_mut("linux-security").unwrap().spec.description = Some(v.into())
    }),
];

#[test]
fn no_value_is_ever_code() {
    let scripts_of = |files: &BTreeMap<String, Vec<u8>>| -> BTreeSet<Vec<u8>> {
        files
            .iter()
            .filter(|(path, _)| path.ends_with(".ps1"))
            .map(|(_, text)| text.clone())
            .collect()
    };
    // One wave is enough here: the values go to the same templates in every wave.
    let first = |world: &World| render(&world.input(&[Arc::clone(&world.rollout.waves[0].name)]));
    let plain = scripts_of(&first(&windows()).unwrap().files);
    assert_eq!(plain, scripts().values().map(|text| text.as_bytes().to_vec()).collect());
    let (mut refused, mut shown) = (0, 0);
    for (entry, is_text, put) in ENTRIES {
        for value in hostile() {
            let mut world = windows();
            put(&mut world, &value);
            let Ok(bundle) = first(&world) else {
                refused += 1;
                continue;
            };
            assert_eq!(
                scripts_of(&bundle.files),
                plain,
                "{value:?} as {entry} changes a script"
            );
            let mut titles = BTreeSet::new();
            for (path, bytes) in bundle.files.iter().filter(|(path, _)| path.contains("wsus/batch-")) {
                let data: Value =
                    serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{value:?} as {entry}: {path}: {e}"));
                let group = data["group"].as_str().unwrap();
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                assert!(group.len() < 256 && group.chars().all(fits), "{group}");
                let assets = data["assets"].as_array().unwrap();
                let updates = assets.iter().flat_map(|a| a["updates"].as_array().unwrap());
                titles.extend(updates.map(|u| u["title"].as_str().unwrap().to_owned()));
            }
            if *is_text {
                shown += 1;
                assert!(titles.contains(&value), "{value:?} as {entry} is not shown unchanged");
            }
        }
    }
    assert!(refused > 300 && shown > 30, "{refused} refused, {shown} shown");
}
