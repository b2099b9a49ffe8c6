//! What the lab did and saw: one line for each assertion that held, on the terminal and in a file.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Error, Write};
use std::path::Path;
use std::time::Instant;

/// The lines so far.
pub struct Transcript {
    file: File,
    started: Instant,
}

impl Transcript {
    /// Begins a new file.
    pub fn new(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self {
            file,
            started: Instant::now(),
        })
    }

    /// Begins a phase.
    pub fn phase(&mut self, number: u8, what: &str) -> io::Result<()> {
        self.line(&format!("== {number} {what}"))
    }

    /// Says what was done, or what is as it must be.
    pub fn say(&mut self, what: &str) -> io::Result<()> {
        self.line(&format!("   {what}"))
    }

    /// Says that something is as it must be, or ends the lab.
    pub fn equal<T: PartialEq + Debug>(&mut self, what: &str, seen: &T, expected: &T) -> io::Result<()> {
        if seen == expected {
            return self.say(&format!("{what}: {seen:?}"));
        }
        Err(self.failed(&format!("{what}\n   expected {expected:?}\n   seen     {seen:?}")))
    }

    /// Says that something holds, or ends the lab with what was seen instead.
    pub fn holds(&mut self, what: &str, holds: bool, seen: &dyn Debug) -> io::Result<()> {
        if holds {
            return self.say(what);
        }
        Err(self.failed(&format!("{what}\n   that does not hold; seen: {seen:#?}")))
    }

    /// The error that ends the lab; it stands in the transcript too.
    fn failed(&mut self, why: &str) -> Error {
        let text = format!("FAILED {why}");
        // The error is told in any case.
        let _ = self.line(&text);
        Error::other(text)
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        let line = format!("{:>6.1}s {text}", self.started.elapsed().as_secs_f32());
        println!("{line}");
        writeln!(self.file, "{line}")
    }
}
