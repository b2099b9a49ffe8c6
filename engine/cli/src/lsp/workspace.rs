//! The repository as the editor sees it: files on disk, with unsaved buffers in their place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use patchwave_adapters::files::read_repository;
use patchwave_core::load::{Loaded, Memo, PROJECT_FILE, load_with};
use patchwave_core::source::{DocId, Location, SourceFile, SourceSet};
use patchwave_runner::repository::{Files, read, resource_roots};

use super::position::{Encoding, Lines};

/// The state between two messages.
pub struct Workspace {
    /// Root of the repository.
    pub root: PathBuf,
    /// How columns are counted.
    pub encoding: Encoding,
    disk: Files,
    /// Open buffers by path.
    open: BTreeMap<String, String>,
    memo: Memo,
    loaded: Loaded,
    set: SourceSet,
    stale: bool,
}

impl Workspace {
    /// The workspace of the repository at `root`, read once.
    pub fn at(root: PathBuf, encoding: Encoding, now: Timestamp) -> Self {
        let disk = read(&root, now);
        Self::new(root, disk, encoding, now)
    }

    /// A workspace whose files were read already.
    pub fn new(root: PathBuf, disk: Files, encoding: Encoding, now: Timestamp) -> Self {
        let mut memo = Memo::default();
        let set = disk.set.clone();
        let loaded = load_with(&set, now, &mut memo);
        Self {
            root,
            encoding,
            disk,
            open: BTreeMap::new(),
            memo,
            loaded,
            set,
            stale: false,
        }
    }

    /// What the last load gave; [`Workspace::refresh`] first where places matter.
    pub const fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The texts of the last load.
    pub const fn set(&self) -> &SourceSet {
        &self.set
    }

    /// How many files were parsed so far.
    #[cfg(test)]
    pub const fn parses(&self) -> u64 {
        self.memo.parses()
    }

    /// The newest text of a file: the buffer, else what was read.
    pub fn text(&self, path: &str) -> Option<&str> {
        let buffer = self.open.get(path).map(String::as_str);
        buffer.or_else(|| self.disk.set.text(path))
    }

    /// The path of a file below the root, with `/`.
    pub fn relative(&self, file: &Path) -> Option<String> {
        let real = || {
            Some(
                file.canonicalize()
                    .ok()?
                    .strip_prefix(self.root.canonicalize().ok()?)
                    .ok()?
                    .to_owned(),
            )
        };
        let path = file
            .strip_prefix(&self.root)
            .map(Path::to_path_buf)
            .ok()
            .or_else(real)?;
        Some(path.to_str()?.replace('\\', "/"))
    }

    /// A buffer was opened or changed.
    pub fn edit(&mut self, path: String, text: String) {
        if self.text(&path) != Some(text.as_str()) {
            self.stale |= self.is_resource(&path);
        }
        self.open.insert(path, text);
    }

    /// A buffer was closed: what is on disk counts again.
    pub fn close(&mut self, path: &str) {
        self.open.remove(path);
        self.reread(path);
    }

    /// Whether a buffer is open.
    pub fn is_open(&self, path: &str) -> bool {
        self.open.contains_key(path)
    }

    /// A file on disk may have changed. After a change of the Project everything is read again, because it says where
    /// everything is; after any other, that file.
    pub fn changed_on_disk(&mut self, path: &str, now: Timestamp) {
        if path == PROJECT_FILE || !self.is_resource(path) {
            self.disk = read(&self.root, now);
            self.stale = true;
        } else {
            self.reread(path);
        }
    }

    fn reread(&mut self, path: &str) {
        if !self.is_resource(path) {
            return;
        }
        let found = read_repository(&self.root, &[path.to_owned()], &[]);
        let files = &mut self.disk.set.files;
        files.retain(|file| file.path != path);
        let readable = found
            .resources
            .into_iter()
            .map(|f| SourceFile::from_bytes(f.path, f.bytes));
        let faults = found.faults.into_iter();
        files.extend(readable.chain(faults.map(|f| SourceFile::unreadable(f.path, f.what))));
        self.stale = true;
    }

    /// Whether a path is one the engine reads resources from.
    pub fn is_resource(&self, path: &str) -> bool {
        let yaml = path.ends_with(".yaml") || path.ends_with(".yml");
        let below = |root: &String| Path::new(path).starts_with(root);
        path == PROJECT_FILE || yaml && resource_roots(&self.disk.paths).iter().any(below)
    }

    /// Whether there is a Project: a folder without one is no repository of patchwave, and nothing is said about it.
    pub fn has_project(&self) -> bool {
        self.set.text(PROJECT_FILE).is_some()
    }

    /// Loads again if anything changed; only changed files are parsed. True if anything was done.
    pub fn refresh(&mut self, now: Timestamp) -> bool {
        if !std::mem::take(&mut self.stale) {
            return false;
        }
        let mut set = self.disk.set.clone();
        for (path, text) in self.open.iter().filter(|(path, _)| self.is_resource(path)) {
            set.files.retain(|file| file.path != *path);
            set.files.push(SourceFile::new(path.as_str(), text.as_str()));
        }
        self.loaded = load_with(&set, now, &mut self.memo);
        self.set = set;
        true
    }

    /// The place of a location in its file.
    pub fn range(&self, at: &Location) -> lsp_types::Range {
        Lines::new(self.set.text(&at.file).unwrap_or_default(), self.encoding).range_of(at)
    }

    /// A location as an address and a range.
    pub fn place(&self, at: &Location) -> Option<lsp_types::Location> {
        let uri = super::uri::of_path(&self.root.join(at.file.as_ref()))?;
        Some(lsp_types::Location::new(uri, self.range(at)))
    }

    /// The document of a resource, by kind and name.
    pub fn resource(&self, kind: &str, name: &str) -> Option<DocId> {
        *self.loaded.names.get(kind)?.get(name)?
    }
}
