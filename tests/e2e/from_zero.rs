//! docs/github.md, tried as a new user tries it: every console line is typed into a shell, in the order of the page, with the
//! double where GitHub is. Between the lines people do on GitHub what the page says they do.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use crate::double::{Double, Handle, TOKEN};
use crate::support::{Said, Sandbox, home, planted};

const PAGE: &str = "docs/github.md";
const START: &str = "2026-11-20T12:00:00Z";
/// The address of a repository in the page, for which the double's stands.
const ADDRESS: &str = "https://github.com/";

/// A block of the page, in order.
enum Block {
    /// Lines to type.
    Console(Vec<String>),
    /// A part of `patchwave.yaml`.
    Project(String),
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    for fenced in page.split("\n```").skip(1).step_by(2) {
        let Some((kind, text)) = fenced.split_once('\n') else {
            continue;
        };
        match kind {
            "console" => {
                let typed = text.lines().filter_map(|line| line.strip_prefix("$ "));
                found.push(Block::Console(typed.map(str::to_owned).collect()));
            }
            "yaml" if text.contains("forge:") => found.push(Block::Project(text.trim().to_owned())),
            _ => {}
        }
    }
    found
}

/// A user's machine: a home with a Git identity, a `patchwave` on the path, and where the next line is typed.
struct User {
    home: Sandbox,
    at: PathBuf,
    now: Timestamp,
    path: String,
    double: Double,
}

impl User {
    fn new() -> Self {
        let home = Sandbox::empty();
        let double = Double::start(0, true);
        let settings = format!(
            "[user]\n\tname = otto\n\temail = otto@example.org\n[url \"{}/\"]\n\tinsteadOf = {ADDRESS}\n",
            double.url()
        );
        std::fs::write(home.path().join(".gitconfig"), settings).unwrap();
        // Asked by Git, so that the token is in no address and no setting.
        program(
            &home.path().join("bin/askpass"),
            "case $1 in User*) echo x-access-token ;; *) echo \"$GH_TOKEN\" ;; esac",
        );
        let binary = env!("CARGO_BIN_EXE_patchwave");
        program(
            &home.path().join("bin/patchwave"),
            &format!("exec \"{binary}\" --now \"$NOW\" \"$@\""),
        );
        let stand_in = crate::support::home().join("tests/artifacts/workflows/ansible_stand_in.py");
        program(
            &home.path().join("bin/ansible-playbook"),
            &format!("exec python3 \"{}\" \"$@\"", stand_in.display()),
        );
        let path = std::env::var("PATH").unwrap();
        Self {
            at: home.path().to_owned(),
            path: format!("{}:{path}", home.path().join("bin").display()),
            home,
            now: START.parse().unwrap(),
            double,
        }
    }

    /// Types a line. What it changes of the shell itself (the folder, a variable) is kept here.
    fn types(&mut self, line: &str) -> Said {
        self.now += SignedDuration::from_mins(1);
        if let Some(folder) = line.strip_prefix("cd ") {
            self.at.push(folder);
            assert!(self.at.is_dir(), "{line}");
        }
        let now = self.now.to_string();
        let output = Command::new("bash")
            .args(["-euc", line])
            .current_dir(if line.starts_with("cd ") {
                self.home.path()
            } else {
                &self.at
            })
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", &self.path)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", self.home.path().join("bin/askpass"))
            .env("GH_TOKEN", TOKEN)
            .env("PATCHWAVE_GITHUB_TOKEN", TOKEN)
            .env("NOW", &now)
            .env("FAKE", "{}")
            .env("FAKE_AT", &now)
            .env("FAKE_LOG", self.home.path().join("played"))
            .output()
            .unwrap();
        let said = Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert_eq!(said.code, 0, "$ {line}\n{}\n{}", said.out, said.err);
        assert!(!planted::is_in(line.as_bytes()) && !planted::is_in(said.out.as_bytes()));
        assert!(!planted::is_in(said.err.as_bytes()), "{line}");
        said
    }

    /// The one edit the page asks for; the address of the double stands for that of GitHub.
    fn names_the_repository(&self, documented: &str) {
        let path = self.at.join("patchwave.yaml");
        let project = std::fs::read_to_string(&path).unwrap();
        let ours = documented.replace('}', &format!(", apiUrl: \"{}\"}}", self.double.url()));
        let edited = project.replace("forge: {type: local}", &ours);
        assert_ne!(
            edited, project,
            "the page's `{documented}` has no place in what `init` writes"
        );
        std::fs::write(path, edited).unwrap();
    }
}

fn program(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// "A member of `roles.approvers` approves it, and somebody merges it."
fn approved_and_merged(github: &Handle) {
    let mut repo = github.lock();
    let number = repo.issues.values().find(|issue| issue.pull.is_some()).unwrap().number;
    repo.review(number, "anna", "APPROVED");
    repo.merge(number, "berta", "Merge\n").unwrap();
}

#[test]
fn the_page_takes_a_new_user_from_zero_to_the_first_merged_wave() {
    let page = std::fs::read_to_string(home().join(PAGE)).unwrap();
    let mut user = User::new();
    let github = user.double.repository("acme/patching", &BTreeMap::new(), user.now);
    let (mut reconciled, mut brought) = (0, 0);
    for block in blocks(&page) {
        let lines = match block {
            Block::Project(text) => {
                user.names_the_repository(&text);
                continue;
            }
            Block::Console(lines) => lines,
        };
        for line in lines {
            let seen = user.at.join("../observations/seen.ndjson");
            let read = user.at.join("fleets/observed/seen.ndjson");
            if line.contains("find ../observations") {
                std::fs::write(seen, "").unwrap();
            }
            github.lock().clock = user.now + SignedDuration::from_mins(1);
            let said = user.types(&line);
            if line.contains("find ../observations") {
                brought += 1;
                std::fs::remove_file(read).expect("what was observed lies where it is read");
            }
            if line.contains("git push") {
                assert!(github.lock().head_of("main").is_some(), "{line}");
            }
            if line.ends_with("reconcile --once") {
                reconciled += 1;
                let wanted = ["opened or updated pull request #", "released wave test batch 01"];
                assert!(said.out.contains(wanted[reconciled - 1]), "{said:?}");
                if reconciled == 1 {
                    approved_and_merged(&github);
                }
            }
            if line.contains("permit") {
                let permit = user.types(&format!("{line} --format json")).json();
                let sums = permit["permit"]["sums"].as_str().unwrap_or_default().to_owned();
                assert_eq!(sums.len(), 64, "the permit names the files that were merged: {permit}");
            }
            if line.contains("execute.py") {
                assert!(said.out.contains("1 of 1 released batches ran"), "{said:?}");
            }
        }
    }
    assert_eq!((reconciled, brought), (2, 1));
    // What ran is on record, what was asked for at the end waits for its approval, and the clone is clean.
    let show = "git fetch --quiet && git show origin/patchwave/ledger:linux-security-2026-11-20.ndjson";
    let ledger = user.types(show).out;
    assert!(ledger.contains("\"event\":\"evidence\""), "{ledger}");
    assert!(github.lock().issues.values().any(|i| i.title.contains("resume")));
    assert_eq!(user.types("git status --short").out, "");
    assert!(!github.lock().tells_the_token());
}
