//! Reading: the user's repository, what sources point at, and the repository as it was at another Git reference.
//!
//! Everything comes back as plain values in path order, and everything that could not be read is said: a fault names the
//! path, why, and what to do, and reading goes on with the rest.

mod at_ref;
mod source;
mod walk;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

pub use at_ref::{paths_changed_since, read_ref_tree};
pub use source::{SourceFailure, SourceFiles, read_source};
use walk::{Found, Kind, walk};

/// Largest resource file that is read, bytes: 8 MiB. A hand-written YAML file is a thousand times smaller; beyond this it
/// is a mistake or an attack.
pub const RESOURCE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A file and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileText {
    /// Path with `/`, relative to where reading started.
    pub path: String,
    /// Content as it is on the disk.
    pub bytes: Vec<u8>,
}

/// A file or folder that could not be read, or must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// Path with `/`, relative to where reading started.
    pub path: String,
    /// What is wrong with it and why that matters.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// The files of a repository that the engine looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryFiles {
    /// `*.yaml` and `*.yml` below the resource folders, and the named files; by path.
    pub resources: Vec<FileText>,
    /// Paths of all other files below the resource folders: read by nobody, listed so that a misnamed one is noticed.
    pub others: Vec<String>,
    /// What could not be read; by path.
    pub faults: Vec<FileFault>,
}

/// Reads the resources of a repository: the files named in `files` (such as `patchwave.yaml`) and every `*.yaml` and
/// `*.yml` below `folders`, all relative to `root`. A folder or file that does not exist is passed over: which ones must
/// exist is for the loader to say.
///
/// Hidden files and folders are not resources and stand in `others`. A symbolic link is followed if it stays inside
/// `root`, and a folder is entered once, so a loop of links ends.
#[must_use]
pub fn read_repository(root: &Path, files: &[String], folders: &[String]) -> RepositoryFiles {
    let mut outcome = RepositoryFiles::default();
    for file in files {
        if fs::symlink_metadata(root.join(file)).is_ok() {
            take(walk::look_at(root, root, file), &mut outcome, true);
        }
    }
    for folder in folders {
        if root.join(folder).exists() {
            for found in walk(root, folder) {
                take(found, &mut outcome, false);
            }
        }
    }
    outcome.resources.sort_by(|a, b| a.path.cmp(&b.path));
    outcome.resources.dedup_by(|a, b| a.path == b.path);
    outcome.others = outcome
        .others
        .into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    outcome.faults.sort_by(|a, b| a.path.cmp(&b.path));
    outcome.faults.dedup();
    outcome
}

fn take(found: Found, outcome: &mut RepositoryFiles, named: bool) {
    let Found { path, kind } = found;
    match kind {
        Kind::Fault { what, help } => outcome.faults.push(FileFault { path, what, help }),
        Kind::HiddenFolder => outcome.others.push(format!("{path}/")),
        Kind::Folder => {}
        Kind::File { place, size_bytes } if named || is_resource(&path) => {
            match read_bounded(&place, size_bytes, RESOURCE_BYTES_MAX) {
                Ok(bytes) => outcome.resources.push(FileText { path, bytes }),
                Err((what, help)) => outcome.faults.push(FileFault { path, what, help }),
            }
        }
        Kind::File { .. } => outcome.others.push(path),
    }
}

/// Whether a path is that of a resource file: `*.yaml` or `*.yml`, not hidden.
fn is_resource(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"))
}

/// Reads a file of at most `bytes_max` bytes; the error is what is wrong and what to do.
fn read_bounded(place: &Path, size_bytes: u64, bytes_max: u64) -> Result<Vec<u8>, (String, String)> {
    use std::io::Read as _;
    let too_large = || {
        let what = format!("it is larger than {bytes_max} bytes, which is the most that is read of one file");
        (what, "split it into several files".to_owned())
    };
    if size_bytes > bytes_max {
        return Err(too_large());
    }
    let unreadable = |e: std::io::Error| {
        (
            format!("it cannot be read: {e}"),
            "check that it may be read".to_owned(),
        )
    };
    let mut bytes = Vec::new();
    // The size may grow between looking and reading, so reading is bounded as well.
    let file = fs::File::open(place).map_err(unreadable)?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        Err(too_large())
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let place = root.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        }
    }

    fn read(root: &Path) -> RepositoryFiles {
        read_repository(root, &["patchwave.yaml".into()], &["policies".into(), "fleets".into()])
    }

    fn paths(files: &[FileText]) -> Vec<&str> {
        files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn resources_come_in_path_order_and_others_are_listed() {
        let root = tempfile::tempdir().unwrap();
        lay(
            root.path(),
            &[
                ("patchwave.yaml", "p"),
                ("policies/b.yaml", "b"),
                ("policies/a/z.yml", "z"),
                ("policies/a.yaml", "a"),
                ("policies/note.yaml.bak", "x"),
                ("policies/.hidden.yaml", "x"),
                ("fleets/.cache/x.yaml", "x"),
                ("fleets/README.md", "x"),
                ("rollouts/r/rollout.yaml", "x"),
                ("unrelated.yaml", "x"),
            ],
        );
        let seen = read(root.path());
        assert_eq!(
            paths(&seen.resources),
            [
                "patchwave.yaml",
                "policies/a.yaml",
                "policies/a/z.yml",
                "policies/b.yaml"
            ]
        );
        assert_eq!(
            seen.others,
            [
                "fleets/.cache/",
                "fleets/README.md",
                "policies/.hidden.yaml",
                "policies/note.yaml.bak"
            ]
        );
        assert_eq!(seen.faults, []);
    }

    #[test]
    fn a_folder_that_is_not_there_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()), RepositoryFiles::default());
    }

    #[test]
    fn a_file_beyond_the_limit_is_a_fault_and_the_rest_is_read() {
        let root = tempfile::tempdir().unwrap();
        lay(root.path(), &[("policies/a.yaml", "a")]);
        let large = fs::File::create(root.path().join("policies/large.yaml")).unwrap();
        large.set_len(RESOURCE_BYTES_MAX + 1).unwrap();
        let limit = fs::File::create(root.path().join("policies/limit.yaml")).unwrap();
        limit.set_len(RESOURCE_BYTES_MAX).unwrap();
        let seen = read(root.path());
        assert_eq!(paths(&seen.resources), ["policies/a.yaml", "policies/limit.yaml"]);
        assert_eq!(seen.faults.len(), 1);
        assert!(seen.faults[0].what.contains("larger"), "{:?}", seen.faults);
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_inside_and_loops_end() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        lay(outside.path(), &[("secret.yaml", "s")]);
        let root = tempfile::tempdir().unwrap();
        lay(root.path(), &[("policies/a.yaml", "a"), ("shared/s.yaml", "s")]);
        symlink(
            outside.path().join("secret.yaml"),
            root.path().join("policies/out.yaml"),
        )
        .unwrap();
        symlink(outside.path(), root.path().join("policies/outdir")).unwrap();
        symlink("../shared", root.path().join("policies/shared")).unwrap();
        symlink("..", root.path().join("policies/up")).unwrap();
        symlink("gone.yaml", root.path().join("policies/dangling.yaml")).unwrap();
        let seen = read(root.path());
        assert!(paths(&seen.resources).contains(&"policies/shared/s.yaml"));
        assert!(
            !seen
                .resources
                .iter()
                .any(|file| file.bytes == b"s" && file.path.contains("out"))
        );
        let faults: Vec<&str> = seen.faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(
            faults,
            ["policies/dangling.yaml", "policies/out.yaml", "policies/outdir"]
        );
    }
}
