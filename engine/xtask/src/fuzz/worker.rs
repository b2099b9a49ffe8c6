//! Reads one input after the other and says how it went. A worker may die of an input: the one who started it goes on
//! behind it.

use std::borrow::Cow;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use jiff::Timestamp;
use patchwave_core::diag::render::text;
use patchwave_core::diag::{Diagnostics, Severity};
use patchwave_core::load::{Catalog, load, schedule};
use patchwave_core::observe::Batch;
use patchwave_core::rehearse::{Given, world};
use patchwave_core::source::{SourceFile, SourceSet};
use patchwave_core::time::FreezeSet;
use patchwave_formats::InputFile;

use super::corpus::{self, Sample};
use super::random::Random;
use super::{bombs, mutate};

/// What is driven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Loading resources, and what follows of those that load.
    Resources,
    /// Reading feeds.
    Feeds,
}

/// Everything inputs are made from.
pub struct Corpus {
    repository: Vec<Sample>,
    samples: Vec<Sample>,
    subject: Subject,
}

/// An input.
pub struct Input {
    /// Which file of the repository it takes the place of, or is added as.
    pub path: String,
    /// How it was made.
    pub made: String,
    /// What it says.
    pub bytes: Vec<u8>,
}

impl Corpus {
    /// Reads the corpus of a repository.
    ///
    /// # Errors
    /// If a file of it cannot be read.
    pub fn read(root: &Path, subject: Subject) -> io::Result<Self> {
        let samples = match subject {
            Subject::Resources => corpus::resources(root)?,
            Subject::Feeds => corpus::feeds(root)?,
        };
        Ok(Self {
            repository: corpus::repository(root)?,
            samples,
            subject,
        })
    }

    /// Input number `index` of a seed.
    pub fn input(&self, seed: u64, index: u64) -> Input {
        let mut random = Random::new(seed, index);
        if self.subject == Subject::Resources && random.once_in(6) {
            let (name, text) = bombs::bomb(&mut random);
            let mut bytes = text.into_bytes();
            bytes.truncate(mutate::BYTES_MAX);
            return Input {
                path: "policies/fuzz.yaml".into(),
                made: format!("bomb {name}"),
                bytes,
            };
        }
        let Some(sample) = random.one(&self.samples) else {
            return Input {
                path: String::new(),
                made: "nothing".into(),
                bytes: Vec::new(),
            };
        };
        let inside = self.repository.iter().any(|file| file.path == sample.path);
        let path = if inside || self.subject == Subject::Feeds {
            sample.path.clone()
        } else {
            "policies/fuzz.yaml".into()
        };
        Input {
            path,
            made: format!("mutant of {}", sample.path),
            bytes: mutate::mutate(&mut random, &sample.text, &self.samples),
        }
    }

    /// Drives what is there with an input; says what came of it.
    pub fn drive(&self, input: &Input) -> String {
        match self.subject {
            Subject::Resources => self.resources(input),
            Subject::Feeds => feeds(input),
        }
    }

    fn resources(&self, input: &Input) -> String {
        let others = self.repository.iter().filter(|file| file.path != input.path);
        let mut files: Vec<SourceFile> = others.map(|f| SourceFile::new(&f.path, &f.text)).collect();
        files.push(SourceFile::from_bytes(&input.path, input.bytes.clone()));
        let set = SourceSet {
            files,
            present: ["fleets/observed/facts.ndjson".to_owned()].into(),
            ..SourceSet::default()
        };
        let now = now();
        let (catalog, diagnostics) = load(&set, now);
        let shown = shown(&diagnostics, &set);
        windows(&catalog, now);
        if diagnostics.has_errors() {
            return format!("{} errors, {shown} bytes shown", diagnostics.count(Severity::Error));
        }
        let tests = catalog
            .tests
            .values()
            .map(|t| (&t.spec.assets, &t.spec.advisories, t.spec.memory.as_ref()));
        let mut planned = 0;
        for (assets, advisories, memory) in tests.take(20) {
            let given = Given {
                assets,
                advisories,
                memory,
                doc: None,
            };
            planned += world(&catalog, &given, now, &read_native).plan.rollouts.len();
        }
        let (assets, advisories) = given();
        let given = Given {
            assets: &assets,
            advisories: &advisories,
            memory: None,
            doc: None,
        };
        planned += world(&catalog, &given, now, &read_native).plan.rollouts.len();
        format!("loads, {planned} rollouts")
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_176_000).unwrap_or_default()
}

fn shown(diagnostics: &Diagnostics, set: &SourceSet) -> usize {
    text::document(diagnostics, set, false).len()
}

/// The next openings of every window, and the cuts of every policy.
fn windows(catalog: &Catalog, now: Timestamp) {
    for resource in catalog.windows.values().take(200) {
        if let Ok(window) = schedule::window(resource, catalog) {
            let _ = window.status(now, &FreezeSet::EMPTY);
            let _ = window.openings(now, &FreezeSet::EMPTY).take(5).count();
        }
    }
    for policy in catalog.policies.values().take(200) {
        if let Some(Ok(cadence)) = policy
            .spec
            .cadence
            .as_ref()
            .map(|c| schedule::recurrence(c, &catalog.zone.0))
        {
            let _ = (cadence.next_after(now), cadence.last_before(now));
        }
    }
}

fn read_native(source: &Arc<str>, lines: &[u8], now: Timestamp) -> Result<Batch, String> {
    let file = InputFile {
        path: "assets.ndjson".into(),
        bytes: Cow::Borrowed(lines),
    };
    patchwave_formats::read("native", source, &[file], now).map_err(|e| e.to_string())
}

type Assets = Vec<serde_json::Map<String, serde_json::Value>>;

/// A few assets and an advisory that hits them.
fn given() -> (Assets, Vec<patchwave_core::load::wire::TestAdvisory>) {
    let asset = |i: usize| {
        let env = ["test", "staging", "prod"].get(i % 3).copied().unwrap_or("test");
        serde_json::json!({
            "name": format!("a{i}"), "labels": {"env": env, "environment": env, "os": "linux"},
            "os": {"family": "rhel", "id": "almalinux", "version": "9.4", "arch": "x86_64"},
            "packages": [{"name": "openssl-libs", "version": "1:3.0.7-24.el9", "arch": "x86_64"}],
        })
    };
    let assets = (0..12).filter_map(|i| asset(i).as_object().cloned()).collect();
    let advisory = serde_json::json!([{
        "id": "EX-1", "severity": "high", "published": "2026-11-18",
        "fixes": [{"ecosystem": "AlmaLinux:9", "package": "openssl-libs", "fixed": "1:3.0.7-27.el9"}],
    }]);
    (assets, serde_json::from_value(advisory).unwrap_or_default())
}

fn feeds(input: &Input) -> String {
    let source: Arc<str> = "fuzz".into();
    let mut records = 0;
    for format in patchwave_formats::FORMATS.iter().filter(|f| f.read.is_some()) {
        let name = format.name;
        let extension = input.path.rsplit_once('.').map_or("json", |(_, extension)| extension);
        let file = InputFile {
            path: format!("x.{extension}").into(),
            bytes: Cow::Borrowed(&input.bytes),
        };
        if let Ok(batch) = patchwave_formats::read(name, &source, &[file], now()) {
            records += batch.account.total;
        }
    }
    format!("{records} records")
}

/// CPU seconds and peak memory of this process so far (proc(5)); zeroes where there is no /proc.
fn usage() -> (f64, u64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<u64>().ok())
        .sum();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let peak = peak
        .and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    /// `CLK_TCK` is 100 on every Linux architecture that matters.
    const TICKS_PER_SECOND: f64 = 100.0;
    (ticks as f64 / TICKS_PER_SECOND, peak)
}

/// Drives one file in a process of its own, whose memory is that of this input alone, and writes how it ended.
///
/// # Errors
/// If the file cannot be read, or nobody listens.
pub fn one(root: &Path, subject: Subject, path: &str, file: &Path) -> io::Result<()> {
    let corpus = Corpus::read(root, subject)?;
    let input = Input {
        path: path.to_owned(),
        made: String::new(),
        bytes: fs::read(file)?,
    };
    let said = corpus.drive(&input);
    let (seconds, peak) = usage();
    writeln!(io::stdout(), "end\t0\t{seconds:.2}\t{peak}\t{said}")
}

/// Runs inputs from `from` on and writes three lines a piece: started, panic if any, ended.
///
/// # Errors
/// If nobody listens any more.
pub fn work(root: &Path, subject: Subject, seed: u64, from: u64, count: u64) -> io::Result<()> {
    let corpus = Corpus::read(root, subject)?;
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = io::stdout().lock();
    for index in from..from.saturating_add(count) {
        let input = corpus.input(seed, index);
        writeln!(
            out,
            "start\t{index}\t{}\t{}\t{}",
            input.bytes.len(),
            input.path,
            input.made
        )?;
        out.flush()?;
        // "5" sets the peak back to what is in use now.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let (before, _) = usage();
        let outcome = catch_unwind(AssertUnwindSafe(|| corpus.drive(&input)));
        let (after, peak) = usage();
        let said = match outcome {
            Ok(said) => said,
            Err(payload) => {
                let text = payload.downcast_ref::<String>().cloned();
                let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                writeln!(
                    out,
                    "panic\t{index}\t{}",
                    text.unwrap_or_default().replace(['\n', '\t'], " ")
                )?;
                String::from("panic")
            }
        };
        writeln!(out, "end\t{index}\t{:.2}\t{peak}\t{said}", after - before)?;
    }
    Ok(())
}
