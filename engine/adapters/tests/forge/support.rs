//! What a test may do to a forge from outside: one interface over the local forge and the fake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository, Signature, Time};
use jiff::Timestamp;
use patchwave_adapters::forge::{FakeForge, Forge, LocalForge, People};
use patchwave_core::propose::ForgeOp;
use tempfile::TempDir;

pub const ROLLOUTS: &str = "rollouts";

/// The fixed time of a test, moved by whole minutes.
pub fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

pub fn files(list: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    list.iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect()
}

/// Both traits at once, for a trait object.
pub trait AnyForge: Forge + People {}
impl<F: Forge + People> AnyForge for F {}

/// A forge with a world around it.
pub trait Scene {
    fn forge(&self) -> &dyn AnyForge;
    /// A person pushes a commit to a branch.
    fn push(&self, branch: &str, by: &str, list: &[(&str, &str)]);
    /// The user commits in their repository.
    fn commit_outside(&self, minute: i64, list: &[(&str, &str)]) -> String;
    /// The user moves HEAD to a commit.
    fn move_outside(&self, commit: &str);
    /// Every reference (and, where there are files, the digest of every file) of the forge.
    fn snapshot(&self) -> BTreeMap<String, String>;
}

pub struct FakeScene(FakeForge);

impl FakeScene {
    pub fn new() -> Self {
        Self(FakeForge::new(ROLLOUTS))
    }
}

impl Scene for FakeScene {
    fn forge(&self) -> &dyn AnyForge {
        &self.0
    }
    fn push(&self, branch: &str, by: &str, list: &[(&str, &str)]) {
        self.0.push(branch, &files(list), by, at(0)).unwrap();
    }
    fn commit_outside(&self, minute: i64, list: &[(&str, &str)]) -> String {
        self.0.commit_outside(&files(list), at(minute)).unwrap()
    }
    fn move_outside(&self, commit: &str) {
        self.0.move_outside(Some(commit.to_owned()));
    }
    fn snapshot(&self) -> BTreeMap<String, String> {
        self.0.references()
    }
}

/// A work tree in a temporary folder with its local forge.
pub struct LocalScene {
    pub folder: TempDir,
    forge: LocalForge,
}

impl LocalScene {
    /// A repository with one commit, and the forge made beside it.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init(folder.path()).unwrap();
        commit(&repo, "HEAD", &files(&[("patchwave.yaml", "one\n")]), "user", at(0));
        let (forge, _) = LocalForge::open_or_create(folder.path(), ROLLOUTS, at(0)).unwrap();
        // A test survives no power cut: waiting for the disk would only slow it.
        std::fs::write(forge.path().join("patchwave.config"), "").unwrap();
        Self { folder, forge }
    }
    pub fn repo(&self) -> Repository {
        Repository::open(self.folder.path()).unwrap()
    }
    pub fn bare(&self) -> Repository {
        Repository::open_bare(self.forge.path()).unwrap()
    }
}

impl Scene for LocalScene {
    fn forge(&self) -> &dyn AnyForge {
        &self.forge
    }
    fn push(&self, branch: &str, by: &str, list: &[(&str, &str)]) {
        commit(&self.bare(), &format!("refs/heads/{branch}"), &files(list), by, at(0));
    }
    fn commit_outside(&self, minute: i64, list: &[(&str, &str)]) -> String {
        commit(&self.repo(), "HEAD", &files(list), "user", at(minute)).to_string()
    }
    fn move_outside(&self, commit: &str) {
        let repo = self.repo();
        let id = Oid::from_str(commit).unwrap();
        repo.reset(&repo.find_object(id, None).unwrap(), git2::ResetType::Soft, None)
            .unwrap();
    }
    fn snapshot(&self) -> BTreeMap<String, String> {
        let mut found = references(&self.bare());
        digest_files(self.forge.path(), &mut found);
        found
    }
}

/// Commits these files on top of a reference, by tree building: the work tree is not looked at.
pub fn commit(repo: &Repository, reference: &str, list: &BTreeMap<String, Vec<u8>>, by: &str, when: Timestamp) -> Oid {
    let by = Signature::new(by, &format!("{by}@example.org"), &Time::new(when.as_second(), 0)).unwrap();
    let parent = repo
        .refname_to_id(reference)
        .ok()
        .map(|id| repo.find_commit(id).unwrap());
    let mut index = git2::Index::new().unwrap();
    if let Some(parent) = &parent {
        index.read_tree(&parent.tree().unwrap()).unwrap();
    }
    for (path, bytes) in list {
        let time = git2::IndexTime::new(0, 0);
        index
            .add(&git2::IndexEntry {
                ctime: time,
                mtime: time,
                dev: 0,
                ino: 0,
                mode: 0o100_644,
                uid: 0,
                gid: 0,
                file_size: 0,
                id: repo.blob(bytes).unwrap(),
                flags: 0,
                flags_extended: 0,
                path: path.clone().into_bytes(),
            })
            .unwrap();
    }
    let tree = repo.find_tree(index.write_tree_to(repo).unwrap()).unwrap();
    let parents: Vec<_> = parent.iter().collect();
    repo.commit(Some(reference), &by, &by, "A person's change\n", &tree, &parents)
        .unwrap()
}

pub fn references(repo: &Repository) -> BTreeMap<String, String> {
    repo.references()
        .unwrap()
        .map(|reference| {
            let reference = reference.unwrap();
            (
                reference.name().unwrap().to_owned(),
                reference.target().unwrap().to_string(),
            )
        })
        .collect()
}

fn digest_files(folder: &Path, found: &mut BTreeMap<String, String>) {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for path in entries {
        if path.is_dir() {
            digest_files(&path, found);
        } else {
            let digest = patchwave_core::canonical::sha256_hex(&std::fs::read(&path).unwrap());
            found.insert(path.display().to_string(), digest);
        }
    }
}

/// What one scene answers to the steps of a random history, with ids replaced by their order of appearance: two stores
/// that keep the same rules answer the same.
#[derive(Default)]
pub struct Transcript {
    known: Vec<String>,
    pub text: String,
}

impl Transcript {
    pub fn say(&mut self, answer: &str) {
        let mut rest = answer;
        while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
            let (before, from) = rest.split_at(start);
            let length = from.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(from.len());
            let (run, after) = from.split_at(length);
            self.text.push_str(before);
            if length == 40 {
                let at = self.known.iter().position(|id| id == run).unwrap_or_else(|| {
                    self.known.push(run.to_owned());
                    self.known.len() - 1
                });
                self.text.push_str(&format!("#{at}"));
            } else {
                self.text.push_str(run);
            }
            rest = after;
        }
        self.text.push_str(rest);
        self.text.push('\n');
    }
}

pub fn put_branch(wave: &str, text: &str) -> ForgeOp {
    ForgeOp::PutBranch {
        branch: format!("patchwave/linux-2027-01-15/{wave}"),
        files: files(&[
            ("rollouts/linux-2027-01-15/plan.json", text),
            (&format!("rollouts/linux-2027-01-15/waves/{wave}/run.yml"), text),
        ]),
        replace_under: vec![format!("rollouts/linux-2027-01-15/waves/{wave}/")],
        message: format!("Propose {wave}\n\nPatchwave-Digest: {text}\nPatchwave-Ledger: 0000\n"),
    }
}

pub fn put_pull(wave: &str, title: &str) -> ForgeOp {
    ForgeOp::PutPullRequest {
        branch: format!("patchwave/linux-2027-01-15/{wave}"),
        title: title.to_owned(),
        body: "Body\n\n<!-- patchwave -->\n".to_owned(),
        labels: vec!["patchwave".to_owned()],
        reviewers: vec!["ops".to_owned()],
    }
}
