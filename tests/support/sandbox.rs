//! One repository in a temporary folder, and the binary run in it with nothing of the machine around it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git2::{IndexAddOption, Repository, Signature, Time};
use serde_json::Value;
use tempfile::TempDir;

use super::planted;
use super::world::World;

/// Root of the repository of patchwave itself.
pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a command said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// The output as JSON: nothing else may stand on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("not JSON ({e}):\n{}\n{}", self.out, self.err))
    }

    /// The same, when the command ended as it should.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }
}

/// Runs the binary in `folder` with an empty environment.
pub fn pw(folder: &Path, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwave"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads no input may be gone before it is given any.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    for words in arguments
        .iter()
        .map(|word| word.as_bytes())
        .chain([&output.stdout[..], &output.stderr])
    {
        assert!(!planted::is_in(words), "a secret was told by patchwave {arguments:?}");
    }
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// One repository, one instant, and a transcript of what was played.
pub struct Sandbox {
    folder: TempDir,
    now: String,
    transcript: String,
}

/// A sandbox at rest: folders and files by path below its root.
#[derive(Debug, Default)]
pub struct Saved {
    now: String,
    transcript: String,
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Saved {
    /// A new sandbox in the same state.
    pub fn restore(&self) -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        for path in &self.folders {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for (path, bytes) in &self.files {
            std::fs::write(folder.path().join(path), bytes).unwrap();
        }
        Sandbox {
            folder,
            now: self.now.clone(),
            transcript: self.transcript.clone(),
        }
    }
}

fn gather(root: &Path, below: &Path, saved: &mut Saved) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            saved.folders.push(path.clone());
            gather(root, &path, saved);
        } else {
            saved.files.insert(path, std::fs::read(entry.path()).unwrap());
        }
    }
}

/// What one reconcile did and said.
#[derive(Clone, Debug)]
pub struct Run {
    /// Lines of what was done.
    pub done: Vec<String>,
    /// `subject: message` of what holds things back.
    pub waits: Vec<String>,
    /// Reference updates.
    pub writes: u64,
    /// Diagnostics.
    pub err: String,
}

impl Run {
    /// One of the things done contains `text`.
    #[track_caller]
    pub fn did(&self, text: &str) -> &Self {
        assert!(
            self.done.iter().any(|l| l.contains(text)),
            "nothing done says `{text}`: {self:#?}"
        );
        self
    }

    /// None of the things done contains `text`.
    #[track_caller]
    pub fn did_not(&self, text: &str) -> &Self {
        assert!(
            !self.done.iter().any(|l| l.contains(text)),
            "`{text}` was done: {self:#?}"
        );
        self
    }

    /// One of the reasons to wait contains `text`.
    #[track_caller]
    pub fn waits_for(&self, text: &str) -> &Self {
        assert!(
            self.waits.iter().any(|l| l.contains(text)),
            "nothing waits for `{text}`: {self:#?}"
        );
        self
    }

    /// Nothing was done and nothing written.
    #[track_caller]
    pub fn quiet(&self) -> &Self {
        assert!(
            self.done.is_empty() && self.writes == 0,
            "there was something to do: {self:#?}"
        );
        self
    }
}

impl Drop for Sandbox {
    /// Whatever was played, no secret of it stays in a file, a setting or an object.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(planted::places(self.folder.path()), Vec::<String>::new());
        }
    }
}

impl Sandbox {
    /// The small estate of the scenarios: tests, staging and production of seven machines with one open advisory.
    pub fn estate() -> Self {
        Self::copy_of(
            &home().join("tests/scenarios/estate"),
            &["patchwave.yaml", "policies", "fleets"],
        )
    }

    /// The example that ships with patchwave.
    pub fn shipped() -> Self {
        Self::copy_of(&home(), &["patchwave.yaml", "policies", "fleets", "templates"])
    }

    /// An empty folder.
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            now: "2026-11-20T12:00:00Z".into(),
            transcript: String::new(),
        }
    }

    /// Keeps everything as it is now.
    pub fn save(&self) -> Saved {
        let mut saved = Saved {
            now: self.now.clone(),
            transcript: self.transcript.clone(),
            ..Saved::default()
        };
        gather(self.path(), Path::new(""), &mut saved);
        saved
    }

    fn copy_of(from: &Path, entries: &[&str]) -> Self {
        let sandbox = Self::empty();
        for entry in entries {
            let path = from.join(entry);
            if path.exists() {
                copy(&path, &sandbox.path().join(entry));
            }
        }
        sandbox.commit("The estate as it is");
        sandbox
    }

    /// Root of the repository.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sets the clock.
    pub fn at(&mut self, now: &str) -> &mut Self {
        self.now = now.to_owned();
        self
    }

    /// The machines.
    pub fn world(&self) -> World {
        World::new(&self.path().join("fleets/observed"))
    }

    /// Runs a command at the instant.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(&[], arguments)
    }

    /// The same with variables of the environment.
    pub fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
        let mut all = vec!["--now", &self.now];
        all.extend_from_slice(arguments);
        pw(self.path(), &all, "", environment)
    }

    /// Runs a command at another instant.
    pub fn run_at(&self, now: &str, arguments: &[&str]) -> Said {
        let mut all = vec!["--now", now];
        all.extend_from_slice(arguments);
        pw(self.path(), &all, "", &[])
    }

    /// Runs a command that a person types, and keeps it in the transcript.
    pub fn does(&mut self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        self.transcript
            .push_str(&format!("{} $ patchwave {}\n", self.now, arguments.join(" ")));
        for line in said.out.lines() {
            self.transcript.push_str(&format!("  {line}\n"));
        }
        if said.code != 0 {
            self.transcript.push_str(&format!("  exit {}\n", said.code));
        }
        said
    }

    /// Reconciles once; every source must be readable.
    #[track_caller]
    pub fn reconcile(&mut self) -> Run {
        self.reconcile_exits(0)
    }

    /// Reconciles once, with the exit code it must have.
    #[track_caller]
    pub fn reconcile_exits(&mut self, code: i32) -> Run {
        let said = self.run(&["reconcile", "--once", "--format", "json"]).exits(code);
        let value = said.json();
        let lines = |v: &Value| {
            v.as_array()
                .unwrap()
                .iter()
                .map(|l| l.as_str().unwrap().to_owned())
                .collect()
        };
        let waits: Vec<String> = value["waits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| format!("{}: {}", w["subject"].as_str().unwrap(), w["message"].as_str().unwrap()))
            .collect();
        let run = Run {
            done: lines(&value["done"]),
            waits,
            writes: value["writes"].as_u64().unwrap(),
            err: said.err,
        };
        self.transcript
            .push_str(&format!("{} $ patchwave reconcile --once\n", self.now));
        for line in &run.done {
            self.transcript.push_str(&format!("  did    {line}\n"));
        }
        for line in &run.waits {
            self.transcript.push_str(&format!("  waits  {line}\n"));
        }
        run
    }

    /// Everything played so far.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// The pull requests.
    pub fn pull_requests(&self) -> Vec<Value> {
        self.run(&["-q", "forge", "list", "--format", "json"])
            .exits(0)
            .json()
            .as_array()
            .unwrap()
            .clone()
    }

    /// The newest pull request of a wave, or to `resume`.
    #[track_caller]
    pub fn pull_request(&self, wave: &str) -> Value {
        let all = self.pull_requests();
        let found = all.iter().rev().find(|p| {
            let asked = p["branch"].as_str().unwrap().rsplit('/').next().unwrap();
            asked == wave || asked.starts_with(&format!("{wave}."))
        });
        found
            .cloned()
            .unwrap_or_else(|| panic!("no pull request of {wave}: {all:#?}"))
    }

    /// Merges the newest pull request of a wave, with the approvals it needs.
    #[track_caller]
    pub fn merge(&mut self, wave: &str) {
        let number = self.pull_request(wave)["number"].to_string();
        self.does(&["-q", "forge", "merge", &number]).exits(0);
    }

    /// The rollout there is; there must be one.
    #[track_caller]
    pub fn rollout(&self) -> String {
        let branch = self.pull_requests().first().expect("a pull request")["branch"]
            .as_str()
            .unwrap()
            .to_owned();
        branch.split('/').nth(1).unwrap().to_owned()
    }

    /// The frozen `plan.json` of a rollout: merged, else of its newest branch.
    #[track_caller]
    pub fn frozen(&self, rollout: &str) -> Value {
        let path = format!("rollouts/{rollout}/plan.json");
        let branches = self.pull_requests();
        let proposed = branches
            .iter()
            .rev()
            .map(|p| format!("refs/heads/{}", p["branch"].as_str().unwrap()));
        let mut places = vec!["refs/heads/main".to_owned()];
        places.extend(proposed);
        let bytes = places
            .iter()
            .find_map(|r| self.forge_file(r, &path))
            .expect("plan.json");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The forge's own repository.
    pub fn forge(&self) -> Repository {
        Repository::open(self.path().join(".patchwave/forge.git")).unwrap()
    }

    /// A file at a reference of the forge.
    pub fn forge_file(&self, reference: &str, path: &str) -> Option<Vec<u8>> {
        let forge = self.forge();
        let tree = forge.find_reference(reference).ok()?.peel_to_tree().ok()?;
        let entry = tree.get_path(Path::new(path)).ok()?;
        let blob = entry.to_object(&forge).ok()?.peel_to_blob().ok()?;
        Some(blob.content().to_vec())
    }

    /// Every reference of the forge with what it points at.
    pub fn refs(&self) -> BTreeMap<String, String> {
        let forge = self.forge();
        let references = forge.references().unwrap().map(|r| r.unwrap());
        references
            .map(|r| {
                (
                    r.name().unwrap().to_owned(),
                    r.target().map_or_else(String::new, |t| t.to_string()),
                )
            })
            .collect()
    }

    /// The ledger lines of a file (without `.ndjson`).
    pub fn ledger(&self, file: &str) -> Vec<Value> {
        let bytes = self
            .forge_file("refs/heads/patchwave/ledger", &format!("{file}.ndjson"))
            .unwrap_or_default();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }

    /// The batches that were ever released, as `wave/batch`, in order.
    pub fn released(&self, rollout: &str) -> Vec<String> {
        let lines = self.ledger(rollout);
        let released = lines.iter().filter(|l| l["event"] == "released");
        released
            .map(|l| {
                format!(
                    "{}/{}",
                    l["data"]["wave"].as_str().unwrap(),
                    l["data"]["batch"].as_str().unwrap()
                )
            })
            .collect()
    }

    /// The moves of the waves, as `wave:moved`, in order.
    pub fn moves(&self, rollout: &str) -> Vec<String> {
        let lines = self.ledger(rollout);
        let moved = lines.iter().filter(|l| l["event"] == "wave");
        moved
            .map(|l| {
                format!(
                    "{}:{}",
                    l["data"]["wave"].as_str().unwrap(),
                    l["data"]["moved"].as_str().unwrap()
                )
            })
            .collect()
    }

    /// The ledger and all that was merged can be believed.
    #[track_caller]
    pub fn audited(&self) {
        self.audited_at(&self.now);
    }

    /// The same, at another instant.
    #[track_caller]
    pub fn audited_at(&self, now: &str) {
        self.run_at(now, &["-q", "audit", "verify"]).exits(0);
    }

    /// A person commits files on a branch of the forge.
    pub fn push(&self, branch: &str, by: &str, files: &[(&str, &str)]) {
        let forge = self.forge();
        let reference = format!("refs/heads/{branch}");
        let parent = forge.find_reference(&reference).unwrap().peel_to_commit().unwrap();
        let mut index = git2::Index::new().unwrap();
        index.read_tree(&parent.tree().unwrap()).unwrap();
        for (path, text) in files {
            let id = forge.blob(text.as_bytes()).unwrap();
            index.add(&entry(path, id)).unwrap();
        }
        let tree = forge.find_tree(index.write_tree_to(&forge).unwrap()).unwrap();
        let person = Signature::new(by, &format!("{by}@example.invalid"), &Time::new(1_795_000_000, 0)).unwrap();
        forge
            .commit(
                Some(&reference),
                &person,
                &person,
                "Change it by hand",
                &tree,
                &[&parent],
            )
            .unwrap();
    }

    /// The same for files of one rollout, with its `SHA256SUMS` brought in line: what a careful person does.
    pub fn push_listed(&self, branch: &str, by: &str, rollout: &str, files: &[(&str, &str)]) {
        let folder = format!("rollouts/{rollout}/");
        let sums = format!("{folder}SHA256SUMS");
        let listed = self.forge_file(&format!("refs/heads/{branch}"), &sums).unwrap();
        let mut listed = String::from_utf8(listed).unwrap();
        for (path, text) in files {
            let name = path.strip_prefix(&folder).unwrap();
            let line = listed
                .lines()
                .find(|line| line.ends_with(&format!("  {name}")))
                .unwrap()
                .to_owned();
            let digest = patchwave_core::canonical::sha256_hex(text.as_bytes());
            listed = listed.replace(&line, &format!("{digest}  {name}"));
        }
        let mut all = files.to_vec();
        all.push((&sums, &listed));
        self.push(branch, by, &all);
    }

    /// Replaces text in a file of the work tree and commits it.
    #[track_caller]
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        self.type_in(file, from, to);
        self.commit("Edit");
    }

    /// Replaces text in a file of the work tree, as a person does before a commit.
    #[track_caller]
    pub fn type_in(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    }

    /// Writes a file of the work tree and commits it.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.commit("Write");
    }

    /// Commits the work tree as the fixed user, at a fixed time.
    pub fn commit(&self, message: &str) {
        let repository = Repository::init(self.path()).unwrap();
        let mut index = repository.index().unwrap();
        index
            .add_all(
                ["patchwave.yaml", "policies", "fleets", "templates"],
                IndexAddOption::DEFAULT,
                None,
            )
            .unwrap();
        index.update_all(["*"], None).unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        index.write().unwrap();
        let user = Signature::new("user", "user@example.invalid", &Time::new(1_794_000_000, 0)).unwrap();
        let parent = repository.head().ok().and_then(|h| h.peel_to_commit().ok());
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        repository
            .commit(Some("HEAD"), &user, &user, message, &tree, &parents)
            .unwrap();
    }
}

fn entry(path: &str, id: git2::Oid) -> git2::IndexEntry {
    git2::IndexEntry {
        ctime: git2::IndexTime::new(0, 0),
        mtime: git2::IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}
