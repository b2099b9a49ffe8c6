//! Reads `A<TAB>B` lines on stdin and prints one verdict a line: `<`, `=`, `>`, or `?` where a line is unreadable.
//!
//! `cargo run -p patchwave-core --example vercmp rpm < pairs.tsv`
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use patchwave_core::version::{Scheme, Verdict, verdict_line};

fn main() -> io::Result<ExitCode> {
    let Some(scheme) = std::env::args().nth(1).as_deref().and_then(Scheme::parse) else {
        let names: Vec<&str> = Scheme::ALL.iter().map(|scheme| scheme.as_str()).collect();
        writeln!(io::stderr(), "usage: vercmp {} < pairs.tsv", names.join("|"))?;
        return Ok(ExitCode::from(2));
    };
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut unreadable = false;
    for line in io::stdin().lock().split(b'\n') {
        let verdict = verdict_line(scheme, &String::from_utf8_lossy(&line?));
        unreadable |= verdict == Verdict::Unreadable;
        writeln!(stdout, "{verdict}")?;
    }
    stdout.flush()?;
    Ok(if unreadable {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
