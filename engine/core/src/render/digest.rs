//! Digests of patch sets, waves and bundles.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::wire::FrozenRollout;
use crate::history::Target;

/// Name of the file that lists the digests of all others.
pub const SUMS_FILE: &str = "SHA256SUMS";

/// Name of the file that holds a wave's openings; it moves with freezes and overrides, so no wave digest covers it.
pub const OPENINGS_FILE: &str = "openings.json";

/// SHA-256 of bytes, lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// RFC 8785 JSON of a value that holds no fractions: members sorted by their UTF-16 code units, no blanks.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { "," } else { "" });
                canonical(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            members.sort_by_cached_key(|(key, _)| key.encode_utf16().collect::<Vec<u16>>());
            text.push('{');
            for (i, (key, item)) in members.into_iter().enumerate() {
                text.push_str(if i > 0 { "," } else { "" });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                canonical(item, text);
            }
            text.push('}');
        }
        _ => text.push_str(&value.to_string()),
    }
}

fn digest(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    sha256_hex(text.as_bytes())
}

/// Digest of a patch set: SHA-256 of the RFC 8785 JSON of its sorted targets. Neither asset, advisory nor time is in it.
pub fn patchset_digest(targets: &[Target]) -> String {
    let mut sorted: Vec<&Target> = targets.iter().collect();
    sorted.sort();
    sorted.dedup();
    digest(&serde_json::to_value(sorted).unwrap_or(Value::Null))
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
        "patchset": patchset_digest(&frozen.patchset.targets),
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
    fn canonical_json_sorts_by_utf16_and_has_no_blanks() {
        let mut text = String::new();
        // The first sorts after the second in UTF-8 and before it in UTF-16 (RFC 8785 section 3.2.3).
        canonical(
            &json!({"\u{fb33}": 1, "\u{1f600}": [true, null], "a": {"c": "\u{7f}\n", "b": 2}}),
            &mut text,
        );
        assert_eq!(
            text,
            "{\"a\":{\"b\":2,\"c\":\"\u{7f}\\n\"},\"\u{1f600}\":[true,null],\"\u{fb33}\":1}"
        );
    }

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
