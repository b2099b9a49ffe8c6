//! The language server.

use crate::commands::Context;
use crate::exit::{Exit, Failure};

/// Serves one editor over standard input and output.
pub fn run(_: &Context) -> Result<Exit, Failure> {
    Err(Failure::new("this version has no language server"))
}
