//! Lock files that a killed process left behind.
//!
//! Git locks a reference with a file beside it, which is there for as long as one line takes to write. A process that is
//! killed in that moment leaves the file, and nobody could write the reference again before somebody removed it. What a
//! lock file is does not say whether anybody is behind it, but how long it stays does.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

/// How often a lock is looked at.
const GLANCE: Duration = Duration::from_millis(50);
/// A lock that stays unchanged for so many looks (five seconds) has nobody behind it: its holder needs milliseconds.
const STALE_AFTER: u32 = 100;
/// So often a lock that was given back may be lost to another process before the reference counts as contended.
const TURNS_MAX: u32 = 20;
/// Whoever removes a lock holds this file locked by the operating system, which a killed process cannot leave locked.
const TAKEOVER_FILE: &str = "patchwave.takeover";

/// A lock that is in the way of one write.
pub(super) struct Lock {
    path: PathBuf,
    takeover: PathBuf,
    stale_after: u32,
    turns: u32,
}

/// What tells two locks of one name apart.
type Identity = (Option<SystemTime>, u64);

impl Lock {
    /// The lock of a reference in the repository at `git`.
    pub(super) fn of(git: &Path, reference: &str) -> Self {
        Self {
            path: git.join(format!("{reference}.lock")),
            takeover: git.join(TAKEOVER_FILE),
            stale_after: STALE_AFTER,
            turns: 0,
        }
    }

    /// Waits until the lock is given back, and removes it if nobody will. Whether trying again makes sense.
    pub(super) fn is_gone(&mut self) -> bool {
        self.turns += 1;
        if self.turns > TURNS_MAX {
            return false;
        }
        let Some(first) = identity(&self.path) else {
            return true;
        };
        if !self.path.is_file() {
            return false;
        }
        for _ in 0..self.stale_after {
            sleep(GLANCE);
            if identity(&self.path).as_ref() != Some(&first) {
                return true;
            }
        }
        self.take_over(&first).is_ok()
    }

    /// Removes the lock that was watched, and no other: one process at a time, after one more look.
    fn take_over(&self, watched: &Identity) -> io::Result<()> {
        let _held = exclusive(&self.takeover)?;
        if identity(&self.path).as_ref() == Some(watched) {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let there = fs::symlink_metadata(path).ok()?;
    Some((there.modified().ok(), there.len()))
}

/// Holds `path` locked by the operating system until the file is dropped. A file system that cannot lock holds nobody up.
pub(super) fn exclusive(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).write(true).truncate(false).open(path)?;
    match file.lock() {
        Err(e) if e.kind() != io::ErrorKind::Unsupported => Err(e),
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_nobody_holds_is_removed_and_one_that_changes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("main.lock");
        let mut lock = Lock {
            stale_after: 2,
            ..Lock::of(folder.path(), "main")
        };
        assert!(lock.is_gone(), "there is none");
        fs::write(&path, "").unwrap();
        let stale = identity(&path).unwrap();
        fs::write(&path, "another").unwrap();
        lock.take_over(&stale).unwrap();
        assert!(path.exists(), "it is not the one that was watched");
        assert!(lock.is_gone());
        assert!(!path.exists());
        // What is no lock file is not removed.
        fs::create_dir(&path).unwrap();
        assert!(!lock.is_gone());
    }
}
