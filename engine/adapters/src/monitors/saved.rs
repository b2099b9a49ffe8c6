//! Answers saved to files: one file that answers every question, or a folder with one file a question.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// As large as a live answer may be.
const SAVED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The saved answers of a source.
pub struct Saved {
    place: PathBuf,
    shown: String,
}

impl Saved {
    /// Those at `path`, relative to `root`.
    pub fn new(root: &Path, path: &str) -> Self {
        let path = path.trim_end_matches('/');
        Self {
            place: root.join(path),
            shown: path.to_owned(),
        }
    }

    /// The answer called `name` in a folder, or the one file there is.
    ///
    /// # Errors
    /// That there is none, with the name it must have.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        if !self.place.is_dir() {
            return read_bounded(&self.place, SAVED_BYTES_MAX).map_err(|why| format!("{}: {why}", self.shown));
        }
        let shown = format!("{}/{name}", self.shown);
        read_bounded(&self.place.join(name), SAVED_BYTES_MAX)
            .map_err(|why| format!("{shown}: {why}; save the answer under this name"))
    }

    /// Another answer of the same source, where a folder has it.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn read_besides(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        if self.place.is_dir() && self.place.join(name).exists() {
            self.read(name).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The name of the file with the answer to a question: its letters and digits in lower case, joined by `-`.
pub fn file_name(question: &str) -> String {
    /// Longer names are not taken by every file system.
    const LENGTH_MAX: usize = 120;
    let words = question
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty());
    let joined = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    let cut: String = joined.chars().take(LENGTH_MAX).collect();
    format!("{cut}.json")
}

/// Reads a file of at most `bytes_max` bytes.
///
/// # Errors
/// Why not.
pub fn read_bounded(place: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let told = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        kind => format!("it cannot be read: {kind}"),
    };
    let file = File::open(place).map_err(told)?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(told)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it is larger than {bytes_max} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_a_file_name() {
        assert_eq!(file_name("up{job=\"node\"}"), "up-job-node.json");
        assert_eq!(file_name("../../etc/passwd"), "etc-passwd.json");
        assert_eq!(file_name("{}"), ".json");
        assert_eq!(file_name(&"a".repeat(500)).len(), 125);
    }
}
