//! Every `patchwave …` line that we hand to others must be one the command understands: in workflows, in the scripts
//! beside them, in runbooks and in the documentation. A renamed option is found here and not in somebody's night.

#![expect(
    clippy::disallowed_methods,
    reason = "a test reads the files of the repository and fails by panicking"
)]

use std::path::{Path, PathBuf};

use clap::Parser;
use patchwave_core::source::yaml;
use serde_json::Value;

use super::Cli;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(home().join(path)).unwrap()
}

/// The words of a line of shell up to its first operator; quotes are taken off, and what is only known when the line runs
/// (`$x`, `…`) stands as it is written.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None if "|&;<>)`".contains(c) => {
                // A descriptor (`2>`) is no argument.
                word = word.filter(|w| !(matches!(c, '<' | '>') && w.chars().all(|d| d.is_ascii_digit())));
                break;
            }
            // What follows is a remark.
            None if c == '#' && word.is_none() => break,
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The command lines of a shell script: wherever a command may stand, `patchwave` and what follows.
fn in_shell(script: &str) -> Vec<Vec<String>> {
    let joined = script.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in joined.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
        for (at, _) in line.match_indices("patchwave ") {
            let before = line.get(..at).unwrap().trim_end();
            let starts = ["", "|", "&&", "||", ";", "(", "if", "then", "else", "!", "$"];
            if starts
                .iter()
                .any(|s| before == *s || (!s.is_empty() && before.ends_with(s)))
            {
                found.push(words(line.get(at..).unwrap()));
            }
        }
    }
    found
}

/// The `run:` scripts of a workflow or an action, wherever they are.
fn scripts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member.as_str() {
                    Some(script) if key == "run" => found.push(script.to_owned()),
                    _ => scripts(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| scripts(item, found)),
        _ => {}
    }
}

/// The calls of `patchwave(…)` in a Python script: quoted words as they are, everything else as a placeholder.
fn in_python(script: &str) -> Vec<Vec<String>> {
    let calls = script.split("self.patchwave(").skip(1);
    calls
        .map(|call| {
            // Parentheses inside the arguments belong to them.
            let mut depth = 1;
            let end = call.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            let arguments = call.get(..end.unwrap()).unwrap();
            let given = arguments.split(',').map(str::trim).filter(|a| !a.is_empty());
            let positional = given.filter(|a| !a.contains('='));
            let spoken = positional.map(|a| a.strip_prefix('"').and_then(|a| a.strip_suffix('"')).unwrap_or("x"));
            std::iter::once("patchwave").chain(spoken).map(str::to_owned).collect()
        })
        .collect()
}

/// What the containers of a manifest are started with.
fn in_manifest(value: &Value, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member.as_array() {
                    Some(arguments) if key == "args" => {
                        let spoken = arguments.iter().map(|a| a.as_str().unwrap().to_owned());
                        found.push(std::iter::once("patchwave".to_owned()).chain(spoken).collect());
                    }
                    _ => in_manifest(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| in_manifest(item, found)),
        _ => {}
    }
}

/// What a unit of systemd starts.
fn in_unit(text: &str) -> Vec<Vec<String>> {
    let starts = text.lines().filter_map(|l| l.strip_prefix("ExecStart=/usr/bin/"));
    starts.map(words).collect()
}

/// What an image starts by itself.
fn in_image(text: &str) -> Vec<String> {
    let array = |name: &str| -> Vec<String> {
        let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    [array("ENTRYPOINT "), array("CMD ")].concat()
}

fn files(folder: &str, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(home().join(folder)).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names
        .filter(|n| n.ends_with(ending))
        .map(|n| format!("{folder}/{n}"))
        .collect();
    files.sort();
    files
}

fn fault(line: &[String]) -> Option<String> {
    use clap::error::ErrorKind;
    match Cli::try_parse_from(line) {
        Ok(_) => None,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => None,
        Err(e) => Some(e.to_string()),
    }
}

#[test]
fn every_line_we_hand_out_is_understood() {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    let mut say = |file: &str, found: Vec<Vec<String>>| {
        lines.extend(found.into_iter().map(|line| (file.to_owned(), line)));
    };
    let ours = files(".github/workflows", ".yml");
    let theirs = files("engine/cli/src/init/github/workflows", ".yml");
    for file in ours.iter().chain(&theirs).chain(&["action.yml".to_owned()]) {
        let reading = yaml::read(&text(file), yaml::LIMITS);
        assert!(reading.problems.is_empty(), "{file}: {:?}", reading.problems);
        let mut found = Vec::new();
        reading.documents.iter().for_each(|d| scripts(&d.value, &mut found));
        assert!(!found.is_empty(), "{file} runs nothing");
        found.iter().for_each(|script| say(file, in_shell(script)));
    }
    for file in files("scripts", ".sh") {
        say(&file, in_shell(&text(&file)));
    }
    for file in files("scripts", ".py") {
        say(&file, in_python(&text(&file)));
    }
    for file in files("packaging/systemd", ".service") {
        let found = in_unit(&text(&file));
        assert_eq!(found.len(), 1, "{file}");
        say(&file, found);
    }
    for file in files("packaging/kubernetes", ".yaml") {
        let reading = yaml::read(&text(&file), yaml::LIMITS);
        assert!(reading.problems.is_empty(), "{file}: {:?}", reading.problems);
        let mut found = Vec::new();
        reading.documents.iter().for_each(|d| in_manifest(&d.value, &mut found));
        say(&file, found);
    }
    say("Containerfile", vec![in_image(&text("packaging/Containerfile"))]);
    for file in files("docs", ".md").iter().filter(|f| !f.ends_with("/cli.md")) {
        let document = text(file);
        let console = document.split("```").skip(1).step_by(2);
        console
            .filter(|block| block.starts_with("console") || block.starts_with("sh\n"))
            .for_each(|block| say(file, in_shell(block)));
    }
    let faults: Vec<String> = lines
        .iter()
        .filter_map(|(file, line)| fault(line).map(|fault| format!("{file}: {}\n{fault}", line.join(" "))))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let spoken = |file: &str, words: &[&str]| {
        let said = lines
            .iter()
            .any(|(f, line)| f.ends_with(file) && words.iter().all(|w| line.iter().any(|l| l == w)));
        assert!(said, "{file} no longer says {words:?}: {lines:#?}");
    };
    spoken("validate.yml", &["validate", "--format", "github"]);
    spoken("reconcile.yml", &["reconcile", "--once", "markdown"]);
    spoken("halt.yml", &["halt", "--reason", "--as"]);
    spoken("plan.sh", &["plan", "--base", "markdown"]);
    spoken("patchwave-reconcile.service", &["reconcile", "--once"]);
    spoken(
        "patchwave-daemon.service",
        &["--interval", "--listen", "--webhook-secret-file"],
    );
    spoken("cronjob.yaml", &["reconcile", "--once"]);
    spoken("deployment.yaml", &["--interval", "--listen", "--webhook-secret-file"]);
    spoken("Containerfile", &["--help"]);
    spoken("execute.py", &["permit", "--format", "json"]);
    spoken("execute.py", &["evidence", "add"]);
    spoken("execute.py", &["halt", "--as"]);
}

#[test]
fn a_renamed_option_is_found() {
    let script = "set -e\nif patchwave plan --bas \"$base\" --format markdown >plan.md 2>err; then :; fi\n";
    let lines = in_shell(script);
    assert_eq!(lines, [["patchwave", "plan", "--bas", "$base", "--format", "markdown"]]);
    assert!(fault(lines.first().unwrap()).unwrap().contains("--bas"));
    let script =
        "x = self.patchwave(\"permit\", batch.rollout, str(wave), *asset, \"--formt\", \"json\", environment=known)";
    let lines = in_python(script);
    assert_eq!(lines, [["patchwave", "permit", "x", "x", "x", "--formt", "json"]]);
    assert!(fault(lines.first().unwrap()).unwrap().contains("--formt"));
    let lines = in_unit("[Service]\nExecStart=/usr/bin/patchwave reconcile --every 15m\nExecStartPre=x\n");
    assert_eq!(lines, [["patchwave", "reconcile", "--every", "15m"]]);
    assert!(fault(lines.first().unwrap()).unwrap().contains("--every"));
}
