//! `cargo run --release -p xtask -- fuzz`: hostile documents, by the thousand.
//!
//! Inputs are mutants of the repository's own resources and texts that grow on purpose. Each is loaded, its windows are
//! asked for their openings, and what loads is planned. A panic, a death of the process, and whatever takes longer or
//! more memory than [`SECONDS_MAX`] and [`KIB_MAX`] is a finding: its input is written to `target/fuzz/`.
//!
//! An input is known by its seed and number, so a finding can be made again: `fuzz --seed S --from N --count 1`.

mod bombs;
mod corpus;
mod mutate;
mod random;
mod worker;

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use worker::Corpus;
pub use worker::Subject;

/// What one file of at most 8 MiB, loaded beside a small repository, may take in an optimised build: CPU seconds …
const SECONDS_MAX: f64 = 2.0;

/// … and the memory of the whole process.
const KIB_MAX: u64 = 300 << 10;

/// A worker that says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What is asked of a run.
pub struct Options {
    /// What is driven.
    pub subject: Subject,
    /// How long.
    pub seconds: u64,
    /// Which inputs.
    pub seed: u64,
    /// The first of them.
    pub from: u64,
    /// How many at most.
    pub count: u64,
}

impl Options {
    /// Reads `--seconds N --seed S --from N --count N --feeds`.
    pub fn parse(words: &[&str]) -> Option<Self> {
        let mut options = Self {
            subject: Subject::Resources,
            seconds: 60,
            seed: 1,
            from: 0,
            count: u64::MAX,
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut number = || rest.next()?.parse().ok();
            match *word {
                "--seconds" => options.seconds = number()?,
                "--seed" => options.seed = number()?,
                "--from" => options.from = number()?,
                "--count" => options.count = number()?,
                "--feeds" => options.subject = Subject::Feeds,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// What was seen.
#[derive(Default)]
struct Tally {
    inputs: u64,
    bytes: u64,
    findings: Vec<String>,
    slowest: (f64, String),
    largest: (u64, String),
}

/// An input that a worker has begun.
struct Begun {
    index: u64,
    bytes: u64,
    what: String,
}

/// Runs inputs until the time is over; true if nothing was found.
///
/// # Errors
/// If no worker can be started, or a finding cannot be written.
pub fn run(root: &Path, options: &Options) -> io::Result<bool> {
    let corpus = Corpus::read(root, options.subject)?;
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let last = options.from.saturating_add(options.count);
    let (mut next, mut tally) = (options.from, Tally::default());
    while Instant::now() < end && next < last {
        let (mut child, lines) = start(options, next, last - next)?;
        let reached = follow(&mut child, &lines, end, options, &corpus, &mut tally)?;
        next = reached.unwrap_or(next) + 1;
        let _ = child.kill();
        let _ = child.wait();
    }
    println!(
        "{} inputs, {} MiB, {} findings",
        tally.inputs,
        tally.bytes >> 20,
        tally.findings.len()
    );
    println!("slowest: {:.2} s, {}", tally.slowest.0, tally.slowest.1);
    println!("largest: {} MiB, {}", tally.largest.0 >> 10, tally.largest.1);
    tally.findings.iter().for_each(|finding| println!("{finding}"));
    Ok(tally.findings.is_empty())
}

fn start(options: &Options, from: u64, count: u64) -> io::Result<(Child, Receiver<String>)> {
    let feeds = if options.subject == Subject::Feeds {
        "feeds"
    } else {
        "resources"
    };
    let mut child = Command::new(std::env::current_exe()?)
        .args(["fuzz-worker", feeds])
        .args([options.seed, from, count].map(|n| n.to_string()))
        // One core, so that what is measured does not depend on how many there are.
        .env("RAYON_NUM_THREADS", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (sender, lines) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    Ok((child, lines))
}

/// Listens to a worker; the number of the last input it began.
fn follow(
    child: &mut Child,
    lines: &Receiver<String>,
    end: Instant,
    options: &Options,
    corpus: &Corpus,
    tally: &mut Tally,
) -> io::Result<Option<u64>> {
    let mut begun: Option<Begun> = None;
    let mut reached = None;
    loop {
        let mut found =
            |what: String, begun: &Begun| keep(options, corpus, begun, &what).map(|line| tally.findings.push(line));
        let line = match lines.recv_timeout(SILENCE_MAX) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                if let Some(begun) = &begun {
                    found("hangs".into(), begun)?;
                }
                return Ok(reached);
            }
            Err(RecvTimeoutError::Disconnected) => {
                if let Some(begun) = &begun {
                    found("the process died".into(), begun)?;
                }
                return Ok(reached);
            }
        };
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["start", index, bytes, path, made] => {
                let index = index.parse().unwrap_or(0);
                reached = Some(index);
                let what = format!("input {index}, {bytes} bytes, {path}, {made}");
                begun = Some(Begun {
                    index,
                    bytes: bytes.parse().unwrap_or(0),
                    what,
                });
            }
            ["panic", _, message] => {
                if let Some(begun) = &begun {
                    found(format!("panic: {message}"), begun)?;
                }
            }
            ["end", _, seconds, kib, said] => {
                let Some(begun) = begun.take() else { continue };
                let (seconds, kib) = (seconds.parse().unwrap_or(0.0), kib.parse().unwrap_or(0));
                if seconds > SECONDS_MAX || kib > KIB_MAX {
                    found(format!("{seconds:.2} s, {} MiB, {said}", kib >> 10), &begun)?;
                }
                tally.inputs += 1;
                tally.bytes += begun.bytes;
                if seconds > tally.slowest.0 {
                    tally.slowest = (seconds, begun.what.clone());
                }
                if kib > tally.largest.0 {
                    tally.largest = (kib, begun.what);
                }
                if Instant::now() > end {
                    return Ok(reached);
                }
                // Memory that the allocator keeps would be counted for the next input.
                if kib > KIB_MAX / 3 {
                    return Ok(reached);
                }
            }
            _ => {}
        }
    }
}

/// Writes an input to `target/fuzz/`.
fn keep(options: &Options, corpus: &Corpus, begun: &Begun, what: &str) -> io::Result<String> {
    let folder = PathBuf::from("target/fuzz");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{}-{}.input", options.seed, begun.index));
    std::fs::write(&file, corpus.input(options.seed, begun.index).bytes)?;
    let line = format!("{what}: {} ({})", begun.what, file.display());
    eprintln!("{line}");
    Ok(line)
}

/// The worker's side: `fuzz-worker resources|feeds SEED FROM COUNT`.
///
/// # Errors
/// If the corpus cannot be read, or nobody listens.
pub fn work(root: &Path, subject: &str, seed: &str, from: &str, count: &str) -> io::Result<bool> {
    let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
    let subject = if subject == "feeds" {
        Subject::Feeds
    } else {
        Subject::Resources
    };
    worker::work(root, subject, number(seed)?, number(from)?, number(count)?)?;
    Ok(true)
}
