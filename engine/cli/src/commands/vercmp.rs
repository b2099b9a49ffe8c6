//! `vercmp`: version order from the command line. Needs no repository.

use std::io::{BufRead, BufWriter, Write};

use patchwave_core::version::{Scheme, Verdict, verdict_line};

use crate::exit::{Exit, Failure};

/// Compares `a` with `b`, or every line of standard input.
pub fn run(scheme: Scheme, pair: Option<(&str, &str)>) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some((a, b)) = pair {
        let verdict = verdict_line(scheme, &format!("{a}\t{b}"));
        writeln!(out, "{verdict}")?;
        return Ok(if verdict == Verdict::Unreadable { Exit::Error } else { Exit::Done });
    }
    let mut unreadable = false;
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        // Bytes that are no UTF-8 are replaced, never dropped: for rpm they are separators either way.
        let verdict = verdict_line(scheme, &String::from_utf8_lossy(&line));
        unreadable |= verdict == Verdict::Unreadable;
        writeln!(out, "{verdict}")?;
        line.clear();
    }
    Ok(if unreadable { Exit::Error } else { Exit::Done })
}
