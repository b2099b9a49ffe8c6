//! Where words go: results to standard output, everything else to standard error.

use std::io::{self, Write};

use crate::exit::Failure;

/// How to speak.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Only results and errors.
    pub quiet: bool,
    /// With colours.
    pub colour: bool,
    /// What goes to standard error goes there as log lines, so that it is one JSON object a line altogether.
    pub as_log: bool,
}

impl Output {
    /// A result, to standard output. A reader that has gone away (`| head`) is no error.
    pub fn result(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream(|out| out.write_all(bytes))
    }

    /// A result that `write` writes piece by piece, as [`Output::result`].
    pub fn stream(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match write(&mut out).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(format!("standard output cannot be written: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// A line of result text.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        self.result(text.as_bytes())?;
        if text.is_empty() || text.ends_with('\n') {
            Ok(())
        } else {
            self.result(b"\n")
        }
    }

    /// A JSON document as a result.
    pub fn json<T: serde::Serialize>(&self, value: &T) -> Result<(), Failure> {
        let mut bytes = serde_json::to_vec_pretty(value)?;
        bytes.push(b'\n');
        self.result(&bytes)
    }

    /// Something said besides the result, to standard error; nothing when quiet.
    pub fn say(&self, text: &str) {
        if self.as_log {
            tracing::warn!("{text}");
        } else if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Text that must be seen even when quiet, to standard error.
    pub fn warn(&self, text: &str) {
        if self.as_log {
            let text = text.trim_end();
            // Quiet, only errors are said here, and only lines of that level are written.
            match self.quiet {
                _ if text.trim().is_empty() => {}
                true => tracing::error!("{text}"),
                false => tracing::warn!("{text}"),
            }
        } else {
            let _ = write!(io::stderr(), "{text}");
        }
    }

    /// A failure, to standard error.
    pub fn failure(&self, failure: &Failure) {
        if self.as_log {
            tracing::error!(help = failure.help.as_deref(), "{}", failure.message);
            return;
        }
        let (on, off) = if self.colour {
            ("\u{1b}[1;31m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        let _ = writeln!(io::stderr(), "{on}error{off}: {}", failure.message);
        if let Some(help) = &failure.help {
            let _ = writeln!(io::stderr(), "  help: {help}");
        }
    }
}
