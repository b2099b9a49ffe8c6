//! Appending to the ledger branch: the reference update is the compare-and-swap.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::plumbing::{Author, Edit, LEDGER, Plumbing, read_files};
use super::{Appended, ForgeError};

/// Moves the ledger branch from `expected` to one commit that holds `files`.
pub(super) fn append(
    git: &impl Plumbing,
    expected: Option<&str>,
    files: &BTreeMap<String, Vec<u8>>,
    message: &str,
    now: Timestamp,
) -> Result<Appended, ForgeError> {
    let at = git.target(LEDGER)?;
    if at.as_deref() != expected {
        return Ok(Appended::Conflict { head: at });
    }
    let before = read_files(git, at.as_deref(), "")?;
    let mut edit = Edit::default();
    let mut grown = false;
    for (name, bytes) in files {
        refuse_rewrite(name, before.get(name).map_or(&[][..], Vec::as_slice), bytes)?;
        grown |= before.get(name) != Some(bytes);
        edit.put(name, bytes)?;
    }
    if let (Some(head), false) = (&at, grown) {
        return Ok(Appended::Head { head: head.clone() });
    }
    let base = at.as_deref().map(|commit| git.tree_of(commit)).transpose()?;
    let tree = git.write_tree(base.as_deref(), &edit)?;
    let parents: Vec<&str> = at.as_deref().into_iter().collect();
    let commit = git.write_commit(&tree, &parents, &Author::engine(), message, now)?;
    if git.set_target(LEDGER, at.as_deref(), &commit)? {
        Ok(Appended::Head { head: commit })
    } else {
        Ok(Appended::Conflict {
            head: git.target(LEDGER)?,
        })
    }
}

fn refuse_rewrite(name: &str, before: &[u8], after: &[u8]) -> Result<(), ForgeError> {
    let fault = |why: &str| {
        Err(ForgeError::terminal(
            format!("the ledger file {name} was not written: {why}, and what is recorded stays recorded"),
            "read the ledger again and append to what it holds now",
        ))
    };
    if name.contains('/') {
        return fault("it is not a plain file name");
    }
    if !after.starts_with(before) {
        return fault("its new content does not begin with what it already holds");
    }
    if !after.is_empty() && !after.ends_with(b"\n") {
        return fault("its last line has no newline");
    }
    Ok(())
}
