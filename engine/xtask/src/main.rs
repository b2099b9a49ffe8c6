//! Chores of the repository.
//!
//! `cargo run -p xtask -- generate` writes the generated files, `generate --check` only says which of them are stale.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore speaks to the person who started it"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "chores read and write the work tree; they are no part of the engine"
)]

mod estate;
mod fuzz;
mod lab;
mod simulate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, io};

use patchwave_core::diag::Manual;
use patchwave_core::load::{TargetsPage, schema};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["generate"] => generate(false),
        ["generate", "--check"] => generate(true),
        ["estate", template, assets, out] => match assets.parse() {
            Ok(assets) => estate::write(Path::new(template), assets, Path::new(out)),
            Err(_) => Err(io::Error::other(format!("`{assets}` is no number of assets"))),
        },
        ["resources", files, out] => match files.parse() {
            Ok(files) => estate::write_resources(files, Path::new(out)),
            Err(_) => Err(io::Error::other(format!("`{files}` is no number of files"))),
        },
        ["floor", file, bytes] => estate::floor(Path::new(file), bytes.parse().unwrap_or(0)),
        ["fuzz", options @ ..] => match fuzz::Options::parse(options) {
            Some(options) => fuzz::run(&root(), &options),
            None => Err(io::Error::other(
                "usage: fuzz [--seconds N] [--seed S] [--from N] [--count N] [--feeds]",
            )),
        },
        ["kill", options @ ..] => kill(options),
        ["lab", options @ ..] => lab::lab(&root(), options),
        ["simulate", options @ ..] => match simulate::Options::parse(options) {
            Some(options) => simulate::run(&options),
            None => Err(io::Error::other(format!("usage: {}", simulate::USAGE))),
        },
        ["fuzz-one", subject, path, file] => fuzz::one(&root(), subject, path, file),
        ["fuzz-worker", subject, seed, from, count] => fuzz::work(&root(), subject, seed, from, count),
        _ => {
            eprintln!(
                "usage: cargo run -p xtask -- generate [--check] | kill [--times N] [--seed S] | fuzz [--seconds N] [--seed S] [--feeds] | {} | {} | estate TEMPLATE ASSETS OUT | resources FILES OUT | floor FILE.zst OUTPUT_BYTES",
                simulate::USAGE,
                lab::USAGE
            );
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The long form of the test that kills runs of the binary: how often, and with which seed.
fn kill(options: &[&str]) -> io::Result<bool> {
    let mut test = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    test.args([
        "test",
        "--quiet",
        "--test",
        "e2e",
        "--",
        "--nocapture",
        "killed_at_any_moment",
    ])
    .current_dir(root())
    .env("PATCHWAVE_KILLS", "200");
    let (pairs, rest) = options.as_chunks::<2>();
    for [name, value] in pairs {
        match *name {
            "--times" => test.env("PATCHWAVE_KILLS", value),
            "--seed" => test.env("PATCHWAVE_SEED", value),
            _ => return Err(io::Error::other("usage: kill [--times N] [--seed S]")),
        };
    }
    if !rest.is_empty() {
        return Err(io::Error::other("usage: kill [--times N] [--seed S]"));
    }
    Ok(test.status()?.success())
}

/// Every generated file: path below the root → text. A folder in [`OWNED`] holds nothing else.
fn generated() -> BTreeMap<PathBuf, String> {
    let schemas = schema::files().into_iter();
    let mut files: BTreeMap<PathBuf, String> = schemas
        .map(|(name, text)| (Path::new("schemas/v1").join(name), text))
        .collect();
    files.insert("docs/diagnostics.md".into(), Manual.to_string());
    files.insert("docs/reference.md".into(), schema::reference::page());
    files.insert("docs/targets.md".into(), TargetsPage.to_string());
    files
}

/// Folders whose every file is generated; a file that is no longer generated is removed.
const OWNED: &[&str] = &["schemas/v1"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn generate(check: bool) -> io::Result<bool> {
    let files = generated();
    let mut stale = Vec::new();
    for (path, text) in &files {
        let full = root().join(path);
        if fs::read_to_string(&full).ok().as_deref() == Some(text) {
            continue;
        }
        stale.push(path.clone());
        if !check {
            if let Some(folder) = full.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&full, text)?;
        }
    }
    for folder in OWNED {
        let Ok(entries) = fs::read_dir(root().join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = Path::new(folder).join(entry?.file_name());
            if !files.contains_key(&path) {
                if !check {
                    fs::remove_file(root().join(&path))?;
                }
                stale.push(path);
            }
        }
    }
    for path in &stale {
        println!("{} {}", if check { "stale" } else { "wrote" }, path.display());
    }
    Ok(!check || stale.is_empty())
}
