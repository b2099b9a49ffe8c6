//! Every changed byte of the ledger and of what was merged is found and named.

use patchwave_core::propose::ForgeView;
use rayon::prelude::*;

use crate::crash::play;
use crate::play::{ROLLOUTS, anchored, audited};

/// What a fault is about: a ledger file or a path.
type Place = String;

/// The places an audit complains about after a change.
fn complaints(clean: &ForgeView, change: impl Fn(&mut ForgeView)) -> Vec<Place> {
    let mut view = clean.clone();
    change(&mut view);
    let anchors = audited(clean).heads;
    let mut places: Vec<Place> = anchored(&view, &anchors).faults.into_iter().map(|f| f.file).collect();
    places.dedup();
    places
}

/// So many bytes of every file, evenly spread: all of a short one.
const BYTES_OF_FILE: usize = 40;

fn spread(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by((length / BYTES_OF_FILE).max(1))
}

#[test]
fn any_changed_byte_is_found_and_named() {
    let (clean, _) = play(0);
    assert_eq!(audited(&clean).faults, []);
    let ledger = clean
        .ledger
        .iter()
        .flat_map(|(file, bytes)| spread(bytes.len()).map(move |at| (file, at)));
    let ledger: Vec<_> = ledger.collect();
    assert!(ledger.len() > 60, "too few bytes to prove anything: {}", ledger.len());
    ledger.into_par_iter().for_each(|(file, at)| {
        let found = complaints(&clean, |view| view.ledger.get_mut(file).unwrap()[at] ^= 1);
        assert!(found.contains(&format!("ledger {file}")), "{file} byte {at}: {found:?}");
    });

    let merged = clean.merged_files.iter().filter(|(path, _)| path.starts_with(ROLLOUTS));
    let merged: Vec<_> = merged
        .flat_map(|(path, bytes)| spread(bytes.len()).map(move |at| (path, at)))
        .collect();
    assert!(merged.len() > 500, "too few bytes to prove anything: {}", merged.len());
    merged.into_par_iter().for_each(|(path, at)| {
        let found = complaints(&clean, |view| view.merged_files.get_mut(path).unwrap()[at] ^= 1);
        // A list of sums that was changed is at odds with the file of the changed line.
        let named = found.contains(path) || (path.ends_with("SHA256SUMS") && !found.is_empty());
        assert!(named, "{path} byte {at}: {found:?}");
    });
}

#[test]
fn what_is_cut_off_added_or_taken_away_is_found() {
    let (clean, _) = play(0);
    for file in clean.ledger.keys() {
        // The chain of what is left is sound: only the head kept outside tells.
        let cut = complaints(&clean, |view| {
            let bytes = view.ledger.get_mut(file).unwrap();
            let body = bytes.len() - 1;
            let keep = bytes[..body].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(keep);
        });
        assert_eq!(cut, [format!("ledger {file}")]);
        assert_eq!(
            complaints(&clean, |view| drop(view.ledger.remove(file))),
            [format!("ledger {file}")]
        );
    }
    let playbook = clean.merged_files.keys().find(|p| p.ends_with("batch-01.yml")).unwrap();
    assert!(complaints(&clean, |view| drop(view.merged_files.remove(playbook))).contains(playbook));
    let added = playbook.replace("batch-01", "batch-99");
    let found = complaints(&clean, |view| {
        drop(view.merged_files.insert(added.clone(), b"- hosts: all".to_vec()))
    });
    assert!(found.contains(&added), "{found:?}");
}

#[test]
fn files_and_sums_changed_together_are_not_what_was_approved() {
    let (clean, _) = play(0);
    let playbook = clean.merged_files.keys().find(|p| p.ends_with("batch-01.yml")).unwrap();
    let found = complaints(&clean, |view| {
        let old = patchwave_core::canonical::sha256_hex(&view.merged_files[playbook]);
        let content = view.merged_files.get_mut(playbook).unwrap();
        content.extend_from_slice(b"# and more\n");
        let new = patchwave_core::canonical::sha256_hex(content);
        for (_, sums) in view
            .merged_files
            .iter_mut()
            .filter(|(path, _)| path.ends_with("SHA256SUMS"))
        {
            *sums = String::from_utf8(sums.clone())
                .unwrap()
                .replace(&old, &new)
                .into_bytes();
        }
    });
    assert!(found.iter().any(|place| place.ends_with("plan.json")), "{found:?}");
}
