//! What a repository of the double holds: Git, issues, pull requests, and what it was asked.

use std::collections::{BTreeMap, BTreeSet};

use git2::{Oid, Repository, Signature, Time};
use jiff::Timestamp;
use tempfile::TempDir;

use super::TOKEN;
use super::git_http;
use super::trouble::Trouble;

#[derive(Clone, Debug)]
pub struct Issue {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub user: String,
    pub labels: BTreeSet<String>,
    pub open: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub closed: Option<(Timestamp, String)>,
    pub comments: Vec<Comment>,
    pub pull: Option<Pull>,
}

#[derive(Clone, Debug)]
pub struct Comment {
    pub id: u64,
    pub user: String,
    pub body: String,
    pub created: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Pull {
    pub branch: String,
    pub base: String,
    /// Head at the time it ended; while it is open the branch tells.
    pub head: String,
    /// Where the base branch was when it ended.
    pub base_sha: String,
    pub merged: Option<(Timestamp, String, String)>,
    pub users: BTreeSet<String>,
    pub teams: BTreeSet<String>,
    pub reviews: Vec<Review>,
}

#[derive(Clone, Debug)]
pub struct Review {
    pub user: String,
    pub state: &'static str,
    /// Withdrawn by somebody who may write: GitHub gives it another state, Gitea says it beside the state.
    pub dismissed: bool,
    pub commit: String,
    pub at: Timestamp,
}

/// What replicas that lag behind still show.
#[derive(Clone, Debug)]
pub struct Past {
    pub issues: BTreeMap<u64, Issue>,
    pub refs: BTreeMap<String, String>,
}

/// Which listings of trees break off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncates {
    Nothing,
    Recursive,
    Everything,
}

pub struct Repo {
    pub full_name: String,
    pub folder: TempDir,
    pub clock: Timestamp,
    pub issues: BTreeMap<u64, Issue>,
    /// Commit and what was posted on it, in order.
    pub statuses: Vec<(String, serde_json::Value)>,
    /// Names of the labels there are; the id of one is its place, from 1 on. Only Gitea asks for them.
    pub labels: Vec<String>,
    /// People whose review Gitea does not count.
    pub outsiders: BTreeSet<String>,
    /// Tokens of an App's installation that asked for something here, in order; and those that are taken back.
    pub lent: Vec<String>,
    pub revoked: BTreeSet<String>,
    /// Method and path with query of every request, in order.
    pub log: Vec<(String, String)>,
    pub troubles: Vec<Trouble>,
    /// Entries on a page, whatever is asked for.
    pub page_size: Option<usize>,
    /// So many reads after each write still show what was before it.
    pub stale_reads: u32,
    /// It knows no conditional mutation of references.
    pub old_server: bool,
    /// Trees are too large for one answer: read with everything below them, and read alone.
    pub truncates: Truncates,
    /// It stores other bytes than it is sent.
    pub garbles: bool,
    /// What GitHub says of whether an open pull request can be merged.
    pub mergeable_state: &'static str,
    pub past: Option<(u32, Past)>,
    next_id: u64,
}

impl Repo {
    pub(super) fn new(full_name: &str, files: &BTreeMap<String, Vec<u8>>, now: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Repository::init_bare(folder.path())
            .unwrap()
            .set_head("refs/heads/main")
            .unwrap();
        let mut repo = Self {
            full_name: full_name.to_owned(),
            folder,
            clock: now,
            issues: BTreeMap::new(),
            statuses: Vec::new(),
            labels: Vec::new(),
            outsiders: BTreeSet::new(),
            lent: Vec::new(),
            revoked: BTreeSet::new(),
            log: Vec::new(),
            troubles: Vec::new(),
            page_size: None,
            stale_reads: 0,
            old_server: false,
            truncates: Truncates::Nothing,
            garbles: false,
            mergeable_state: "clean",
            past: None,
            next_id: 1,
        };
        if !files.is_empty() {
            repo.push("main", files, "user");
        }
        repo
    }

    pub fn git(&self) -> Repository {
        Repository::open_bare(self.folder.path()).unwrap()
    }

    /// Whether its people, or whoever clones it, could read the token.
    pub fn tells_the_token(&self) -> bool {
        let said = format!("{:?} {:?} {:?}", self.issues, self.statuses, self.log);
        let (git, mut found) = (self.git(), said.contains(TOKEN));
        let odb = git.odb().unwrap();
        odb.foreach(|id| {
            let object = odb.read(*id).unwrap();
            found |= object.data().windows(TOKEN.len()).any(|w| w == TOKEN.as_bytes());
            !found
        })
        .unwrap();
        found
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn refs(&self) -> BTreeMap<String, String> {
        let git = self.git();
        let refs = git.references().unwrap().map(|reference| {
            let reference = reference.unwrap();
            let target = reference.target().unwrap().to_string();
            (reference.name().unwrap().to_owned(), target)
        });
        refs.collect()
    }

    pub fn head_of(&self, branch: &str) -> Option<String> {
        let git = self.git();
        let id = git.refname_to_id(&format!("refs/heads/{branch}")).ok();
        id.map(|id| id.to_string())
    }

    /// The head of a pull request: of its branch while it is open, as it ended afterwards.
    pub(super) fn pull_head(&self, issue: &Issue) -> String {
        let pull = issue.pull.as_ref().unwrap();
        self.head_of(&pull.branch)
            .filter(|_| issue.open)
            .unwrap_or_else(|| pull.head.clone())
    }

    /// Writing requests so far.
    pub fn writes(&self) -> Vec<&(String, String)> {
        let wrote = |(method, target): &&(String, String)| method != "GET" && git_http::writes(target);
        self.log.iter().filter(wrote).collect()
    }

    /// A person (or another tool) commits these files on top of a branch.
    pub fn push(&mut self, branch: &str, files: &BTreeMap<String, Vec<u8>>, by: &str) -> String {
        // Nobody's name in Git is the name of the account.
        self.push_signed(branch, files, &format!("{by} at work"), &format!("{by}@example.org"))
    }

    /// The same with this name and address in the commit: accounts have the addresses at `example.org`.
    pub fn push_signed(
        &mut self,
        branch: &str,
        files: &BTreeMap<String, Vec<u8>>,
        name: &str,
        address: &str,
    ) -> String {
        let git = self.git();
        let by = Signature::new(name, address, &Time::new(self.clock.as_second(), 0)).unwrap();
        let reference = format!("refs/heads/{branch}");
        let parent = git
            .refname_to_id(&reference)
            .ok()
            .map(|id| git.find_commit(id).unwrap());
        let mut tree = parent.as_ref().map(|parent| parent.tree_id());
        for (path, bytes) in files {
            let blob = git.blob(bytes).unwrap();
            let base = tree.map(|id| git.find_tree(id).unwrap());
            tree = Some(with_path(&git, base.as_ref(), path, Some(blob)).unwrap());
        }
        let tree = git.find_tree(tree.unwrap()).unwrap();
        let parents: Vec<_> = parent.iter().collect();
        let id = git
            .commit(Some(&reference), &by, &by, "A person's change\n", &tree, &parents)
            .unwrap();
        self.touched(branch);
        id.to_string()
    }

    /// A branch moved, so the open pull request of it changed.
    pub(super) fn touched(&mut self, branch: &str) {
        let now = self.clock;
        for issue in self.issues.values_mut().filter(|issue| issue.open) {
            if issue.pull.as_ref().is_some_and(|pull| pull.branch == branch) {
                issue.updated = now;
            }
        }
    }

    /// A person reviews the head there is.
    pub fn review(&mut self, number: u64, by: &str, state: &'static str) {
        let head = self.pull_head(&self.issues[&number]);
        let at = self.clock;
        let issue = self.issues.get_mut(&number).unwrap();
        issue.updated = at;
        let pull = issue.pull.as_mut().unwrap();
        pull.users.remove(by);
        pull.reviews.push(Review {
            user: by.to_owned(),
            state,
            dismissed: false,
            commit: head,
            at,
        });
    }

    /// Somebody who may write dismisses the last review of a person.
    pub fn dismiss(&mut self, number: u64, of: &str) {
        let at = self.clock;
        let issue = self.issues.get_mut(&number).unwrap();
        issue.updated = at;
        let reviews = &mut issue.pull.as_mut().unwrap().reviews;
        let last = reviews.iter_mut().rev().find(|review| review.user == of);
        last.unwrap().dismissed = true;
    }

    pub fn close(&mut self, number: u64, by: &str) {
        let (head, at) = (self.pull_head_if_any(number), self.clock);
        let base = self.head_of("main").unwrap();
        let issue = self.issues.get_mut(&number).unwrap();
        issue.open = false;
        issue.updated = at;
        issue.closed = Some((at, by.to_owned()));
        if let (Some(pull), Some(head)) = (&mut issue.pull, head) {
            pull.head = head;
            pull.base_sha = base;
        }
    }

    /// What GitHub says of whether a pull request can be merged: what it is told to, and that it conflicts where it does.
    pub(super) fn mergeable_state(&self, issue: &Issue) -> &'static str {
        let pull = issue.pull.as_ref().unwrap();
        if !issue.open || self.mergeable_state != "clean" {
            return self.mergeable_state;
        }
        let git = self.git();
        let commit = |id: &str| git.find_commit(Oid::from_str(id).unwrap()).unwrap();
        let (ours, theirs) = (
            commit(&self.head_of(&pull.base).unwrap()),
            commit(&self.pull_head(issue)),
        );
        let merged = git.merge_commits(&ours, &theirs, None).unwrap();
        if merged.has_conflicts() { "dirty" } else { "clean" }
    }

    fn pull_head_if_any(&self, number: u64) -> Option<String> {
        let issue = &self.issues[&number];
        issue.pull.as_ref().map(|_| self.pull_head(issue))
    }

    /// Merges with a merge commit; the error side holds the paths in conflict.
    pub fn merge(&mut self, number: u64, by: &str, message: &str) -> Result<String, Vec<String>> {
        let head = self.pull_head(&self.issues[&number]);
        let base_name = self.issues[&number].pull.as_ref().unwrap().base.clone();
        let git = self.git();
        let reference = format!("refs/heads/{base_name}");
        let base = git.find_commit(git.refname_to_id(&reference).unwrap()).unwrap();
        let theirs = git.find_commit(Oid::from_str(&head).unwrap()).unwrap();
        let mut index = git.merge_commits(&base, &theirs, None).unwrap();
        if index.has_conflicts() {
            let mut paths: Vec<String> = index
                .conflicts()
                .unwrap()
                .map(|conflict| conflict.unwrap())
                .filter_map(|conflict| conflict.our.or(conflict.their).or(conflict.ancestor))
                .map(|entry| String::from_utf8(entry.path).unwrap())
                .collect();
            paths.sort();
            return Err(paths);
        }
        let tree = git.find_tree(index.write_tree_to(&git).unwrap()).unwrap();
        let who = Signature::new(by, &format!("{by}@example.org"), &Time::new(self.clock.as_second(), 0)).unwrap();
        let commit = git
            .commit(Some(&reference), &who, &who, message, &tree, &[&base, &theirs])
            .unwrap()
            .to_string();
        self.close(number, by);
        let at = self.clock;
        let issue = self.issues.get_mut(&number).unwrap();
        let pull = issue.pull.as_mut().unwrap();
        pull.base_sha = base.id().to_string();
        pull.merged = Some((at, by.to_owned(), commit.clone()));
        Ok(commit)
    }

    pub(super) fn present(&self) -> Past {
        Past {
            issues: self.issues.clone(),
            refs: self.refs(),
        }
    }
}

/// A tree with one path set or removed.
pub(super) fn with_path(
    git: &Repository,
    base: Option<&git2::Tree<'_>>,
    path: &str,
    blob: Option<Oid>,
) -> Result<Oid, git2::Error> {
    let mut builder = git.treebuilder(base)?;
    match path.split_once('/') {
        None => match blob {
            Some(blob) => {
                builder.insert(path, blob, 0o100_644)?;
            }
            None => builder.remove(path)?,
        },
        Some((folder, rest)) => {
            let below = base
                .and_then(|tree| tree.get_name(folder))
                .filter(|entry| entry.kind() == Some(git2::ObjectType::Tree))
                .map(|entry| git.find_tree(entry.id()))
                .transpose()?;
            let below = with_path(git, below.as_ref(), rest, blob)?;
            if git.find_tree(below)?.is_empty() {
                builder.remove(folder)?;
            } else {
                builder.insert(folder, below, 0o040_000)?;
            }
        }
    }
    builder.write()
}
