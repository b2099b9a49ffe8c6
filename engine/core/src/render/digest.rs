//! Digests of patch sets, waves and bundles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::wire::{FrozenRollout, FrozenWave, OPENINGS_FILE};
use crate::canonical::{self, sha256_hex};
use crate::plan::patchset_digest;

/// Name of the file that lists the digests of all others.
pub const SUMS_FILE: &str = "SHA256SUMS";

fn digest(value: &Value) -> String {
    // Texts, lists and whole numbers always have a canonical form; an empty digest would match nothing.
    canonical::digest(value).unwrap_or_default()
}

/// Digest of one wave, from the frozen plan and the wave's files: the same function before the proposal and after the
/// merge, so an edit by a person shows.
///
/// It covers the patch set (recomputed from the targets, not believed), the wave as `plan.json` holds it (its batches with
/// asset → targets and rollback kind, and the rules it moves by: what it needs, soak, gates, limits, approval), what it is
/// part of (rollout, policy, strategy, lane), the specification of its windows, and the digest of each of its files but the
/// openings. `files` are paths relative to the rollout's folder; files of other waves and of the whole rollout do not count.
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
    let names = wave.batches.iter().flat_map(|batch| batch.window.split('+'));
    let windows: BTreeMap<&str, Option<&Value>> = names.map(|name| (name, frozen.window(wave, name))).collect();
    let head = &frozen.rollout;
    Some(digest(&json!({
        "patchset": patchset_digest(&frozen.patchset.targets).as_ref(),
        "rollout": {"name": head.name, "policy": head.policy, "strategy": head.strategy, "lane": head.lane},
        // Where the specification of a window stands makes no difference: all are beside it.
        "wave": FrozenWave { windows: BTreeMap::new(), ..wave.clone() },
        "windows": windows,
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
