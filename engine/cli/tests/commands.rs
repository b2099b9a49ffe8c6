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

/// A table of one question, with what stands for `OUTCOME` where a critical advisory gets its outcome.
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
