//! The ledger, read a second time: by its words, without the engine's reader.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use patchwave_core::canonical::sha256_hex;
use patchwave_core::history::branch_rollout;
use patchwave_core::propose::{ForgeView, PullRequest};
use serde_json::Value;

use crate::estate::ROLLOUTS;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: String,
    /// Its facts.
    pub data: Value,
}

impl Line {
    /// A fact that is a text.
    pub fn text(&self, key: &str) -> &str {
        self.data.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A wave's move, if it is one of `wave`.
    pub fn moved(&self, wave: &str) -> Option<&str> {
        (self.event == "wave" && self.text("wave") == wave).then(|| self.text("moved"))
    }

    /// It is about this batch.
    pub fn is_of(&self, wave: &str, batch: &str) -> bool {
        self.text("wave") == wave && self.text("batch") == batch
    }

    /// Whether an object among its facts has this member.
    pub fn names(&self, key: &str, member: &str) -> bool {
        self.data.get(key).is_some_and(|o| o.get(member).is_some())
    }
}

/// The lines of each rollout.
pub type Ledger = BTreeMap<String, Vec<Line>>;

/// Reads what there is; lines that are none are left out and found by [`faults`].
pub fn read(view: &ForgeView) -> Ledger {
    let files = view
        .ledger
        .iter()
        .filter_map(|(file, bytes)| Some((file.strip_suffix(".ndjson")?, bytes)));
    files
        .filter(|(name, _)| *name != "memory")
        .map(|(name, bytes)| (name.to_owned(), lines(bytes)))
        .collect()
}

fn lines(bytes: &[u8]) -> Vec<Line> {
    let values = values(bytes);
    let line = |v: Value| {
        Some(Line {
            time: v.get("time")?.as_str()?.parse().ok()?,
            event: v.get("event")?.as_str()?.to_owned(),
            data: v.get("data").cloned().unwrap_or_default(),
        })
    };
    values.filter_map(line).collect()
}

fn values(bytes: &[u8]) -> impl Iterator<Item = Value> {
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    lines.filter_map(|l| serde_json::from_slice(l).ok())
}

/// Where two views first differ, for people; none = they hold the same.
pub fn difference(one: &ForgeView, other: &ForgeView) -> Option<String> {
    let files: BTreeSet<&String> = one.ledger.keys().chain(other.ledger.keys()).collect();
    let text = |view: &ForgeView, file: &String| {
        let bytes = view.ledger.get(file).map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    for file in files {
        let (a, b) = (text(one, file), text(other, file));
        let differing = a.lines().zip(b.lines()).find(|(a, b)| a != b);
        if let Some((a, b)) = differing {
            return Some(format!("{file}: {a} and {b}"));
        }
        if a != b {
            return Some(format!("{file}: {} and {} lines", a.lines().count(), b.lines().count()));
        }
    }
    for (a, b) in one.pull_requests.iter().zip(&other.pull_requests) {
        if let Some(what) = pulls_differ(a, b) {
            let (one, other) = (lasting(&a.body), lasting(&b.body));
            let mut lines = one.iter().zip(&other).filter(|(a, b)| a != b);
            let line = lines
                .next()
                .map_or_else(String::new, |(a, b)| format!(": {a:?} and {b:?}"));
            let (number, names) = (a.number, (&a.branch, &b.branch));
            return Some(format!("{what} of pull request {number} ({names:?}){line}"));
        }
    }
    let what = [
        ("the base branch", one.merged_files != other.merged_files),
        ("pull requests", one.pull_requests.len() != other.pull_requests.len()),
        ("the dashboard", one.dashboard != other.dashboard),
    ];
    what.into_iter()
        .find(|(_, differs)| *differs)
        .map(|(what, _)| what.to_owned())
}

/// The lines of a text but for the times of the plan: a run that is started again plans the rest when the first part is
/// released already, and that may shift what is still to come by minutes.
fn lasting(body: &str) -> Vec<&str> {
    let lines = body.lines().map(|line| match line.split_once(", planned slack ") {
        Some((before, _)) => before,
        None => line,
    });
    let planned = |line: &str| line.starts_with("| ") && line.trim_end_matches(" |").ends_with('Z');
    lines.filter(|line| !planned(line)).collect()
}

/// What two pull requests differ in, but for the names of commits.
fn pulls_differ(a: &PullRequest, b: &PullRequest) -> Option<&'static str> {
    // A branch also holds what was merged of other rollouts before it was written.
    let own = |p: &PullRequest| {
        let folder = branch_rollout(&p.branch).map(|rollout| format!("{ROLLOUTS}/{rollout}/"));
        let of_it = |path: &String| folder.as_ref().is_some_and(|folder| path.starts_with(folder));
        let files = p.files.iter().filter(|(path, _)| of_it(path));
        files
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let said = |p: &PullRequest| p.comments.iter().map(|c| c.body.clone()).collect::<Vec<_>>();
    let what = [
        ("the branch", a.branch != b.branch),
        ("the state", a.state != b.state),
        ("the files", own(a) != own(b)),
        ("the body", lasting(&a.body) != lasting(&b.body)),
        ("the comments", said(a) != said(b)),
        (
            "the words",
            (&a.title, &a.labels, &a.reviewers) != (&b.title, &b.labels, &b.reviewers),
        ),
    ];
    what.into_iter().find(|(_, differs)| *differs).map(|(what, _)| what)
}

/// What is wrong with the chains, and what they lost since `before`.
pub fn faults(before: &ForgeView, now: &ForgeView) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, bytes) in &before.ledger {
        if !now.ledger.get(file).is_some_and(|now| now.starts_with(bytes)) {
            faults.push(format!("{file} lost or changed a line"));
        }
    }
    for (file, bytes) in &now.ledger {
        if before.ledger.get(file) == Some(bytes) {
            continue;
        }
        let mut previous = "0".repeat(64);
        for (number, line) in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).enumerate() {
            let value: Value = serde_json::from_slice(line).unwrap_or_default();
            let right = value.get("seq").and_then(Value::as_u64) == u64::try_from(number).ok()
                && value.get("prev").and_then(Value::as_str) == Some(previous.as_str());
            if !right {
                faults.push(format!(
                    "{file} line {}: it does not follow the line before it",
                    number + 1
                ));
            }
            previous = sha256_hex(line);
        }
    }
    faults
}
