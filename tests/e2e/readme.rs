//! "Go on: the next wave" of the README, typed as it stands there: what it promises in its comments must come true.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::{Sandbox, home};

/// The console lines of the section.
fn lines() -> Vec<String> {
    let page = std::fs::read_to_string(home().join("README.md")).unwrap();
    let section = page.split("### Go on: the next wave").nth(1).unwrap();
    let console = section.split("```").nth(1).unwrap();
    console
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_walk_of_the_readme_reaches_the_next_wave() {
    let sandbox = Sandbox::shipped();
    let example = "docs/example/lb-t1-patched.ndjson";
    sandbox.write(example, &std::fs::read_to_string(home().join(example)).unwrap());
    let bin = Sandbox::empty();
    let program = bin.path().join("patchwave");
    let binary = env!("CARGO_BIN_EXE_patchwave");
    std::fs::write(&program, format!("#!/bin/sh\nexec \"{binary}\" \"$@\"\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let types = |line: &str| {
        let output = Command::new("bash")
            .args(["-euc", line])
            .current_dir(sandbox.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "$ {line}\n{said}");
        said
    };
    let first = types("patchwave --now 2026-11-20T12:00:00Z reconcile --once");
    assert!(first.contains("opened or updated pull request #1"), "{first}");
    let typed = lines();
    assert!(typed.len() >= 9, "{typed:?}");
    let mut last = String::new();
    for line in typed.iter().filter(|line| !line.starts_with("alias ")) {
        last = types(line);
        let command = line.split(" #").next().unwrap_or(line);
        for (word, promise) in [
            ("permit ", "permitted:"),
            ("13:30:00Z reconcile", "soaks until"),
            ("14:30:00Z reconcile", "wave staging"),
        ] {
            assert!(!command.contains(word) || last.contains(promise), "$ {line}\n{last}");
        }
    }
    assert!(
        last.contains("promoted, 1 of 1 passed") && last.contains("staging      proposed"),
        "{last}"
    );
}
