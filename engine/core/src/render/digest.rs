//! Digests of patch sets, waves and bundles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::wire::FrozenRollout;
use crate::canonical::{self, sha256_hex};
use crate::plan::patchset_digest;

/// Name of the file that lists the digests of all others.
pub const SUMS_FILE: &str = "SHA256SUMS";

/// Name of the file that holds a wave's openings; it moves with freezes and overrides, so no wave digest covers it.
pub const OPENINGS_FILE: &str = "openings.json";

fn digest(value: &Value) -> String {
    // Texts, lists and whole numbers always have a canonical form; an empty digest would match nothing.
    canonical::digest(value).unwrap_or_default()
}

/// Digest of one wave, from the frozen plan and the wave's files: the same function before the proposal and after the
/// merge, so an edit by a person shows.
///
/// It covers the patch set (recomputed from the targets, not believed), the wave's name, its batches with asset →
/// targets and rollback kind, the specification of its windows, and the digest of each of its files but the openings.
/// `files` are paths relative to the rollout's folder; files of other waves and of the whole rollout do not count.
/// None when the plan has no such wave.
pub fn wave_digest(frozen: &FrozenRollout, wave: &str, files: &BTreeMap<String, Vec<u8>>) -> Option<String> {
    let wave = frozen.waves.iter().find(|w| w.name == wave)?;
    let folder = format!("{}/", wave.folder());
    let artifacts: BTreeMap<&str, String> = files
        .iter()
        .filter_map(|(path, bytes)| Some((path.strip_prefix(&folder)?, bytes)))
        .filter(|(path, _)| *path != OPENINGS_FILE)
        .map(|(path, bytes)| (path, sha256_hex(bytes)))
        .collect();
    let batch = |batch: &super::wire::FrozenBatch| {
        let assets: BTreeMap<&str, Value> = batch
            .assets
            .iter()
            .map(|a| {
                (
                    a.name.as_str(),
                    json!({"targets": a.targets, "rollback": a.rollback.as_str()}),
                )
            })
            .collect();
        let windows: BTreeMap<&str, Option<&Value>> = batch
            .window
            .split('+')
            .map(|name| (name, frozen.windows.get(name)))
            .collect();
        json!({"id": batch.id, "assets": assets, "windows": windows})
    };
    Some(digest(&json!({
        "patchset": patchset_digest(&frozen.patchset.targets).as_ref(),
        "wave": wave.name,
        "batches": wave.batches.iter().map(batch).collect::<Vec<_>>(),
        "artifacts": artifacts,
    })))
}

/// The text of `SHA256SUMS` over `files` (relative path → bytes), sorted by path, as `sha256sum --check` reads it.
pub fn sums<'a>(files: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>) -> String {
    let sorted: BTreeMap<&String, &Vec<u8>> = files.into_iter().filter(|(path, _)| *path != SUMS_FILE).collect();
    sorted
        .iter()
        .map(|(path, bytes)| format!("{}  {path}\n", sha256_hex(bytes)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_sorted_and_leave_themselves_out() {
        let files: BTreeMap<String, Vec<u8>> = [("b", "2"), ("a", "1"), (SUMS_FILE, "x")]
            .map(|(p, b)| (p.to_owned(), b.as_bytes().to_vec()))
            .into();
        let lines = sums(&files);
        let paths: Vec<&str> = lines.lines().map(|l| l.split_once("  ").unwrap().1).collect();
        assert_eq!(paths, ["a", "b"]);
    }
}
