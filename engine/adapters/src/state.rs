//! The state store: a folder of what can be rebuilt (snapshots, ETags). Deleting it loses no decision.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::write::{TEMPORARY_PREFIX, is_plain_path, put_atomically};

/// A state store in a folder. Keys are plain paths such as `snapshots/<digest>.parquet`.
#[derive(Clone, Debug)]
pub struct StateStore {
    folder: PathBuf,
}

/// The state store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the state store entry {key:?} in {} could not be {done}: {source}; the store holds only what can be rebuilt, so it may be deleted", folder.display())]
pub struct StateError {
    /// The store's folder.
    pub folder: PathBuf,
    /// The entry.
    pub key: String,
    /// `read`, `written`, `listed` or `removed`.
    pub done: &'static str,
    /// Why.
    pub source: io::Error,
}

impl StateStore {
    /// The store in `folder`, which is made at the first write.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Keeps `bytes` under `key`: whole or not at all.
    ///
    /// # Errors
    /// [`StateError`] for a key that is no plain path, or an error of the file system.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.place(key, "written")?;
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| put_atomically(&path, bytes));
        written.map_err(|source| self.fault(key, "written", source))
    }

    /// What is kept under `key`, or none.
    ///
    /// # Errors
    /// As [`StateStore::put`].
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        match fs::read(self.place(key, "read")?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.fault(key, "read", source)),
        }
    }

    /// The keys below `folder` (empty = all), sorted. Files that were being written are left out.
    ///
    /// # Errors
    /// As [`StateStore::put`].
    pub fn list(&self, folder: &str) -> Result<Vec<String>, StateError> {
        let start = if folder.is_empty() {
            self.folder.clone()
        } else {
            self.place(folder, "listed")?
        };
        let mut keys = Vec::new();
        collect(&start, folder, &mut keys).map_err(|source| self.fault(folder, "listed", source))?;
        keys.sort();
        Ok(keys)
    }

    /// Forgets `key`; it need not be there.
    ///
    /// # Errors
    /// As [`StateStore::put`].
    pub fn remove(&self, key: &str) -> Result<(), StateError> {
        match fs::remove_file(self.place(key, "removed")?) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.fault(key, "removed", source)),
            _ => Ok(()),
        }
    }

    fn place(&self, key: &str, done: &'static str) -> Result<PathBuf, StateError> {
        if is_plain_path(key) {
            return Ok(self.folder.join(key));
        }
        Err(self.fault(
            key,
            done,
            io::Error::new(io::ErrorKind::InvalidInput, "the key is not a plain path"),
        ))
    }

    fn fault(&self, key: &str, done: &'static str, source: io::Error) -> StateError {
        StateError {
            folder: self.folder.clone(),
            key: key.to_owned(),
            done,
            source,
        }
    }
}

fn collect(folder: &Path, key: &str, keys: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}/{name}")
        };
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &key, keys)?;
        } else if !name.starts_with(TEMPORARY_PREFIX) {
            keys.push(key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got_and_listed() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(&folder.path().join("state"));
        assert_eq!(store.get("a/b").unwrap(), None);
        assert_eq!(store.list("").unwrap(), Vec::<String>::new());
        store.put("a/b", b"one").unwrap();
        store.put("a/b", b"two").unwrap();
        store.put("c", b"").unwrap();
        assert_eq!(store.get("a/b").unwrap().as_deref(), Some(&b"two"[..]));
        // A leftover of a process that ended while writing.
        fs::write(
            folder.path().join("state/a").join(format!("{TEMPORARY_PREFIX}1-1")),
            "half",
        )
        .unwrap();
        assert_eq!(store.list("").unwrap(), ["a/b", "c"]);
        assert_eq!(store.list("a").unwrap(), ["a/b"]);
        store.remove("a/b").unwrap();
        store.remove("a/b").unwrap();
        assert_eq!(store.list("").unwrap(), ["c"]);
    }

    #[test]
    fn keys_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(folder.path());
        for key in ["../x", "/etc/passwd", "", "a/../../b"] {
            assert!(store.put(key, b"").is_err(), "{key}");
            assert!(store.get(key).is_err(), "{key}");
        }
    }
}
