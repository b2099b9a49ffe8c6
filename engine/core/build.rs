//! Embeds the render targets of `templates/`: one table of path and text, in order of path.
//!
//! Golden files, hostile fixtures and pages for people are not what a target is made of and stay out.
#![expect(
    clippy::disallowed_methods,
    reason = "a build script reads the work tree; the crate it builds does not"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let templates = Path::new(&env::var("CARGO_MANIFEST_DIR")?)
        .join("../../templates")
        .canonicalize()?;
    let mut files = Vec::new();
    collect(&templates, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let path = file.strip_prefix(&templates)?.to_str().ok_or("a path is not UTF-8")?;
        writeln!(table, "    ({path:?}, include_str!({file:?})),")?;
    }
    table.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("templates.rs"), table)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !matches!(name, "golden" | "hostile") {
                collect(&path, files)?;
            }
        } else if [".hbs", ".yml", ".yaml", ".ps1", ".psd1", ".json", ".sh", ".py"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            files.push(path);
        }
    }
    Ok(())
}
