//! The command line: exit codes, what goes where, and what works at once.

use super::play::{ROLLOUT, test_released};
use crate::support::{Sandbox, pw};

#[test]
fn a_wrong_command_line_is_usage() {
    let sandbox = Sandbox::empty();
    for arguments in [
        &["nonsense"][..],
        &[],
        &["plan", "--format", "klingon"],
        &["--now", "yesterday", "plan"],
        &["permit", "a"],
    ] {
        let said = pw(sandbox.path(), arguments, "", &[]);
        assert_eq!(said.code, 64, "{arguments:?}: {}", said.err);
        assert!(
            said.out.is_empty(),
            "{arguments:?} wrote to standard output: {}",
            said.out
        );
        assert!(!said.err.is_empty());
    }
}

#[test]
fn a_folder_without_a_repository_is_an_error_with_advice() {
    let sandbox = Sandbox::empty();
    for command in ["plan", "assess", "status", "reconcile", "validate"] {
        let said = sandbox.run(&[command]);
        assert_eq!(said.code, 1, "{command}: {}\n{}", said.out, said.err);
        assert!(
            format!("{}{}", said.err, said.out).contains("patchwave.yaml"),
            "{command}: {}",
            said.err
        );
    }
}

#[test]
fn json_is_all_that_stands_on_standard_output() {
    let estate = test_released();
    let commands: &[&[&str]] = &[
        &["validate", "--format", "json"],
        &["observe", "--format", "json"],
        &["feeds", "--format", "json"],
        &["assess", "--format", "json"],
        &["plan", "--format", "json"],
        &["graph", "--format", "json"],
        &["windows", "--format", "json"],
        &["explain", "asset", "t1", "--format", "json"],
        &["explain", "finding", "t1", "ALSA-2026:7001", "--format", "json"],
        &["reconcile", "--once", "--dry-run", "--format", "json"],
        &["propose", "--format", "json"],
        &["verify", "--format", "json"],
        &["permit", ROLLOUT, "test", "01", "--format", "json"],
        &["status", "--format", "json"],
        &["forge", "list", "--format", "json"],
        &["audit", "verify", "--format", "json"],
        &["targets", "--format", "json"],
        &["sources", "--format", "json"],
        &["schema", "PatchPolicy"],
    ];
    for command in commands {
        estate.run(command).exits(0).json();
    }
    // Also where the answer is no.
    let no = estate
        .run(&["permit", ROLLOUT, "staging", "01", "--format", "json"])
        .exits(1)
        .json();
    assert_eq!(no["permitted"], false);
}

#[test]
fn ndjson_findings_have_the_fields_that_scripts_rely_on() {
    let estate = Sandbox::estate();
    let said = estate.run(&["assess", "--format", "ndjson"]).exits(0);
    assert_eq!(said.out.lines().count(), 7);
    // Written out, and not taken from the code: a column with another name must fail here. Those that may be empty are left out.
    let fields = [
        "asset",
        "advisory",
        "aliases",
        "ecosystem",
        "package",
        "arch",
        "installed",
        "fixed",
        "severity",
        "exploited",
        "decision",
        "status",
        "timeliness",
        "clockStart",
        "deadline",
        "lane",
        "policy",
        "sla",
        "rule",
    ];
    for line in said.out.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        for field in fields {
            assert!(!row[field].is_null(), "{field} is missing in {line}");
        }
    }
}

#[test]
fn quiet_says_errors_as_log_lines_too() {
    let sandbox = Sandbox::estate();
    sandbox.edit(
        "fleets/strategies.yaml",
        "kind: RolloutStrategy",
        "kind: RollOutStrategy",
    );
    let said = sandbox.run(&["-q", "--log-format", "json", "plan"]).exits(1);
    let lines: Vec<serde_json::Value> = said.err.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(
        lines
            .iter()
            .any(|line| line["message"].as_str().unwrap().contains("RollOutStrategy")),
        "{}",
        said.err
    );
}

#[test]
fn quiet_says_only_results_and_errors() {
    let sandbox = Sandbox::shipped();
    let loud = sandbox.run(&["plan"]).exits(0);
    let quiet = sandbox.run(&["-q", "plan"]).exits(0);
    assert_eq!(loud.out, quiet.out, "the result is the same");
    assert_eq!(quiet.err, "");
}

#[test]
fn no_colour_where_nobody_asked_for_it() {
    let sandbox = Sandbox::estate();
    sandbox.edit("policies/linux.yaml", "sla: standard", "sla: standart");
    let plain = pw(sandbox.path(), &["plan"], "", &[]);
    assert!(plain.code == 1 && !plain.err.contains('\u{1b}'), "{}", plain.err);
    assert!(
        plain.err.contains("standart") && plain.err.contains("policies/linux.yaml:"),
        "{}",
        plain.err
    );
    let asked = pw(sandbox.path(), &["--color", "always", "plan"], "", &[]);
    assert!(asked.err.contains('\u{1b}'));
    let unwanted = pw(sandbox.path(), &["plan"], "", &[("NO_COLOR", "1"), ("TERM", "xterm")]);
    assert!(!unwanted.err.contains('\u{1b}'));
}

#[test]
fn a_scaffolded_repository_works_at_once() {
    let mut sandbox = Sandbox::empty();
    sandbox.at("2026-03-01T08:00:00Z").does(&["init"]).exits(0);
    sandbox.does(&["validate"]).exits(0);
    let said = sandbox.does(&["plan", "--detailed-exitcode"]).exits(2);
    assert!(!said.out.is_empty());
    sandbox.does(&["render", "--out", "out"]).exits(0);
    assert!(
        sandbox.path().join("out").read_dir().unwrap().next().is_some(),
        "artifacts were written"
    );
    sandbox.reconcile().did("opened or updated pull request #1");
    sandbox.reconcile().quiet();
    // Never overwrites.
    std::fs::write(sandbox.path().join("policies/linux.yaml"), "# mine\n").unwrap();
    sandbox.does(&["init"]).exits(0);
    assert_eq!(
        std::fs::read_to_string(sandbox.path().join("policies/linux.yaml")).unwrap(),
        "# mine\n"
    );
}

#[test]
fn workflows_are_written_when_asked_for_and_never_overwritten() {
    let mut sandbox = Sandbox::empty();
    sandbox.does(&["init"]).exits(0);
    let written = |path: &str| sandbox.path().join(path).exists();
    assert!(!written(".github"), "nobody asked for workflows");
    // In a repository that is in use only the workflows come, and none that is there already is touched.
    let mut used = Sandbox::estate();
    used.write(".github/workflows/halt.yml", "# ours\n");
    used.does(&["init", "--github"]).exits(0);
    let text = |path: &str| std::fs::read_to_string(used.path().join(path)).unwrap();
    for name in ["validate", "plan", "plan-comment", "reconcile", "execute"] {
        let workflow = text(&format!(".github/workflows/{name}.yml"));
        assert!(workflow.contains("\npermissions: {}\n"), "{name}");
    }
    assert_eq!(text(".github/workflows/halt.yml"), "# ours\n");
    // What a workflow calls is there.
    for name in ["validate", "plan", "plan-comment", "reconcile", "execute"] {
        let workflow = text(&format!(".github/workflows/{name}.yml"));
        for called in workflow
            .split_whitespace()
            .filter(|w| w.starts_with(".github/actions/patchwave/scripts/"))
        {
            assert!(used.path().join(called).exists(), "{name} calls {called}");
        }
    }
    assert!(used.path().join(".github/actions/patchwave/action.yml").exists());
    assert!(
        !used.path().join("fleets/observed/sample.ndjson").exists(),
        "no samples"
    );
    used.does(&["validate"]).exits(0);
}

#[test]
fn a_permit_is_for_the_files_that_were_merged() {
    let mut estate = test_released();
    let words = ["permit", ROLLOUT, "test", "01", "--format", "json"];
    let permit = estate.does(&words).exits(0).json();
    let sums = permit["permit"]["sums"].as_str().unwrap().to_owned();
    let ask = |sums: &str| {
        let all = [&["--now", "2026-11-20T12:10:00Z"], &words[..]].concat();
        pw(estate.path(), &all, "", &[("PATCHWAVE_SHA256SUMS", sums)])
    };
    assert_eq!(ask(&sums).code, 0);
    let refused = ask(&"0".repeat(64));
    assert_eq!(refused.code, 1);
    let reason = refused.json()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("are not those that were merged"), "{reason}");
}

#[test]
fn vercmp_reads_lines_and_drops_none() {
    let sandbox = Sandbox::empty();
    let input = "1.0\t1.1\n2:1\t1:9\n1.0\t1.0\nnonsense\n\n1.0~rc1\t1.0\n 1.0 \t 1.0\n";
    let said = pw(sandbox.path(), &["vercmp", "rpm"], input, &[]);
    assert_eq!((said.code, said.out.as_str()), (1, "<\n>\n=\n?\n?\n<\n=\n"));
    let said = pw(sandbox.path(), &["vercmp", "deb"], "1.0\t1.1\n", &[]);
    assert_eq!((said.code, said.out.as_str()), (0, "<\n"));
    let said = pw(sandbox.path(), &["vercmp", "semver", "v1.2.0+build", "1.2"], "", &[]);
    assert_eq!((said.code, said.out.trim()), (0, "="));
    assert_eq!(pw(sandbox.path(), &["vercmp", "cobol", "1", "2"], "", &[]).code, 64);
}

#[test]
fn names_that_are_not_there_are_named_with_what_is() {
    let estate = test_released();
    for (command, text) in [
        (&["explain", "asset", "t3"][..], "t1"),
        (&["explain", "finding", "t1", "ALSA-1999:1"], "no source has"),
        (&["graph", "other"], ROLLOUT),
        (&["halt", "other", "--reason", "x"], ROLLOUT),
        (&["resume", "other"], ROLLOUT),
        (&["forge", "merge", "99"], "99"),
    ] {
        let said = estate.run(command).exits(1);
        assert!(said.err.contains(text), "{command:?}: {}", said.err);
        assert!(said.out.is_empty(), "{command:?}: {}", said.out);
    }
    let said = estate.run(&["permit", "other", "test", "01"]).exits(1);
    assert!(said.out.contains("no open rollout `other`"), "{}", said.out);
}

#[test]
fn a_tampered_ledger_is_found_and_stops_everything() {
    let estate = test_released();
    let bytes = estate
        .forge_file("refs/heads/patchwave/ledger", &format!("{ROLLOUT}.ndjson"))
        .unwrap();
    let text = String::from_utf8(bytes).unwrap().replace("local-1", "local-2");
    estate.push("patchwave/ledger", "mallory", &[(&format!("{ROLLOUT}.ndjson"), &text)]);
    estate.run(&["audit", "verify"]).exits(1);
    let said = estate.run(&["reconcile", "--once"]).exits(1);
    assert!(said.err.contains("cannot be believed"), "{}", said.err);
    estate.run(&["permit", ROLLOUT, "test", "01"]).exits(1);
}
