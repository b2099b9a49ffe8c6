//! The order of the house: a stage uses foundations and earlier stages only, and core's dependency tree names no
//! runtime, HTTP or Git crate. The list in `lib.rs` is the map; this test is its fence.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "this test reads the house's own files, and may fail loudly"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Foundations, in order; then stages, in order. A module may use what stands before it, and itself.
const ORDER: [&str; 17] = [
    "lookup",
    "canonical",
    "source",
    "diag",
    "time",
    "name",
    "version", // foundations
    "load",
    "observe",
    "history",
    "assess",
    "plan",
    "rehearse",
    "render",
    "propose",
    "verify",
    "decide",
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Modules named after `crate::` in the code of a file, its unit tests and comments left out.
fn used(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
    let names = lines.flat_map(|l| l.match_indices("crate::").map(move |(at, _)| &l[at + 7..]));
    names
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn a_stage_uses_only_what_stands_before_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rank = |name: &str| ORDER.iter().position(|m| *m == name);
    let mut faults = Vec::new();
    for file in rust_files(&root) {
        let relative = file.strip_prefix(&root).unwrap();
        let module = relative
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        if module == "lib" || relative.to_str().unwrap().contains("test") {
            continue;
        }
        let own = rank(module).unwrap_or_else(|| panic!("{module} is not in the order of the house: add it"));
        for name in used(&fs::read_to_string(&file).unwrap()) {
            match rank(&name) {
                Some(other) if other > own => faults.push(format!("{} uses {name}, a later stage", relative.display())),
                Some(_) => {}
                None => faults.push(format!("{} uses crate::{name}, which is no module", relative.display())),
            }
        }
    }
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_its_place_in_the_map() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for module in ORDER {
        assert!(
            map.contains(&format!("pub mod {module};")),
            "lib.rs declares no {module}"
        );
        assert!(
            map.contains(&format!("[`{module}`]")),
            "the map in lib.rs says nothing of {module}"
        );
    }
}

#[test]
fn core_knows_no_runtime_no_http_and_no_git() {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "-p",
            "patchwave-core",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.lines().count() > 20, "cargo tree said nothing");
    for banned in [
        "tokio",
        "hyper",
        "reqwest",
        "octocrab",
        "git2",
        "libgit2-sys",
        "ureq",
        "async-std",
    ] {
        let named = tree.lines().any(|l| l.split(' ').next() == Some(banned));
        assert!(!named, "patchwave-core depends on {banned}");
    }
}
