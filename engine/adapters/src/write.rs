//! Writing generated files to folders: whole files only, never outside the folder, and never over a user's file where
//! that is asked.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What to do with a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Replace it, unless it has the same bytes already (render).
    Replace,
    /// Leave it alone, whatever it holds (init).
    Keep,
}

/// What came of writing a bundle; paths as given, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files written.
    pub written: Vec<String>,
    /// Files that had the same bytes already and were not touched.
    pub unchanged: Vec<String>,
    /// Files that were there with other bytes and were left alone.
    pub kept: Vec<String>,
}

/// Why a bundle could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Paths that are not plain paths below the folder. Nothing was written.
    #[error("these paths do not stay below the folder, so nothing was written: {}", .0.join(", "))]
    Outside(Vec<String>),
    /// A file could not be written; files before it in path order were.
    #[error("{}: {source}; check that the folder may be written and the disk has room", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes `files` (path with `/`, relative to `folder` → content) in path order, each whole or not at all.
///
/// All paths are checked before the first write. A folder of the path that is a symbolic link is refused: it could lead
/// outside.
///
/// # Errors
/// [`WriteError`].
pub fn write_bundle(
    folder: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    existing: Existing,
) -> Result<Written, WriteError> {
    let bad = |path: &&String| !is_plain_path(path) || leads_outside(folder, path);
    let outside: Vec<String> = files.keys().filter(bad).cloned().collect();
    if !outside.is_empty() {
        return Err(WriteError::Outside(outside));
    }
    let mut outcome = Written::default();
    for (path, bytes) in files {
        let target = folder.join(path);
        let list =
            match write_one(&target, bytes, existing).map_err(|source| WriteError::Io { path: target, source })? {
                Fate::Written => &mut outcome.written,
                Fate::Unchanged => &mut outcome.unchanged,
                Fate::Kept => &mut outcome.kept,
            };
        list.push(path.clone());
    }
    Ok(outcome)
}

/// Replaces a file that is there with `bytes`, whole or not at all, and keeps its permission bits. A link is followed if
/// what it names lies inside `root`: the file behind it is replaced, the link stays.
///
/// # Errors
/// What is wrong and what to do; the file is then as it was.
pub fn rewrite(root: &Path, path: &str, bytes: &[u8]) -> Result<(), WriteError> {
    let io_fault = |source| WriteError::Io {
        path: root.join(path),
        source,
    };
    let outside = || WriteError::Outside(vec![path.to_owned()]);
    if !is_plain_path(path) {
        return Err(outside());
    }
    let target = root.join(path).canonicalize().map_err(io_fault)?;
    let fence = root.canonicalize().map_err(io_fault)?;
    if !target.starts_with(&fence) {
        return Err(outside());
    }
    let permissions = fs::metadata(&target).map_err(io_fault)?.permissions();
    let temporary = write_temporary(&target, bytes).map_err(io_fault)?;
    fs::set_permissions(&temporary, permissions)
        .and_then(|()| fs::rename(&temporary, &target))
        .inspect_err(|_| remove_quietly(&temporary))
        .map_err(io_fault)
}

enum Fate {
    Written,
    Unchanged,
    Kept,
}

fn write_one(target: &Path, bytes: &[u8], existing: Existing) -> io::Result<Fate> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    // A link in the place of the file is itself what is there: it is never written through.
    let there = fs::symlink_metadata(target).ok();
    if there.as_ref().is_some_and(fs::Metadata::is_file) && fs::read(target).is_ok_and(|old| old == bytes) {
        return Ok(Fate::Unchanged);
    }
    match existing {
        Existing::Keep if there.is_some() => Ok(Fate::Kept),
        Existing::Keep => match put_new(target, bytes) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Fate::Kept),
            outcome => outcome.map(|()| Fate::Written),
        },
        Existing::Replace => put_atomically(target, bytes).map(|()| Fate::Written),
    }
}

/// Replaces `target` with `bytes`: readers see the old file or the new one, never a part.
///
/// # Errors
/// Any error of the file system; `target` is then as it was.
pub(crate) fn put_atomically(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(target, bytes)?;
    fs::rename(&temporary, target).inspect_err(|_| remove_quietly(&temporary))
}

/// Makes `target` with `bytes`, or fails with `AlreadyExists`.
fn put_new(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(target, bytes)?;
    let linked = fs::hard_link(&temporary, target);
    remove_quietly(&temporary);
    match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without links: exclusive creation still never overwrites.
            let mut file = OpenOptions::new().write(true).create_new(true).open(target)?;
            file.write_all(bytes)?;
            file.sync_all()
        }
        outcome => outcome,
    }
}

/// Marks a file that is being written. Whoever lists a folder leaves such names out.
pub(crate) const TEMPORARY_PREFIX: &str = ".patchwave-tmp-";

fn write_temporary(target: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = target.with_file_name(format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id()));
    let mut file = File::create(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.inspect_err(|_| remove_quietly(&temporary)).map(|()| temporary)
}

/// The error that matters is the one that led here; a leftover is ignored by every reader.
fn remove_quietly(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Whether `path` is a relative path of plain names joined by `/`: not empty, no `.`, `..` or `.git` part, no backslash,
/// no control character, no drive.
#[must_use]
pub(crate) fn is_plain_path(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.eq_ignore_ascii_case(".git");
    let drive = path.as_bytes().get(1) == Some(&b':');
    !drive && path.split('/').all(plain) && !path.chars().any(|c| c == '\\' || c.is_control())
}

fn leads_outside(folder: &Path, path: &str) -> bool {
    let mut at = folder.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        let is_folder_of_the_path = parts.peek().is_some();
        if is_folder_of_the_path && fs::symlink_metadata(&at).is_ok_and(|there| there.is_symlink()) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn only_plain_paths_are_plain() {
        for path in ["a", "a/b.c", "rollouts/x/waves/01-test/run.yml", "..a", "ab:c"] {
            assert!(is_plain_path(path), "{path}");
        }
        for path in [
            "", "/a", "a/", "a//b", "./a", "../a", "a/../b", ".git/x", "a/.GIT/x", "a\\b", "c:/x", "a\nb",
        ] {
            assert!(!is_plain_path(path), "{path}");
        }
    }

    #[test]
    fn a_bundle_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = bundle(&[("a/b.txt", "one"), ("c.txt", "two")]);
        let first = write_bundle(folder.path(), &files, Existing::Replace).unwrap();
        assert_eq!(first.written, ["a/b.txt", "c.txt"]);
        let second = write_bundle(folder.path(), &files, Existing::Replace).unwrap();
        assert_eq!(
            second,
            Written {
                unchanged: vec!["a/b.txt".into(), "c.txt".into()],
                ..Written::default()
            }
        );
        let third = write_bundle(folder.path(), &bundle(&[("c.txt", "three")]), Existing::Replace).unwrap();
        assert_eq!(third.written, ["c.txt"]);
        assert_eq!(fs::read(folder.path().join("c.txt")).unwrap(), b"three");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "no temporary file stays"
        );
    }

    #[test]
    fn a_users_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine.yaml"), "mine").unwrap();
        let files = bundle(&[("mine.yaml", "sample"), ("new.yaml", "sample")]);
        let outcome = write_bundle(folder.path(), &files, Existing::Keep).unwrap();
        assert_eq!(
            (outcome.written, outcome.kept),
            (vec!["new.yaml".to_owned()], vec!["mine.yaml".to_owned()])
        );
        assert_eq!(fs::read(folder.path().join("mine.yaml")).unwrap(), b"mine");
    }

    #[test]
    fn one_bad_path_means_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let files = bundle(&[("a.txt", ""), ("../b.txt", ""), ("x/../../c", "")]);
        let fault = write_bundle(folder.path(), &files, Existing::Replace).unwrap_err();
        assert!(fault.to_string().contains("../b.txt, x/../../c"), "{fault}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_rewritten_file_keeps_its_mode_and_its_link_and_never_leaves() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("victim"), "old").unwrap();
        fs::write(folder.path().join("a.yaml"), "old").unwrap();
        fs::set_permissions(folder.path().join("a.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("a.yaml", folder.path().join("link.yaml")).unwrap();
        symlink(elsewhere.path().join("victim"), folder.path().join("out.yaml")).unwrap();
        rewrite(folder.path(), "link.yaml", b"new").unwrap();
        let there = fs::symlink_metadata(folder.path().join("a.yaml")).unwrap();
        assert_eq!(there.permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read(folder.path().join("a.yaml")).unwrap(), b"new");
        assert!(
            fs::symlink_metadata(folder.path().join("link.yaml"))
                .unwrap()
                .is_symlink()
        );
        assert!(matches!(
            rewrite(folder.path(), "out.yaml", b"new"),
            Err(WriteError::Outside(_))
        ));
        assert!(rewrite(folder.path(), "../a.yaml", b"new").is_err());
        assert_eq!(fs::read(elsewhere.path().join("victim")).unwrap(), b"old");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            3,
            "no temporary file stays"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("victim"), "old").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("sub")).unwrap();
        assert!(write_bundle(folder.path(), &bundle(&[("sub/new", "x")]), Existing::Replace).is_err());
        std::os::unix::fs::symlink(elsewhere.path().join("victim"), folder.path().join("file")).unwrap();
        write_bundle(folder.path(), &bundle(&[("file", "new")]), Existing::Replace).unwrap();
        assert_eq!(fs::read(elsewhere.path().join("victim")).unwrap(), b"old");
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"new");
    }
}
