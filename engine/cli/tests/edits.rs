//! What a reviewer of an edit is told: expectations that prove nothing, a base with errors, data that changed beside policies.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test runs the binary on files of its own and fails by panicking"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const NOW: &str = "2026-11-20T12:00:00Z";

fn patchwave(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_patchwave"))
        .args(["--now", NOW, "-C"])
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

/// The scaffold, with its files committed as `main`.
fn committed() -> TempDir {
    let folder = TempDir::new().unwrap();
    let init = patchwave(folder.path(), &["init", "."]);
    assert_eq!(init.status.code(), Some(0), "{}", told(&init));
    commit(folder.path());
    folder
}

/// Commits everything that is there to `main`.
fn commit(folder: &Path) {
    let mut options = git2::RepositoryInitOptions::new();
    let repo = git2::Repository::init_opts(folder, options.initial_head("main")).unwrap();
    let mut index = repo.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.write().unwrap();
    let tree = repo.find_tree(index.write_tree().unwrap()).unwrap();
    let author = git2::Signature::now("a", "a@example").unwrap();
    let parent = repo.head().ok().map(|head| head.peel_to_commit().unwrap());
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repo.commit(Some("HEAD"), &author, &author, "state", &tree, &parents)
        .unwrap();
}

fn played(expect: &str) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    patchwave(folder.path(), &["init", "."]);
    let test = format!(
        "apiVersion: patchwave.dev/v1\nkind: PolicyTest\nmetadata: {{name: mine}}\nspec:\n  now: {NOW}\n  assets: [{{name: a1, labels: {{managed: \"true\", env: prod}}}}]\n  advisories: [{{id: T-1, fixes: []}}]\n  expect: {expect}\n"
    );
    fs::write(folder.path().join("policies/mine.yaml"), test).unwrap();
    let output = patchwave(folder.path(), &["test", "policies/mine.yaml"]);
    (output.status.code(), told(&output))
}

#[test]
fn an_expectation_that_always_holds_fails() {
    for (expect, why) in [
        (
            "{windows: [{name: nights}]}",
            "8:22: nothing is expected of window nights",
        ),
        (
            "{windows: [{name: nights, openings: [{}]}]}",
            "nothing is expected of window nights",
        ),
        ("{assets: [{asset: a1}]}", "nothing is expected of asset a1"),
        (
            "{findings: [{asset: a1, advisory: T-1, rule: explioted, absent: true}]}",
            "no SlaPolicy has a rule `explioted`, so its absence proves nothing; did you mean `exploited`?",
        ),
    ] {
        let (code, said) = played(expect);
        assert_eq!(code, Some(1), "{expect}: {said}");
        assert!(said.contains(why), "{expect}: {said}");
    }
    let (code, said) = played("{findings: [{asset: a1, advisory: T-1, rule: exploited, absent: true}]}");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn the_errors_of_a_base_are_listed() {
    let folder = committed();
    fs::write(
        folder.path().join("policies/new.yaml"),
        "apiVersion: patchwave.dev/v1\nkind: Sorce\n",
    )
    .unwrap();
    commit(folder.path());
    fs::remove_file(folder.path().join("policies/new.yaml")).unwrap();
    let output = patchwave(folder.path(), &["-q", "plan", "--base", "HEAD"]);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("at HEAD:\npolicies/new.yaml:2:7: error[PW0105]"),
        "{said}"
    );
}

#[test]
fn a_comparison_says_that_data_changed_beside_it() {
    let folder = committed();
    let same = patchwave(folder.path(), &["plan", "--base", "main"]);
    assert_eq!(same.status.code(), Some(0), "{}", told(&same));
    assert!(!told(&same).contains("differs from"), "{}", told(&same));

    let observed = folder.path().join("fleets/observed");
    let file = fs::read_dir(&observed).unwrap().next().unwrap().unwrap().path();
    let fewer: String = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .skip(1)
        .map(|l| format!("{l}\n"))
        .collect();
    fs::write(&file, fewer).unwrap();
    let output = patchwave(folder.path(), &["plan", "--base", "main"]);
    assert!(
        told(&output).contains(
            "note: what source facts reads differs from main; both sides are judged by the data of the work tree"
        ),
        "{}",
        told(&output)
    );
    // A new file is a change as well.
    commit(folder.path());
    fs::write(observed.join("more.ndjson"), "").unwrap();
    assert!(
        told(&patchwave(folder.path(), &["plan", "--base", "HEAD"])).contains("source facts reads differs from HEAD")
    );
}

#[test]
fn a_path_that_nothing_is_read_of_is_no_success() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("infra");
    fs::create_dir(&root).unwrap();
    patchwave(&root, &["init", "."]);
    fs::write(
        root.join("policies/new.yaml"),
        "apiVersion: patchwave.dev/v1\nkind: Sorce\n",
    )
    .unwrap();
    fs::write(folder.path().join("other.yaml"), "").unwrap();
    for (path, said) in [
        (".", "not valid: "),
        ("..", "not valid: "),
        ("infra", "not valid: "),
        ("infra/policies/new.yaml", "not valid: "),
        ("policies/new.yaml", "not valid: "),
        ("other.yaml", "other.yaml does not exist"),
        ("../other.yaml", "is outside of the repository"),
        ("none.yaml", "none.yaml does not exist"),
    ] {
        let cwd = if path == ".." {
            root.clone()
        } else {
            folder.path().to_owned()
        };
        let output = Command::new(env!("CARGO_BIN_EXE_patchwave"))
            .current_dir(&cwd)
            .args(["--now", NOW, "-C"])
            .arg(&root)
            .args(["validate", path])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{path}: {}", told(&output));
        assert!(told(&output).contains(said), "{path}: {}", told(&output));
    }
}
