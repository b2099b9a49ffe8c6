//! What is mutated: the repository's own resources, valid and invalid, and the samples of feeds.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// A file to start from.
pub struct Sample {
    /// Relative to the root of the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

fn files_below(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|e| e.map(|e| e.path()))
        .collect::<io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, extensions, found)?;
        } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
            found.push(path);
        }
    }
    Ok(())
}

fn samples(root: &Path, folders: &[&str], extensions: &[&str]) -> io::Result<Vec<Sample>> {
    let mut found = Vec::new();
    for folder in folders {
        files_below(&root.join(folder), extensions, &mut found)?;
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path)?;
        let path = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .replace('\\', "/");
        Ok(Sample { path, text })
    };
    found.into_iter().map(read).collect()
}

/// The example repository, which loads without an error: mutants are put into it.
pub fn repository(root: &Path) -> io::Result<Vec<Sample>> {
    let mut all = samples(root, &["policies", "fleets"], &["yaml"])?;
    let text = fs::read_to_string(root.join("patchwave.yaml"))?;
    all.push(Sample {
        path: "patchwave.yaml".into(),
        text,
    });
    Ok(all)
}

/// Everything there is in YAML: the example, the schema tests, and the examples of the manual.
pub fn resources(root: &Path) -> io::Result<Vec<Sample>> {
    let mut all = repository(root)?;
    all.extend(samples(root, &["tests/schemas"], &["yaml"])?);
    for page in samples(root, &["tests/spec"], &["md"])? {
        let text = fences(&page.text);
        all.push(Sample { path: page.path, text });
    }
    Ok(all)
}

/// Inventory and feeds.
pub fn feeds(root: &Path) -> io::Result<Vec<Sample>> {
    let folders = ["engine/cli/src/init", "engine/formats/samples", "fleets"];
    samples(root, &folders, &["json", "ndjson", "xml"])
}

/// The YAML blocks of a page, as documents of one file.
fn fences(page: &str) -> String {
    let (mut out, mut inside) = (String::new(), false);
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = language.starts_with("yaml") && !inside;
            out += if inside { "---\n" } else { "" };
        } else if inside {
            out += line;
            out.push('\n');
        }
    }
    out
}
