//! The binary run with nothing of the machine around it, and what it said.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::planted;

/// What a command said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The output as JSON: nothing else may stand on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("not JSON ({e}):\n{}\n{}", self.out, self.err))
    }

    /// The same, when the command ended as it should.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }
}

/// Runs the binary in `folder` with an empty environment.
pub fn pw(folder: &Path, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwave"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads no input may be gone before it is given any.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    for words in arguments
        .iter()
        .map(|word| word.as_bytes())
        .chain([&output.stdout[..], &output.stderr])
    {
        assert!(!planted::is_in(words), "a secret was told by patchwave {arguments:?}");
    }
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What one reconcile did and said.
#[derive(Clone, Debug)]
pub struct Run {
    /// Lines of what was done.
    pub done: Vec<String>,
    /// `subject: message` of what holds things back.
    pub waits: Vec<String>,
    /// Reference updates.
    pub writes: u64,
    /// Diagnostics.
    pub err: String,
}

impl Run {
    /// One of the things done contains `text`.
    #[track_caller]
    pub fn did(&self, text: &str) -> &Self {
        assert!(
            self.done.iter().any(|l| l.contains(text)),
            "nothing done says `{text}`: {self:#?}"
        );
        self
    }

    /// None of the things done contains `text`.
    #[track_caller]
    pub fn did_not(&self, text: &str) -> &Self {
        assert!(
            !self.done.iter().any(|l| l.contains(text)),
            "`{text}` was done: {self:#?}"
        );
        self
    }

    /// One of the reasons to wait contains `text`.
    #[track_caller]
    pub fn waits_for(&self, text: &str) -> &Self {
        assert!(
            self.waits.iter().any(|l| l.contains(text)),
            "nothing waits for `{text}`: {self:#?}"
        );
        self
    }

    /// Nothing was done and nothing written.
    #[track_caller]
    pub fn quiet(&self) -> &Self {
        assert!(
            self.done.is_empty() && self.writes == 0,
            "there was something to do: {self:#?}"
        );
        self
    }
}
