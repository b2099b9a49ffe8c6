//! Appending to the ledger branch: the reference update is the compare-and-swap.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::plumbing::{Author, Edit, LEDGER, Plumbing, read_files};
use super::{Appended, ForgeError};

/// The trailer that carries the fencing number of the runner's lease.
///
/// Every commit of the ledger has the highest number so far: a commit made without a lease (a person's halt) repeats
/// its parent's. So one look at the head tells a runner whose lease was taken over that it must not write any more,
/// whatever its clock says.
const FENCE_TRAILER: &str = "Patchwave-Fence:";

/// The message with the fencing number of a lease.
pub(super) fn fenced(message: &str, fence: u64) -> String {
    let end = if message.ends_with('\n') { "" } else { "\n" };
    format!("{message}{end}{FENCE_TRAILER} {fence}\n")
}

fn fence_of(message: &str) -> Option<u64> {
    let numbers = message.lines().filter_map(|line| line.strip_prefix(FENCE_TRAILER));
    numbers.filter_map(|number| number.trim().parse().ok()).max()
}

/// The highest fencing number the ledger has seen.
pub(super) fn fence(git: &impl Plumbing) -> Result<Option<u64>, ForgeError> {
    let head = git.target(LEDGER)?;
    let info = head.map(|head| git.commit_info(&head)).transpose()?;
    Ok(info.and_then(|info| fence_of(&info.message)))
}

/// Moves the ledger branch from `expected` to one commit that holds `files`. No files and a new fencing number is a
/// takeover: a commit without a change, after which nothing decided before it can be appended.
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
    let (mine, last) = (fence_of(message), fence(git)?);
    if let (Some(mine), Some(last)) = (mine, last)
        && mine < last
    {
        return Err(ForgeError::terminal(
            format!(
                "nothing was recorded: this run holds lease {mine}, and a runner with lease {last} has written since"
            ),
            "nothing was lost: this run was paused or cut off for longer than its lease; start it again",
        ));
    }
    let message = &match (mine, last) {
        (None, Some(last)) => fenced(message, last),
        _ => message.to_owned(),
    };
    let takes_over = files.is_empty() && mine > last;
    let before = read_files(git, at.as_deref(), "")?;
    let mut edit = Edit::default();
    let mut grown = false;
    for (name, bytes) in files {
        refuse_rewrite(name, before.get(name).map_or(&[][..], Vec::as_slice), bytes)?;
        grown |= before.get(name) != Some(bytes);
        edit.put(name, bytes)?;
    }
    if let (Some(head), false) = (&at, grown || takes_over) {
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
