//! `init`: a repository that validates, plans and renders at once. Never overwrites.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use patchwave_adapters::write::{Existing, write_bundle};
use patchwave_core::load::{PROJECT_FILE, schema};

use super::Context;
use crate::exit::{Exit, Failure};

/// The sample files by path. Their instants are written relative to `now`: `@-9h@` is nine hours before it.
const SAMPLES: &[(&str, &str)] = &[
    ("patchwave.yaml", include_str!("../init/patchwave.yaml")),
    ("policies/linux.yaml", include_str!("../init/policies/linux.yaml")),
    ("policies/tests.yaml", include_str!("../init/policies/tests.yaml")),
    ("policies/windows.yaml", include_str!("../init/policies/windows.yaml")),
    ("fleets/classes.yaml", include_str!("../init/fleets/classes.yaml")),
    ("fleets/servers.yaml", include_str!("../init/fleets/servers.yaml")),
    (
        "fleets/observed/sample.ndjson",
        include_str!("../init/fleets/observed/sample.ndjson"),
    ),
    (
        "fleets/advisories/SAMPLE-2026-0001.json",
        include_str!("../init/fleets/advisories/SAMPLE-2026-0001.json"),
    ),
    (".gitignore", "/.patchwave\n"),
    (".vscode/settings.json", include_str!("../init/vscode-settings.json")),
    (
        ".vscode/extensions.json",
        include_str!("../init/vscode-extensions.json"),
    ),
];

/// The workflows of GitHub, and the action they share. The scripts are those of patchwave's own repository.
const GITHUB: &[(&str, &str)] = &[
    (
        ".github/workflows/validate.yml",
        include_str!("../init/github/workflows/validate.yml"),
    ),
    (
        ".github/workflows/plan.yml",
        include_str!("../init/github/workflows/plan.yml"),
    ),
    (
        ".github/workflows/plan-comment.yml",
        include_str!("../init/github/workflows/plan-comment.yml"),
    ),
    (
        ".github/workflows/reconcile.yml",
        include_str!("../init/github/workflows/reconcile.yml"),
    ),
    (
        ".github/workflows/execute.yml",
        include_str!("../init/github/workflows/execute.yml"),
    ),
    (
        ".github/workflows/halt.yml",
        include_str!("../init/github/workflows/halt.yml"),
    ),
    (".github/zizmor.yml", include_str!("../../../../.github/zizmor.yml")),
    (
        ".github/actions/patchwave/action.yml",
        include_str!("../../../../action.yml"),
    ),
    (
        ".github/actions/patchwave/release.txt",
        include_str!("../init/github/release.txt"),
    ),
    (
        ".github/actions/patchwave/scripts/install.sh",
        include_str!("../../../../scripts/install.sh"),
    ),
    (
        ".github/actions/patchwave/scripts/plan.sh",
        include_str!("../../../../scripts/plan.sh"),
    ),
    (
        ".github/actions/patchwave/scripts/comment.py",
        include_str!("../../../../scripts/comment.py"),
    ),
    (
        ".github/actions/patchwave/scripts/private.py",
        include_str!("../../../../scripts/private.py"),
    ),
    (
        ".github/actions/patchwave/scripts/execute.py",
        include_str!("../../../../scripts/execute.py"),
    ),
];

/// Scaffolds a repository in `dir`; with `github` its workflows too, and only those where there is a Project already:
/// sample policies have no place in a repository that is in use.
pub fn run(context: &Context, dir: Option<&Path>, github: bool) -> Result<Exit, Failure> {
    let folder: PathBuf = dir.map_or_else(|| context.root.clone(), |d| context.place(d));
    let mut files = BTreeMap::new();
    if github {
        let workflows = GITHUB.iter().map(|(path, text)| ((*path).to_owned(), (*text).into()));
        files.extend(workflows);
    }
    if !github || !folder.join(PROJECT_FILE).exists() {
        files.extend(samples(context.now));
    }
    let written = write_bundle(&folder, &files, Existing::Keep)?;
    for kept in &written.kept {
        context.output.say(&format!("kept {kept}: it was there already"));
    }
    context.output.text(&format!(
        "{} files written to {}",
        written.written.len(),
        folder.display()
    ))?;
    context
        .output
        .say("next: git init, git commit, then `patchwave validate`, `patchwave plan`, `patchwave reconcile --once`");
    if github {
        context
            .output
            .say("on GitHub: pin a release in .github/actions/patchwave/release.txt, and name the repository under `forge` in patchwave.yaml");
    }
    Ok(Exit::Done)
}

/// The sample files and the schemas.
fn samples(now: Timestamp) -> BTreeMap<String, Vec<u8>> {
    let samples = SAMPLES
        .iter()
        .map(|(path, text)| ((*path).to_owned(), stamped(text, now).into_bytes()));
    let schemas = schema::files()
        .into_iter()
        .map(|(name, text)| (format!("schemas/v1/{name}"), text.into_bytes()));
    samples.chain(schemas).collect()
}

/// Replaces `@-<hours>h@` by that instant.
fn stamped(text: &str, now: Timestamp) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@-") {
        out.push_str(before);
        let stamp = after
            .split_once("h@")
            .and_then(|(hours, tail)| hours.parse::<i64>().ok().map(|h| (h, tail)));
        match stamp {
            Some((hours, tail)) => {
                let at = now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(now);
                let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
                out.push_str(&whole.to_string());
                rest = tail;
            }
            None => {
                out.push_str("@-");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
