//! Pull requests of a forge that has none of its own: records in a commit, changed by pure transitions.
//!
//! A merge is a fact of Git first: if the process ended between the merge commit and the record, the record is read as
//! merged all the same ([`settle`]), and written at the next change.

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_core::canonical::canonical_json;
use patchwave_core::propose::{Approved, Comment, PullRequest, PullRequestState};
use serde::{Deserialize, Serialize};

use super::branches::people_of;
use super::plumbing::{Author, Edit, MAIN, Plumbing, RECORDS, read_files};
use super::{Applied, ForgeError, Refusal};

/// Version of the record files.
const FORMAT_VERSION: &str = "1.0";
const DASHBOARD_FILE: &str = "dashboard.md";
const PULLS_FOLDER: &str = "pulls";

/// One record file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordFile {
    format_version: String,
    pull_request: PullRequest,
}

/// All records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) pulls: BTreeMap<u64, PullRequest>,
    pub(super) dashboard: Option<String>,
}

/// What a transition did: which pull request it changed, or that nothing had to change.
pub(super) enum Change {
    Pull(u64),
    Dashboard,
    None,
}

/// What is wanted of a pull request.
pub(super) struct Wanted<'a> {
    pub(super) branch: &'a str,
    pub(super) title: &'a str,
    pub(super) body: &'a str,
    pub(super) labels: &'a [String],
    pub(super) reviewers: &'a [String],
}

impl Records {
    /// Opens a pull request for a branch, or brings the open one in line.
    pub(super) fn put_pull(&mut self, wanted: &Wanted<'_>, author: &str, head: &str, now: Timestamp) -> Change {
        let Wanted {
            branch,
            title,
            body,
            labels,
            reviewers,
        } = *wanted;
        let open = |pull: &&mut PullRequest| pull.branch == branch && pull.state == PullRequestState::Open;
        if let Some(pull) = self.pulls.values_mut().find(open) {
            let same = pull.title == title && pull.body == body && pull.labels == labels && pull.reviewers == reviewers;
            if same {
                return Change::None;
            }
            pull.title = title.to_owned();
            pull.body = body.to_owned();
            pull.labels = labels.to_vec();
            pull.reviewers = reviewers.to_vec();
            head.clone_into(&mut pull.head);
            return Change::Pull(pull.number);
        }
        let number = self.pulls.last_key_value().map_or(1, |(last, _)| last + 1);
        let pull = PullRequest {
            number,
            branch: branch.to_owned(),
            title: title.to_owned(),
            body: body.to_owned(),
            labels: labels.to_vec(),
            reviewers: reviewers.to_vec(),
            author: author.to_owned(),
            state: PullRequestState::Open,
            head: head.to_owned(),
            committers: Vec::new(),
            committers_unknown: None,
            opened_at: now,
            approvals: Vec::new(),
            ended_at: None,
            ended_by: None,
            merge_commit: None,
            comments: Vec::new(),
            files: BTreeMap::new(),
        };
        self.pulls.insert(number, pull);
        Change::Pull(number)
    }

    /// Comments once: the comment that carries the marker line is edited in place.
    pub(super) fn put_comment(
        &mut self,
        number: u64,
        marker: &str,
        body: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Change, Refusal> {
        let pull = self.find(number)?;
        let text = format!("{}\n\n{marker}", body.trim_end());
        let marked = |comment: &&mut Comment| comment.by == by && comment.body.lines().any(|line| line == marker);
        match pull.comments.iter_mut().find(marked) {
            Some(comment) if comment.body == text => return Ok(Change::None),
            Some(comment) => comment.body = text,
            None => pull.comments.push(Comment {
                by: by.to_owned(),
                at: now,
                body: text,
            }),
        }
        Ok(Change::Pull(number))
    }

    /// Closes an open pull request; a closed one stays as it is.
    pub(super) fn close(
        &mut self,
        number: u64,
        by: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Change, Refusal> {
        let pull = self.find(number)?;
        match pull.state {
            PullRequestState::Closed => return Ok(Change::None),
            PullRequestState::Merged => return Err(not_open(pull)),
            PullRequestState::Open => {}
        }
        if let Some(reason) = reason {
            pull.comments.push(Comment {
                by: by.to_owned(),
                at: now,
                body: reason.to_owned(),
            });
        }
        pull.state = PullRequestState::Closed;
        pull.ended_at = Some(now);
        pull.ended_by = Some(by.to_owned());
        Ok(Change::Pull(number))
    }

    /// Records an approval of the current head; the same person's second approval of the same head changes nothing.
    pub(super) fn approve(&mut self, number: u64, by: &str, now: Timestamp) -> Result<Change, Refusal> {
        // A merge that went past its approvals can be made good: what was merged waits for the rest of them.
        let pull = self.find(number)?;
        if pull.state == PullRequestState::Closed {
            return Err(not_open(pull));
        }
        if pull
            .approvals
            .iter()
            .any(|approved| approved.by == by && approved.head == pull.head)
        {
            return Ok(Change::None);
        }
        pull.approvals.push(Approved {
            by: by.to_owned(),
            at: now,
            head: pull.head.clone(),
        });
        Ok(Change::Pull(number))
    }

    /// The pull request, if it is open.
    pub(super) fn open(&mut self, number: u64) -> Result<&mut PullRequest, Refusal> {
        let pull = self.find(number)?;
        if pull.state == PullRequestState::Open {
            Ok(pull)
        } else {
            Err(not_open(pull))
        }
    }

    /// The pull request.
    pub(super) fn find(&mut self, number: u64) -> Result<&mut PullRequest, Refusal> {
        self.pulls.get_mut(&number).ok_or(Refusal::NoSuchPullRequest { number })
    }
}

fn not_open(pull: &PullRequest) -> Refusal {
    let state = match pull.state {
        PullRequestState::Merged => "merged",
        PullRequestState::Closed => "closed",
        PullRequestState::Open => "open",
    };
    Refusal::NotOpen {
        number: pull.number,
        state,
    }
}

/// The reference of a branch.
pub(super) fn branch_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// Reads the records as they stand now: open pull requests with the head their branch has, and merged if Git says so.
pub(super) fn load(git: &impl Plumbing) -> Result<Records, ForgeError> {
    let at = git.target(RECORDS)?;
    let mut records = Records::default();
    for (path, bytes) in read_files(git, at.as_deref(), "")? {
        if path == DASHBOARD_FILE {
            records.dashboard = Some(String::from_utf8_lossy(&bytes).into_owned());
        } else if path.starts_with(PULLS_FOLDER) {
            let pull = read_record(&path, &bytes)?;
            records.pulls.insert(pull.number, pull);
        }
    }
    let main = git.target(MAIN)?;
    for pull in records
        .pulls
        .values_mut()
        .filter(|pull| pull.state == PullRequestState::Open)
    {
        if let Some(head) = git.target(&branch_ref(&pull.branch))? {
            pull.head = head;
        }
        if let Some(main) = &main {
            settle(git, main, pull)?;
        }
    }
    Ok(records)
}

/// Brings an open pull request in line with Git: whose commits its branch carries, and whether it is merged already.
fn settle(git: &impl Plumbing, main: &str, pull: &mut PullRequest) -> Result<(), ForgeError> {
    if !git.is_ancestor(&pull.head, main)? {
        pull.committers = people_of(&git.commits_between(main, &pull.head)?);
        return Ok(());
    }
    let merge = merge_commit_of(git, main, &pull.head)?;
    pull.state = PullRequestState::Merged;
    pull.ended_at = Some(merge.at);
    pull.ended_by = Some(merge.author.name.clone());
    if let Some(before) = merge.parents.first().filter(|_| merge.id != pull.head) {
        pull.committers = people_of(&git.commits_between(before, &pull.head)?);
    }
    pull.merge_commit = Some(merge.id);
    Ok(())
}

/// The commit that brought `head` into the base branch: the merge that has it for a parent, or itself if the branch was
/// fast-forwarded by hand.
fn merge_commit_of(git: &impl Plumbing, main: &str, head: &str) -> Result<super::plumbing::CommitInfo, ForgeError> {
    let mut at = git.commit_info(main)?;
    loop {
        if at.id == head || at.parents.iter().skip(1).any(|parent| parent == head) {
            return Ok(at);
        }
        match at.parents.first() {
            Some(parent) => at = git.commit_info(parent)?,
            None => return git.commit_info(head),
        }
    }
}

/// Loads, changes and stores the records: one reference update, or none if nothing changed.
pub(super) fn change(
    git: &impl Plumbing,
    now: Timestamp,
    what: &str,
    transition: impl FnOnce(&mut Records) -> Result<Change, Refusal>,
) -> Result<Applied, ForgeError> {
    let at = git.target(RECORDS)?;
    let mut records = load(git)?;
    let number = match transition(&mut records) {
        Err(refusal) => return Ok(Applied::Refused(refusal)),
        Ok(Change::None) => return Ok(Applied::Unchanged),
        Ok(Change::Pull(number)) => Some(number),
        Ok(Change::Dashboard) => None,
    };
    store(git, at.as_deref(), &records, what, now)?;
    Ok(Applied::Done { number, commit: None })
}

fn store(
    git: &impl Plumbing,
    at: Option<&str>,
    records: &Records,
    what: &str,
    now: Timestamp,
) -> Result<(), ForgeError> {
    let mut files = BTreeMap::new();
    if let Some(dashboard) = &records.dashboard {
        files.insert(DASHBOARD_FILE.to_owned(), dashboard.clone().into_bytes());
    }
    for (number, pull) in &records.pulls {
        let record = RecordFile {
            format_version: FORMAT_VERSION.to_owned(),
            pull_request: pull.clone(),
        };
        let mut bytes = canonical_json(&record).map_err(|e| {
            ForgeError::terminal(
                format!("pull request {number} cannot be recorded: {e}"),
                "report this as a fault of patchwave",
            )
        })?;
        bytes.push(b'\n');
        files.insert(format!("{PULLS_FOLDER}/{number:06}.json"), bytes);
    }
    let mut edit = Edit {
        replace: true,
        ..Edit::default()
    };
    for (path, bytes) in &files {
        edit.put(path, bytes)?;
    }
    let tree = git.write_tree(None, &edit)?;
    let parents: Vec<&str> = at.into_iter().collect();
    let commit = git.write_commit(&tree, &parents, &Author::engine(), what, now)?;
    if git.set_target(RECORDS, at, &commit)? {
        Ok(())
    } else {
        Err(ForgeError::overtaken(RECORDS))
    }
}

fn read_record(path: &str, bytes: &[u8]) -> Result<PullRequest, ForgeError> {
    /// Read first, because a newer format may differ in every other field.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned {
        format_version: String,
    }
    let fault =
        |why: String, help: &str| ForgeError::terminal(format!("{path} on {RECORDS} cannot be read: {why}"), help);
    let damaged =
        "the local forge was changed by something else; look at its history with git log -p refs/patchwave/forge";
    let version: Versioned = serde_json::from_slice(bytes).map_err(|e| fault(e.to_string(), damaged))?;
    if version.format_version.split('.').next() != FORMAT_VERSION.split('.').next() {
        let why = format!(
            "it has format {}, and this engine reads {FORMAT_VERSION}",
            version.format_version
        );
        return Err(fault(why, "use the version of patchwave that wrote it, or a newer one"));
    }
    let record: RecordFile = serde_json::from_slice(bytes).map_err(|e| fault(e.to_string(), damaged))?;
    Ok(record.pull_request)
}
