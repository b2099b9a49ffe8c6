//! The language server: diagnostics while typing, completion, hover, ways between resources.
//!
//! ```text
//! messages ─► server: order, cancelling ─► workspace: buffers over files, one load ─► answers (pure)
//! ```
//! One thread, no runtime: a load of a changed file takes less than a keystroke. Messages that have arrived are taken in
//! before anything is computed, so typing faster than the server answers costs one load, not one a key.

mod complete;
mod cursor;
mod flow;
mod hover;
mod navigate;
mod position;
mod problems;
mod server;
mod shape;
mod uri;
mod workspace;

use jiff::Timestamp;
use lsp_server::Connection;

use crate::commands::Context;
use crate::exit::{Exit, Failure};

/// Serves one editor over standard input and output until it says goodbye. With `fixed_now` every answer is for that
/// instant, else for that of the clock.
pub fn run(context: &Context, fixed_now: Option<Timestamp>) -> Result<Exit, Failure> {
    let (connection, threads) = Connection::stdio();
    let clock = move || fixed_now.unwrap_or_else(Timestamp::now);
    let exit = server::serve(&connection, &context.root, &clock)?;
    // The writer ends when the connection is gone.
    drop(connection);
    threads.join()?;
    Ok(exit)
}

#[cfg(test)]
mod tests;
