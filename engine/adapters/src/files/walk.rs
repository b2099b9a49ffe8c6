//! Walking folders in path order, links included, without leaving the root and without going in circles.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Something found below a folder.
pub(super) struct Found {
    /// Path with `/`, relative to the root.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    File {
        /// Where to read it: links resolved.
        place: PathBuf,
        size_bytes: u64,
    },
    Folder,
    /// A folder whose name begins with a dot: not entered.
    HiddenFolder,
    Fault {
        what: String,
        help: String,
    },
}

/// Deepest nesting of folders that is followed. Repositories stay below twenty; without a bound a hostile tree could
/// exhaust the stack.
const DEPTH_MAX: usize = 64;

/// Everything below `folder`, in path order.
pub(super) fn walk(root: &Path, folder: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let top = look_at(root, root, folder.trim_end_matches('/'));
    match top.kind {
        Kind::Folder => descend(root, &top.path, 0, &mut BTreeSet::new(), &mut found),
        _ => found.push(top),
    }
    found
}

fn descend(root: &Path, folder: &str, depth: usize, entered: &mut BTreeSet<PathBuf>, found: &mut Vec<Found>) {
    let place = root.join(folder);
    let mut fault = |what: String, help: &str| {
        found.push(Found {
            path: folder.to_owned(),
            kind: Kind::Fault {
                what,
                help: help.to_owned(),
            },
        });
    };
    if depth > DEPTH_MAX {
        return fault(
            format!("folders are nested more than {DEPTH_MAX} deep here"),
            "flatten them",
        );
    }
    // A folder that two links lead to is entered once: the second time it could only repeat itself.
    match place.canonicalize().map(|real| entered.insert(real)) {
        Ok(true) => {}
        Ok(false) => return,
        Err(e) => return fault(format!("it cannot be read: {e}"), "check that it may be read"),
    }
    let names = fs::read_dir(&place).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut names = match names {
        Ok(names) => names,
        Err(e) => return fault(format!("it cannot be read: {e}"), "check that it may be read"),
    };
    names.sort();
    for name in names {
        let Some(name) = name.to_str() else {
            let path = format!("{folder}/{}", name.to_string_lossy());
            let what = "its name is not UTF-8, so it cannot be named in a diagnostic or a digest".to_owned();
            found.push(Found {
                path,
                kind: Kind::Fault {
                    what,
                    help: "rename it".to_owned(),
                },
            });
            continue;
        };
        let path = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        let mut seen = look_at(root, root, &path);
        if matches!(seen.kind, Kind::Folder) && name.starts_with('.') {
            seen.kind = Kind::HiddenFolder;
        }
        let enter = matches!(seen.kind, Kind::Folder);
        found.push(seen);
        if enter {
            descend(root, &path, depth + 1, entered, found);
        }
    }
}

/// What is at `path` below `root`; a link must stay inside `fence`.
pub(super) fn look_at(root: &Path, fence: &Path, path: &str) -> Found {
    // Joining an empty path would add a slash, which no file has.
    let place = if path.is_empty() {
        root.to_owned()
    } else {
        root.join(path)
    };
    let fault = |what: String, help: &str| Kind::Fault {
        what,
        help: help.to_owned(),
    };
    let inside = || -> std::io::Result<Result<(PathBuf, fs::Metadata), String>> {
        let real = place.canonicalize()?;
        if !real.starts_with(fence.canonicalize()?) {
            return Ok(Err(format!("it is a link to {}, which is outside", real.display())));
        }
        let metadata = fs::metadata(&real)?;
        Ok(Ok((real, metadata)))
    };
    let kind = match inside() {
        Ok(Ok((_, metadata))) if metadata.is_dir() => Kind::Folder,
        Ok(Ok((place, metadata))) if metadata.is_file() => Kind::File {
            place,
            size_bytes: metadata.len(),
        },
        Ok(Ok(_)) => fault("it is neither a file nor a folder".to_owned(), "remove it"),
        Ok(Err(what)) => fault(
            what,
            "copy what it points to into the repository: what is outside is not reviewed with it",
        ),
        Err(e) if fs::symlink_metadata(&place).is_ok_and(|there| there.is_symlink()) => {
            fault(format!("it is a link that leads nowhere: {e}"), "repair or remove it")
        }
        Err(e) => fault(format!("it cannot be read: {e}"), "check that it may be read"),
    };
    Found {
        path: path.to_owned(),
        kind,
    }
}
