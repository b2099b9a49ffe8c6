//! The command line from outside: exit codes, what goes to which stream, and the shapes scripts rely on.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test runs the binary on files of its own and fails by panicking"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const NOW: &str = "2026-10-23T12:00:00Z";
const PROJECT: &str =
    "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata: {name: p}\nspec: {defaults: {timezone: Europe/Berlin}}\n";
const WINDOWS: &str = "apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: nights}
spec: {schedules: [{rrule: FREQ=DAILY, start: \"02:30\", duration: 2h}]}
---
apiVersion: patchwave.dev/v1
kind: ChangeFreeze
metadata: {name: sunday}
spec: {selector: {matchLabels: {env: prod}}, from: 2026-10-25, to: 2026-10-25}
";

fn repository(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, text) in [("patchwave.yaml", PROJECT)].iter().chain(files) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwave"));
    command
        .args(["--now", NOW, "-C"])
        .arg(folder)
        .args(arguments)
        .env_remove("NO_COLOR");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn diagnostics_go_to_standard_error_and_the_verdict_to_standard_output() {
    let folder = repository(&[("policies/a.yaml", "apiVersion: patchwave.dev/v1\nkind: Sorce\n")]);
    let text = run(folder.path(), &["validate"]);
    assert_eq!(text.status.code(), Some(1));
    assert!(
        err(&text).contains("policies/a.yaml:2:7: error[PW0105]"),
        "{}",
        err(&text)
    );
    assert_eq!(out(&text), "not valid: 2 files read\n");

    let json = run(folder.path(), &["validate", "--format", "json"]);
    assert_eq!((json.status.code(), err(&json)), (Some(1), String::new()));
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document.pointer("/ok"), Some(&false.into()));
    assert_eq!(document.pointer("/diagnostics/0/pointer"), Some(&"/kind".into()));
}

#[test]
fn validate_has_every_format() {
    let folder = repository(&[("policies/a.yaml", WINDOWS)]);
    for (format, part) in [
        ("json", "\"ok\": true"),
        ("sarif", "\"2.1.0\""),
        ("junit", "<testsuites"),
        ("github", "::warning "),
    ] {
        let output = run(folder.path(), &["validate", "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert!(out(&output).contains(part), "{format}: {}", out(&output));
    }
}

#[test]
fn a_wrong_command_line_is_64_and_a_missing_folder_is_said() {
    let folder = repository(&[("policies/a.yaml", WINDOWS)]);
    for wrong in [
        &["windows", "--count", "0"][..],
        &["windows", "--selector", "prod"],
        &["windows", "--format", "yaml"],
        &["vercmp", "rmp", "1", "2"],
        &["vercmp", "rpm", "1"],
        &["--now", "2026-11-20", "windows"],
    ] {
        assert_eq!(run(folder.path(), wrong).status.code(), Some(64), "{wrong:?}");
    }
    let missing = run(&folder.path().join("nowhere"), &["validate"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("nowhere does not exist"), "{}", err(&missing));
}

#[test]
fn windows_know_the_clock_change_and_the_freezes_of_labels() {
    let folder = repository(&[("policies/a.yaml", WINDOWS)]);
    let openings = |more: &[&str]| {
        let output = run(
            folder.path(),
            &[&["windows", "nights", "--format", "json", "--count", "3"], more].concat(),
        );
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let list = document.pointer("/0/openings").unwrap().as_array().unwrap().clone();
        let edge = |o: &serde_json::Value, key: &str| o.get(key).unwrap().as_str().unwrap().to_owned();
        list.iter()
            .map(|o| (edge(o, "start"), edge(o, "end")))
            .collect::<Vec<_>>()
    };
    let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
    let saturday = pair("2026-10-24T02:30:00+02:00", "2026-10-24T04:30:00+02:00");
    // 02:30 comes twice that night: the first counts, and two hours are two hours.
    let sunday = pair("2026-10-25T02:30:00+02:00", "2026-10-25T03:30:00+01:00");
    let monday = pair("2026-10-26T02:30:00+01:00", "2026-10-26T04:30:00+01:00");
    let tuesday = pair("2026-10-27T02:30:00+01:00", "2026-10-27T04:30:00+01:00");
    assert_eq!(openings(&[]), [saturday.clone(), sunday.clone(), monday.clone()]);
    assert_eq!(
        openings(&["--selector", "env=test"]),
        [saturday.clone(), sunday, monday.clone()]
    );
    assert_eq!(openings(&["--selector", "env=prod"]), [saturday, monday, tuesday]);
}

#[test]
fn vercmp_needs_no_repository_and_answers_every_line() {
    let folder = TempDir::new().unwrap();
    let mut child = command(folder.path(), &["vercmp", "rpm"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"1\t2\r\n\n2\t1\n1 2\n 3 \t3")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        ("<\n?\n>\n?\n=\n", Some(1))
    );
}

#[test]
fn init_never_overwrites_and_what_it_writes_is_valid() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(".gitignore"), "mine\n").unwrap();
    let first = run(folder.path(), &["init"]);
    assert_eq!(first.status.code(), Some(0));
    assert!(err(&first).contains("kept .gitignore"), "{}", err(&first));
    assert_eq!(fs::read_to_string(folder.path().join(".gitignore")).unwrap(), "mine\n");
    for command in ["validate", "plan", "render"] {
        assert_eq!(run(folder.path(), &[command]).status.code(), Some(0), "{command}");
    }
}

#[test]
fn files_that_are_not_read_are_said_and_why() {
    let folder = repository(&[("policies/a.YAML", "kind: Nonsense\n")]);
    let output = run(folder.path(), &["validate"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        err(&output).contains("policies/a.YAML:1:1: warning[PW0523]"),
        "{}",
        err(&output)
    );

    fs::write(folder.path().join("policies/b.yaml"), [0xff, 0xfe]).unwrap();
    let output = run(folder.path(), &["validate"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("`policies/b.yaml` is not UTF-8 text"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_folder_below_a_repository_is_told_where_it_is() {
    let folder = repository(&[("policies/a.yaml", WINDOWS)]);
    let output = run(&folder.path().join("policies"), &["windows"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("is a patchwave repository: run with `-C "),
        "{}",
        err(&output)
    );
}

#[test]
fn the_folders_of_a_project_are_inside_it_and_exist() {
    for (path, code) in [("/etc", "PW0406"), ("../x", "PW0406"), ("nope", "PW0006")] {
        let project = PROJECT.replace("spec: {", &format!("spec: {{paths: {{policies: {path}}}, "));
        let folder = repository(&[("patchwave.yaml", &project)]);
        let output = run(folder.path(), &["validate"]);
        assert_eq!(output.status.code(), Some(1), "{path}");
        assert!(
            err(&output).contains(code) && err(&output).contains("1 error\n"),
            "{path}: {}",
            err(&output)
        );
    }
}

#[test]
fn fmt_writes_the_layout_once_and_leaves_alone_what_it_cannot_read() {
    let loose = "kind:   Fleet # why\nspec:\n    sources: ['a']\n";
    let folder = repository(&[
        ("fleets/a.yaml", loose),
        ("fleets/broken.yaml", "a:\n  b: [1\nc: 2\n"),
        ("rollouts/r/rollout.yaml", "a:    1\n"),
        ("notes/other.yaml", "a:    1\n"),
    ]);
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    let check = run(folder.path(), &["fmt", "--check"]);
    assert_eq!(check.status.code(), Some(1));
    assert!(
        out(&check).contains("fleets/a.yaml\n--- a/fleets/a.yaml\n+++ b/fleets/a.yaml\n@@"),
        "{}",
        out(&check)
    );
    assert!(out(&check).contains("+  sources: [\"a\"]"), "{}", out(&check));
    assert!(err(&check).contains("fleets/broken.yaml:3:"), "{}", err(&check));
    assert_eq!(read("fleets/a.yaml"), loose, "--check writes nothing");

    let first = run(folder.path(), &["fmt"]);
    assert_eq!(first.status.code(), Some(1), "one file could not be read");
    assert_eq!(out(&first), "fleets/a.yaml\n");
    assert_eq!(read("fleets/a.yaml"), "kind: Fleet # why\nspec:\n  sources: [\"a\"]\n");
    assert_eq!(read("fleets/broken.yaml"), "a:\n  b: [1\nc: 2\n");
    assert_eq!(
        read("rollouts/r/rollout.yaml"),
        "a:    1\n",
        "what the engine writes is not touched"
    );
    assert_eq!(
        read("notes/other.yaml"),
        "a:    1\n",
        "what is no resource is not touched"
    );

    let named = run(folder.path(), &["fmt", "fleets/a.yaml", "notes"]);
    assert_eq!(
        (named.status.code(), out(&named).as_str()),
        (Some(0), "notes/other.yaml\n")
    );
    let refused = run(folder.path(), &["fmt", "rollouts"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("written by the engine"), "{}", err(&refused));
}

#[test]
fn fmt_refuses_a_file_it_would_change_the_meaning_of() {
    let keep = "a: >+\n  words\n\n\nb: 1\n";
    let folder = repository(&[("fleets/a.yaml", keep)]);
    let done = run(folder.path(), &["fmt"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        err(&done).contains("fleets/a.yaml:1:1: this file cannot be laid out without harm"),
        "{}",
        err(&done)
    );
    assert_eq!(fs::read_to_string(folder.path().join("fleets/a.yaml")).unwrap(), keep);
}

#[test]
fn lsp_speaks_over_standard_input_and_output() {
    let folder = repository(&[("policies/a.yaml", "apiVersion: patchwave.dev/v1\nkind: PatchPolcy\n")]);
    let messages = [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#,
        r#"{"jsonrpc":"2.0","method":"initialized","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"shutdown"}"#,
        r#"{"jsonrpc":"2.0","method":"exit"}"#,
    ];
    let framed: String = messages
        .iter()
        .map(|m| format!("Content-Length: {}\r\n\r\n{m}", m.len()))
        .collect();
    let mut child = command(folder.path(), &["lsp", "--stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(framed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).starts_with("Content-Length: "), "{}", out(&output));
    assert!(out(&output).contains("\"PW0105\"") && out(&output).contains("did you mean `PatchPolicy`?"));
}

#[test]
fn init_tells_every_editor_which_schema_a_file_has() {
    let folder = TempDir::new().unwrap();
    assert_eq!(run(folder.path(), &["init"]).status.code(), Some(0));
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    for path in [
        "patchwave.yaml",
        "policies/linux.yaml",
        "policies/windows.yaml",
        "fleets/classes.yaml",
        "fleets/servers.yaml",
    ] {
        let text = read(path);
        let line = text.lines().next().unwrap();
        let schema = line.strip_prefix("# yaml-language-server: $schema=").unwrap();
        let place = folder.path().join(path).parent().unwrap().join(schema);
        let schema: serde_json::Value = serde_json::from_slice(&fs::read(place).unwrap()).unwrap();
        let kinds: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("kind: ")).collect();
        let title = schema["title"].as_str().unwrap();
        assert!(
            kinds == [title] || kinds.len() > 1 && title == "patchwave resource",
            "{path}: {title} for {kinds:?}"
        );
    }
    let settings: serde_json::Value = serde_json::from_str(&read(".vscode/settings.json")).unwrap();
    let (schema, _) = settings["yaml.schemas"].as_object().unwrap().iter().next().unwrap();
    assert!(folder.path().join(schema).is_file());
    let extensions: serde_json::Value = serde_json::from_str(&read(".vscode/extensions.json")).unwrap();
    assert_eq!(extensions["recommendations"][0], "redhat.vscode-yaml");
    let check = run(folder.path(), &["fmt", "--check"]);
    assert_eq!(
        (check.status.code(), out(&check).as_str()),
        (Some(0), ""),
        "samples are laid out"
    );
}

/// A table of one question; `OUTCOME` stands for what an exposed asset gets.
const TABLE: &str = r#"{"namespace": "x", "key": "T", "version": "1.0.0", "outcome": "x:O:1.0.0", "decision_points": {
  "cisa:PE:1.0.0": {"values": [{"key": "N"}, {"key": "Y"}]},
  "x:O:1.0.0": {"values": [{"key": "slow"}, {"key": "fast"}]}},
  "mapping": [{"cisa:PE:1.0.0": "N", "x:O:1.0.0": "slow"}, {"cisa:PE:1.0.0": "Y", "x:O:1.0.0": "OUTCOME"}]}"#;

#[test]
fn a_decision_table_is_a_file_of_the_repository() {
    let sla = |file: &str| {
        format!(
            "apiVersion: patchwave.dev/v1\nkind: SlaPolicy\nmetadata: {{name: s}}\nspec:\n  table: {{file: {file}}}\n  outcomes:\n    slow: {{within: 30d}}\n    fast: {{within: 3d}}\n  default: {{within: 30d}}\n"
        )
    };
    let (whole, wrong) = (TABLE.replace("OUTCOME", "fast"), TABLE.replace("OUTCOME", "soon"));
    for (file, text, expected) in [
        ("tables/mine.json", whole.as_str(), "0 errors"),
        (
            "tables/mine.json",
            wrong.as_str(),
            "`soon` is no value of the outcome `x:O:1.0.0`",
        ),
        ("tables/other.json", whole.as_str(), "there is no such file"),
        ("../mine.json", whole.as_str(), "must not leave it"),
    ] {
        let folder = repository(&[("policies/s.yaml", &sla(file)), ("tables/mine.json", text)]);
        let output = run(folder.path(), &["validate"]);
        let told = out(&output) + &err(&output);
        if expected == "0 errors" {
            assert_eq!(output.status.code(), Some(0), "{told}");
        } else {
            assert!(
                told.contains(expected) && told.contains("policies/s.yaml:5:17"),
                "{file}: {told}"
            );
        }
    }
}
