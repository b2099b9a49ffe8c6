//! `init`: a repository that validates, plans and renders at once. Never overwrites.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use patchwave_adapters::write::{Existing, write_bundle};
use patchwave_core::load::schema;

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

/// Scaffolds a repository in `dir`.
pub fn run(context: &Context, dir: Option<&Path>) -> Result<Exit, Failure> {
    let folder: PathBuf = dir.map_or_else(|| context.root.clone(), |d| context.place(d));
    let mut files: BTreeMap<String, Vec<u8>> = SAMPLES
        .iter()
        .map(|(path, text)| ((*path).to_owned(), stamped(text, context.now).into_bytes()))
        .collect();
    for (name, text) in schema::files() {
        files.insert(format!("schemas/v1/{name}"), text.into_bytes());
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
    Ok(Exit::Done)
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
