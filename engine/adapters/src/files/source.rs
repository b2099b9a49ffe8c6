//! Reading the files a source points at: one file, or a folder read recursively by extension.

use std::path::Path;

use super::walk::{Kind, look_at, walk};
use super::{FileFault, FileText, read_bounded};

/// What a source's path held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFiles {
    /// The files, in path order, as they are on the disk (a `.gz` is still compressed). A single file stands under the
    /// path that was given.
    pub files: Vec<FileText>,
    /// Files in a folder that have none of the extensions; in path order.
    pub passed_over: Vec<String>,
    /// What to say without failing: an empty folder, or files of which none has an expected extension.
    pub warnings: Vec<FileFault>,
}

/// A source that could not be read: nothing of it counts, because a part of it would look like the whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source cannot be read: {}", list(.faults))]
pub struct SourceFailure {
    /// What could not be read, in path order; at least one.
    pub faults: Vec<FileFault>,
}

fn list(faults: &[FileFault]) -> String {
    faults
        .iter()
        .map(|fault| format!("{}: {} ({})", fault.path, fault.what, fault.help))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Compressed forms of every extension.
const COMPRESSED: [&str; 2] = [".gz", ".zst"];

/// Reads `path` (relative to `root`, or absolute): a file whatever its name, or the files below a folder whose names end
/// in one of `extensions` (with the dot, such as `.json`; also with `.gz` or `.zst` after it). No file may be larger than
/// `bytes_max`. Hidden files and folders are passed over; links must stay inside the folder.
///
/// # Errors
/// [`SourceFailure`] with everything that is missing or unreadable: a part of an inventory must not look like all of it.
pub fn read_source(root: &Path, path: &str, extensions: &[&str], bytes_max: u64) -> Result<SourceFiles, SourceFailure> {
    let given = path.trim_end_matches('/');
    let place = root.join(given);
    let mut outcome = SourceFiles::default();
    let mut faults = Vec::new();
    if !place.exists() {
        let what = "it does not exist".to_owned();
        let help = "correct `path`, which is relative to the repository root, or export the data first".to_owned();
        return Err(SourceFailure {
            faults: vec![FileFault {
                path: path.to_owned(),
                what,
                help,
            }],
        });
    }
    let found = if place.is_dir() {
        walk(&place, "")
    } else {
        // The user named this very file, so a link may lead anywhere.
        let real = place.canonicalize().unwrap_or_else(|_| place.clone());
        vec![look_at(&place, real.parent().unwrap_or(&real), "")]
    };
    for seen in found {
        let whole = if seen.path.is_empty() {
            given.to_owned()
        } else {
            format!("{given}/{}", seen.path)
        };
        match seen.kind {
            Kind::Folder => {}
            Kind::HiddenFolder => outcome.passed_over.push(format!("{whole}/")),
            Kind::Fault { what, help } => faults.push(FileFault {
                path: whole,
                what,
                help,
            }),
            Kind::File { .. } if !seen.path.is_empty() && !is_wanted(&seen.path, extensions) => {
                outcome.passed_over.push(whole);
            }
            Kind::File { place, size_bytes } => match read_bounded(&place, size_bytes, bytes_max) {
                Ok(bytes) => outcome.files.push(FileText { path: whole, bytes }),
                Err((what, help)) => faults.push(FileFault {
                    path: whole,
                    what,
                    help,
                }),
            },
        }
    }
    if !faults.is_empty() {
        faults.sort_by(|a, b| a.path.cmp(&b.path));
        return Err(SourceFailure { faults });
    }
    outcome.files.sort_by(|a, b| a.path.cmp(&b.path));
    outcome.passed_over.sort();
    if outcome.files.is_empty() {
        outcome
            .warnings
            .push(nothing_there(path, &outcome.passed_over, extensions));
    }
    Ok(outcome)
}

fn is_wanted(path: &str, extensions: &[&str]) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = COMPRESSED
        .iter()
        .find_map(|compressed| name.strip_suffix(compressed))
        .unwrap_or(name);
    !name.starts_with('.') && extensions.iter().any(|extension| plain.ends_with(extension))
}

fn nothing_there(path: &str, passed_over: &[String], extensions: &[&str]) -> FileFault {
    let what = match passed_over.len() {
        0 => "the folder is empty, so the source says nothing".to_owned(),
        count => format!(
            "none of its {count} files ends in {}, so the source says nothing",
            extensions.join(" or ")
        ),
    };
    let help = "export the data into it, or correct `path` or `type`".to_owned();
    FileFault {
        path: path.to_owned(),
        what,
        help,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MEBIBYTE: u64 = 1024 * 1024;

    fn paths(files: &[FileText]) -> Vec<&str> {
        files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn a_folder_is_read_by_extension_and_a_file_as_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("facts/deep")).unwrap();
        for name in [
            "facts/b.json",
            "facts/deep/a.json.zst",
            "facts/c.json.gz",
            "facts/x.txt",
            "facts/.y.json",
        ] {
            fs::write(root.path().join(name), name).unwrap();
        }
        let seen = read_source(root.path(), "facts/", &[".json", ".ndjson"], MEBIBYTE).unwrap();
        assert_eq!(
            paths(&seen.files),
            ["facts/b.json", "facts/c.json.gz", "facts/deep/a.json.zst"]
        );
        assert_eq!(seen.passed_over, ["facts/.y.json", "facts/x.txt"]);
        assert_eq!(seen.warnings, []);
        let seen = read_source(root.path(), "facts/x.txt", &[".json"], MEBIBYTE).unwrap();
        assert_eq!(
            seen.files,
            [FileText {
                path: "facts/x.txt".into(),
                bytes: b"facts/x.txt".to_vec()
            }]
        );
    }

    #[test]
    fn missing_fails_and_empty_warns() {
        let root = tempfile::tempdir().unwrap();
        let failure = read_source(root.path(), "gone", &[".json"], MEBIBYTE).unwrap_err();
        assert_eq!(failure.faults.len(), 1);
        fs::create_dir(root.path().join("empty")).unwrap();
        let seen = read_source(root.path(), "empty", &[".json"], MEBIBYTE).unwrap();
        assert!(seen.warnings[0].what.contains("empty"), "{seen:?}");
        fs::write(root.path().join("empty/x.csv"), "").unwrap();
        let seen = read_source(root.path(), "empty", &[".json"], MEBIBYTE).unwrap();
        assert!(
            seen.warnings[0].what.contains("none of its 1 files ends in .json"),
            "{seen:?}"
        );
    }

    #[test]
    fn one_file_beyond_the_limit_fails_the_source() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        fs::write(root.path().join("d/a.json"), "12345").unwrap();
        fs::write(root.path().join("d/b.json"), "1").unwrap();
        let failure = read_source(root.path(), "d", &[".json"], 4).unwrap_err();
        assert_eq!(failure.faults[0].path, "d/a.json");
    }

    #[cfg(unix)]
    #[test]
    fn links_inside_a_folder_stay_inside_but_a_named_link_is_followed() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("a.json"), "a").unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        symlink(outside.path().join("a.json"), root.path().join("d/a.json")).unwrap();
        assert!(read_source(root.path(), "d", &[".json"], MEBIBYTE).is_err());
        assert_eq!(
            read_source(root.path(), "d/a.json", &[".json"], MEBIBYTE)
                .unwrap()
                .files
                .len(),
            1
        );
        symlink(outside.path(), root.path().join("all")).unwrap();
        assert_eq!(
            paths(&read_source(root.path(), "all", &[".json"], MEBIBYTE).unwrap().files),
            ["all/a.json"]
        );
    }
}
