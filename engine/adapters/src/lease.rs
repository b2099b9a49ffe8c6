//! Where the lease of a runner is kept, and the lock of the operating system that goes with it on one machine.
//!
//! A [`LeaseStore`] offers one register with compare-and-swap; what is written there and what it means is decided by
//! the runner. On one machine a [`FolderLock`] is held besides: the kernel gives it back when the process ends, however
//! it ends, so no crash leaves a lease behind, and keeps it for a process that is merely paused.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::state::StateStore;

/// A register with compare-and-swap.
pub trait LeaseStore {
    /// What is there: the bytes, and the version a [`LeaseStore::put`] must name. None = nothing yet.
    ///
    /// # Errors
    /// In words, if the store cannot be read.
    fn read(&self) -> Result<Option<(Vec<u8>, String)>, String>;

    /// Writes `bytes` if the register still is at the version `expected` (none = there is nothing yet).
    ///
    /// # Errors
    /// In words, if the store cannot be written or the answer was lost: the bytes may be there or not, so read again.
    fn put(&self, bytes: &[u8], expected: Option<&str>) -> Result<Swapped, String>;
}

/// What came of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// Written; the register is at this version now.
    Done(String),
    /// Something else is there; nothing was written.
    Conflict,
}

/// Key of the lease in a state store.
pub const LEASE_KEY: &str = "lease.json";
/// File whose lock stands for the lease on one machine. It is never removed: removing it would let two processes lock
/// two files of the same name.
pub const LEASE_LOCK: &str = "lease.lock";

/// A register in a folder. Compare-and-swap holds only among those who hold the folder's [`FolderLock`].
#[derive(Clone, Debug)]
pub struct FolderLease(StateStore);

impl FolderLease {
    /// The register in the state store of `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self(StateStore::new(folder))
    }
}

impl LeaseStore for FolderLease {
    fn read(&self) -> Result<Option<(Vec<u8>, String)>, String> {
        let found = self.0.get(LEASE_KEY).map_err(|e| e.to_string())?;
        Ok(found.map(|bytes| (bytes.clone(), version(&bytes))))
    }

    fn put(&self, bytes: &[u8], expected: Option<&str>) -> Result<Swapped, String> {
        if self.read()?.map(|(_, version)| version).as_deref() != expected {
            return Ok(Swapped::Conflict);
        }
        self.0.put(LEASE_KEY, bytes).map_err(|e| e.to_string())?;
        Ok(Swapped::Done(version(bytes)))
    }
}

fn version(bytes: &[u8]) -> String {
    patchwave_core::canonical::sha256_hex(bytes)
}

/// Between two tries to take a lock: long for a processor, short for a person.
const WAIT_STEP: Duration = Duration::from_millis(20);

/// A lock in a folder, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock `name` of `folder` (made if there is none), or none if another process holds it. Never waits.
    ///
    /// # Errors
    /// If the folder cannot be written, or its file system has no locks.
    pub fn try_take(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let path = folder.join(name);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// As [`FolderLock::try_take`], but waits up to about `patience` for the other process.
    ///
    /// # Errors
    /// As [`FolderLock::try_take`].
    pub fn wait(folder: &Path, name: &str, patience: Duration) -> io::Result<Option<Self>> {
        let mut waited = Duration::ZERO;
        loop {
            match Self::try_take(folder, name)? {
                None if waited < patience => {
                    std::thread::sleep(WAIT_STEP);
                    waited += WAIT_STEP;
                }
                taken => return Ok(taken),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::try_take(folder.path(), LEASE_LOCK).unwrap();
        assert!(held.is_some());
        assert!(FolderLock::try_take(folder.path(), LEASE_LOCK).unwrap().is_none());
        drop(held);
        assert!(FolderLock::try_take(folder.path(), LEASE_LOCK).unwrap().is_some());
    }

    #[test]
    fn a_write_needs_the_version_it_was_decided_on() {
        let folder = tempfile::tempdir().unwrap();
        let register = FolderLease::new(folder.path());
        assert_eq!(register.read().unwrap(), None);
        assert_eq!(register.put(b"a", Some("x")).unwrap(), Swapped::Conflict);
        let Swapped::Done(first) = register.put(b"a", None).unwrap() else {
            panic!("the register was empty");
        };
        assert_eq!(register.put(b"b", None).unwrap(), Swapped::Conflict);
        assert!(matches!(register.put(b"b", Some(&first)).unwrap(), Swapped::Done(_)));
        assert_eq!(register.put(b"c", Some(&first)).unwrap(), Swapped::Conflict);
        assert_eq!(register.read().unwrap().unwrap().0, b"b");
    }
}
