//! What was merged against its own lists: `SHA256SUMS` over a rollout's files, and the openings a wave was approved with.

use std::collections::BTreeMap;

use super::fold::HistoryFault;
use super::wire::FrozenWave;
use crate::canonical::sha256_hex;

/// Every file under the rollouts folder that is not what the `SHA256SUMS` of its rollout lists, or is not listed, or is
/// listed and missing. `under` is the rollouts folder, or the folder of one rollout.
pub fn sums_faults(files: &BTreeMap<String, Vec<u8>>, under: &str) -> Vec<HistoryFault> {
    let mut faults = Vec::new();
    let inside = |path: &&String| path.strip_prefix(under).is_some_and(|rest| rest.starts_with('/'));
    for (path, bytes) in files.iter().filter(|(path, _)| inside(path)) {
        let Some(base) = path.strip_suffix("SHA256SUMS").filter(|base| base.ends_with('/')) else {
            continue;
        };
        let listed: BTreeMap<String, String> = String::from_utf8_lossy(bytes)
            .lines()
            .filter_map(|l| {
                l.split_once("  ")
                    .map(|(sum, name)| (format!("{base}{name}"), sum.to_owned()))
            })
            .collect();
        let own = files.keys().filter(|file| file.starts_with(base) && *file != path);
        // What answers a stop is merged on its own, and names the stop: people approved it beside the artifacts.
        let answers = |file: &str| {
            let name = file.strip_prefix(base).unwrap_or_default();
            let stop = name.strip_prefix("resume-").or_else(|| name.strip_prefix("rollback-"));
            let stop = stop.and_then(|rest| rest.strip_suffix(".yaml"));
            stop.is_some_and(|stop| !stop.is_empty() && stop.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        for file in own.filter(|file| !listed.contains_key(*file) && !answers(file)) {
            faults.push(HistoryFault {
                file: file.clone(),
                message: "is not listed in SHA256SUMS: nobody approved it".into(),
            });
        }
        for (file, sum) in &listed {
            let problem = match files.get(file) {
                None => Some("is listed in SHA256SUMS and missing".to_owned()),
                Some(content) if sha256_hex(content) != *sum => Some("is not the file SHA256SUMS lists".to_owned()),
                Some(_) => None,
            };
            if let Some(message) = problem {
                faults.push(HistoryFault {
                    file: file.clone(),
                    message,
                });
            }
        }
    }
    faults
}

/// What is wrong with the files of one rollout, as a sentence for the person who is to mend it; none when they are what
/// their `SHA256SUMS` lists. An executor that checks its files would refuse them, so nothing is released for it.
pub fn unlisted(files: &BTreeMap<String, Vec<u8>>, rollouts_folder: &str, rollout: &str) -> Option<String> {
    let under = format!("{rollouts_folder}/{rollout}");
    let sums = format!("{under}/SHA256SUMS");
    let mend = "list what is meant to run, as `sha256sum` writes it, or revert the edit";
    if !files.contains_key(&sums) {
        return Some(format!("{sums} is missing: {mend}"));
    }
    let faults = sums_faults(files, &under);
    let first = faults.first()?;
    let more = match faults.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more files)"),
    };
    Some(format!("{} {}{more}: {mend}", first.file, first.message))
}

/// SHA-256 of the openings a wave was merged with; none where it has none.
pub fn openings_digest(
    files: &BTreeMap<String, Vec<u8>>,
    rollouts_folder: &str,
    rollout: &str,
    wave: &FrozenWave,
) -> Option<String> {
    let path = format!("{rollouts_folder}/{rollout}/{}", wave.openings_file());
    files.get(&path).map(|bytes| sha256_hex(bytes))
}
