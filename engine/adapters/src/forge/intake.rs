//! Taking commits of the user's repository into the base branch.
//!
//! The base of the merge is the commit that was taken in last, not the common ancestor: so an amended, rebased or
//! switched HEAD is one more state of the same work, and conflicts only where the forge itself changed the same lines.

use jiff::Timestamp;

use super::plumbing::{Author, Layout, MAIN, MergedTree, Plumbing, TAKEN};
use super::{ForgeError, TakenIn};

/// Makes the base branch hold `head`, whose objects are in the store already.
pub(super) fn take_in(git: &impl Plumbing, layout: &Layout, head: &str, now: Timestamp) -> Result<TakenIn, ForgeError> {
    let taken = git.target(TAKEN)?;
    let Some(main) = git.target(MAIN)? else {
        move_ref(git, MAIN, None, head)?;
        move_ref(git, TAKEN, taken.as_deref(), head)?;
        return Ok(TakenIn::FastForward { to: head.to_owned() });
    };
    if git.is_ancestor(head, &main)? {
        // Merged already. The mark is behind only if the process ended between the two references; a HEAD that went
        // back in history is older than the mark and is nothing new.
        let behind = match &taken {
            Some(taken) => !git.is_ancestor(head, taken)?,
            None => true,
        };
        if behind {
            move_ref(git, TAKEN, taken.as_deref(), head)?;
        }
        return Ok(TakenIn::Unchanged);
    }
    let outcome = if git.is_ancestor(&main, head)? {
        move_ref(git, MAIN, Some(&main), head)?;
        TakenIn::FastForward { to: head.to_owned() }
    } else {
        join(git, layout, &main, taken.as_deref(), head, now)?
    };
    move_ref(git, TAKEN, taken.as_deref(), head)?;
    Ok(outcome)
}

/// Gives the base branch a first commit of the engine's own, where there is no commit to start from.
pub(super) fn start_empty(git: &impl Plumbing, now: Timestamp) -> Result<(), ForgeError> {
    if git.target(MAIN)?.is_some() {
        return Ok(());
    }
    let tree = git.write_tree(None, &super::plumbing::Edit::default())?;
    let root = git.write_commit(&tree, &[], &Author::engine(), "Start the local forge\n", now)?;
    move_ref(git, MAIN, None, &root)
}

fn join(
    git: &impl Plumbing,
    layout: &Layout,
    main: &str,
    taken: Option<&str>,
    head: &str,
    now: Timestamp,
) -> Result<TakenIn, ForgeError> {
    let base = taken.map(|commit| git.tree_of(commit)).transpose()?;
    let rollouts = layout.rollouts_path();
    let merged = git.merge_trees(
        base.as_deref(),
        &git.tree_of(main)?,
        &git.tree_of(head)?,
        Some(&rollouts),
    )?;
    let (tree, kept) = match merged {
        MergedTree::Tree { tree, kept } => (tree, kept),
        MergedTree::Conflicts(paths) => {
            return Err(ForgeError::terminal(
                format!(
                    "the commit {head} cannot be taken into the local forge: its branch main changed {} too",
                    paths.join(", ")
                ),
                "merge the forge's main into your branch and resolve it there: git pull --no-rebase .patchwave/forge.git main",
            ));
        }
    };
    let message = format!("Take in {head}\n");
    let commit = git.write_commit(&tree, &[main, head], &Author::engine(), &message, now)?;
    move_ref(git, MAIN, Some(main), &commit)?;
    Ok(TakenIn::Merged {
        head: head.to_owned(),
        commit,
        kept,
    })
}

fn move_ref(git: &impl Plumbing, reference: &str, expected: Option<&str>, new: &str) -> Result<(), ForgeError> {
    if git.set_target(reference, expected, new)? {
        Ok(())
    } else {
        Err(ForgeError::overtaken(reference))
    }
}
