//! Rollout branches: put as one engine commit on top of the base branch, merged with a merge commit.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use patchwave_core::propose::{PullRequest, PullRequestState};

use super::plumbing::{Author, CommitInfo, Edit, LEDGER, Layout, MAIN, MergedTree, Plumbing};
use super::records::{self, Change, branch_ref};
use super::{Applied, ForgeError, Refusal};

/// The trailer that says where the ledger stood. It differs between two runs that mean the same, so it is left out
/// when messages are compared.
const LEDGER_TRAILER: &str = "Patchwave-Ledger:";

/// What a branch is to hold, in repository paths.
pub(super) struct BranchContent<'a> {
    pub(super) branch: &'a str,
    pub(super) files: &'a BTreeMap<String, Vec<u8>>,
    pub(super) replace_under: &'a [String],
    pub(super) message: &'a str,
}

/// The base branch's commit.
pub(super) fn main_head(git: &impl Plumbing) -> Result<String, ForgeError> {
    git.target(MAIN)?.ok_or_else(|| {
        ForgeError::terminal(
            "the local forge has no branch main",
            "something else removed it; restore it with git update-ref, or remove .patchwave/forge.git to start anew without its history",
        )
    })
}

/// Makes a branch exactly one engine commit on top of the base branch.
pub(super) fn put_branch(
    git: &impl Plumbing,
    layout: &Layout,
    wanted: &BranchContent<'_>,
    now: Timestamp,
) -> Result<Applied, ForgeError> {
    let reference = checked_ref(wanted.branch)?;
    let main = main_head(git)?;
    let at = git.target(&reference)?;
    let files: BTreeMap<String, &[u8]> = wanted
        .files
        .iter()
        .map(|(path, bytes)| (format!("{}{path}", layout.prefix), bytes.as_slice()))
        .collect();
    let folders: Vec<String> = wanted
        .replace_under
        .iter()
        .map(|folder| format!("{}{}", layout.prefix, folder.trim_end_matches('/')))
        .collect();
    if let Some(at) = &at {
        let ahead = git.commits_between(&main, at)?;
        let people = people_of(&ahead);
        if !people.is_empty() {
            return Ok(Applied::Refused(Refusal::PersonCommits {
                branch: wanted.branch.to_owned(),
                people,
            }));
        }
        if let [only] = ahead.as_slice()
            && same_message(&only.message, wanted.message)
            && holds_exactly(git, only, &main, &files, &folders)?
        {
            return Ok(Applied::Unchanged);
        }
    }
    let mut edit = Edit::default();
    for folder in &folders {
        edit.replace_folder(folder)?;
    }
    for (path, bytes) in &files {
        edit.put(path, bytes)?;
    }
    let tree = git.write_tree(Some(&git.tree_of(&main)?), &edit)?;
    let commit = git.write_commit(&tree, &[&main], &Author::engine(), wanted.message, now)?;
    if git.set_target(&reference, at.as_deref(), &commit)? {
        Ok(Applied::Done {
            number: None,
            commit: Some(commit),
        })
    } else {
        Err(ForgeError::overtaken(&reference))
    }
}

/// Whether the branch's one commit already holds what is wanted, and the base branch has not touched the same paths
/// since: then merging it gives what a fresh commit would give, and its approvals must not be lost to a rewrite.
fn holds_exactly(
    git: &impl Plumbing,
    commit: &CommitInfo,
    main: &str,
    files: &BTreeMap<String, &[u8]>,
    folders: &[String],
) -> Result<bool, ForgeError> {
    let [parent] = commit.parents.as_slice() else {
        return Ok(false);
    };
    let paths: BTreeSet<&str> = folders
        .iter()
        .map(String::as_str)
        .chain(files.keys().map(String::as_str))
        .collect();
    let within = |commit: &str| -> Result<BTreeMap<String, String>, ForgeError> {
        let tree = git.tree_of(commit)?;
        let mut found = BTreeMap::new();
        for path in &paths {
            found.extend(git.entries(&tree, path)?);
        }
        Ok(found)
    };
    let mut wanted = BTreeMap::new();
    for (path, bytes) in files {
        wanted.insert(path.clone(), git.hash_blob(bytes)?);
    }
    Ok(within(&commit.id)? == wanted && (parent == main || within(parent)? == within(main)?))
}

/// Merges a pull request with a merge commit, as `by`.
pub(super) fn merge(
    git: &impl Plumbing,
    number: u64,
    by: &Author,
    expected: Option<&str>,
    now: Timestamp,
) -> Result<Applied, ForgeError> {
    let mut records = records::load(git)?;
    let pull = match records.find(number) {
        Ok(pull) => pull.clone(),
        Err(refusal) => return Ok(Applied::Refused(refusal)),
    };
    if let Some(expected) = expected
        && expected != pull.head
    {
        let (expected, found) = (expected.to_owned(), pull.head);
        return Ok(Applied::Refused(Refusal::HeadMoved {
            number,
            expected,
            found,
        }));
    }
    match pull.state {
        PullRequestState::Merged => return Ok(Applied::Unchanged),
        PullRequestState::Closed => {
            return Ok(Applied::Refused(Refusal::NotOpen {
                number,
                state: "closed",
            }));
        }
        PullRequestState::Open => {}
    }
    if git.target(&branch_ref(&pull.branch))?.is_none() {
        return Ok(Applied::Refused(Refusal::NoSuchBranch { branch: pull.branch }));
    }
    let commit = match merge_commit(git, &pull, by, now)? {
        Ok(commit) => commit,
        Err(refusal) => return Ok(Applied::Refused(refusal)),
    };
    // From here on the merge is a fact of Git; the record only repeats it, stamped by the next change if this one fails.
    records::change(
        git,
        now,
        &format!("Pull request {number} was merged by {}\n", by.name),
        |records| {
            let _ = records.find(number)?;
            Ok(Change::Pull(number))
        },
    )?;
    Ok(Applied::Done {
        number: Some(number),
        commit: Some(commit),
    })
}

fn merge_commit(
    git: &impl Plumbing,
    pull: &PullRequest,
    by: &Author,
    now: Timestamp,
) -> Result<Result<String, Refusal>, ForgeError> {
    let main = main_head(git)?;
    let base = git
        .merge_base(&main, &pull.head)?
        .map(|commit| git.tree_of(&commit))
        .transpose()?;
    let tree = match git.merge_trees(base.as_deref(), &git.tree_of(&main)?, &git.tree_of(&pull.head)?, None)? {
        MergedTree::Tree { tree, .. } => tree,
        MergedTree::Conflicts(paths) => {
            return Ok(Err(Refusal::NotMergeable {
                number: pull.number,
                paths,
            }));
        }
    };
    let trailers = trailers_of(&git.commit_info(&pull.head)?);
    let message = format!(
        "Merge pull request #{} from {}\n\n{}\n{trailers}",
        pull.number, pull.branch, pull.title
    );
    let commit = git.write_commit(&tree, &[&main, &pull.head], by, &message, now)?;
    if git.set_target(MAIN, Some(&main), &commit)? {
        Ok(Ok(commit))
    } else {
        Err(ForgeError::overtaken(MAIN))
    }
}

/// The engine's trailers on a commit, as the last paragraph of another message: so the base branch alone tells which
/// rollout, digest and ledger head each merge stands for.
pub(super) fn trailers_of(commit: &CommitInfo) -> String {
    let ours = |line: &&str| line.starts_with("Patchwave-") && line.contains(": ");
    let trailers: Vec<&str> = commit
        .message
        .lines()
        .filter(ours)
        .filter(|_| commit.is_engines())
        .collect();
    if trailers.is_empty() {
        String::new()
    } else {
        format!("\n{}\n", trailers.join("\n"))
    }
}

/// Refuses to open a pull request for what is not there or holds nothing new; gives the head otherwise.
pub(super) fn mergeable_head(git: &impl Plumbing, branch: &str) -> Result<Result<String, Refusal>, ForgeError> {
    let Some(head) = git.target(&checked_ref(branch)?)? else {
        return Ok(Err(Refusal::NoSuchBranch {
            branch: branch.to_owned(),
        }));
    };
    if git.is_ancestor(&head, &main_head(git)?)? {
        return Ok(Err(Refusal::NothingToMerge {
            branch: branch.to_owned(),
        }));
    }
    Ok(Ok(head))
}

/// The people who wrote or committed something: sorted, each once. Whoever commits what another wrote has a part in it.
pub(super) fn people_of(commits: &[CommitInfo]) -> Vec<String> {
    let signed = commits.iter().flat_map(|commit| [&commit.author, &commit.committer]);
    let people: BTreeSet<String> = signed.filter(|by| !by.is_engine()).map(|by| by.name.clone()).collect();
    people.into_iter().collect()
}

fn same_message(one: &str, other: &str) -> bool {
    let lines = |message: &str| -> Vec<String> {
        message
            .trim_end()
            .lines()
            .filter(|line| !line.starts_with(LEDGER_TRAILER))
            .map(str::to_owned)
            .collect()
    };
    lines(one) == lines(other)
}

/// The reference of an engine branch.
///
/// # Errors
/// Terminal for a name Git does not allow, or outside `patchwave/`, or the ledger's own.
fn checked_ref(branch: &str) -> Result<String, ForgeError> {
    let reference = branch_ref(branch);
    let ours = branch.starts_with("patchwave/") && reference != LEDGER && !reference.starts_with(&format!("{LEDGER}/"));
    if ours && git2::Reference::is_valid_name(&reference) {
        return Ok(reference);
    }
    Err(ForgeError::terminal(
        format!("{branch:?} is not a branch the engine may write: it writes patchwave/<rollout>/<wave> only"),
        "this is a fault of whoever made the name: check the names of the rollout and the wave",
    ))
}
