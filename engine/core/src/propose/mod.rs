//! Which branches and pull requests there should be, as values: a dry run is the absence of the last call.

mod forge;
mod ledger;
mod ledger_chain;
mod pull_request;

pub use forge::*;
pub use ledger::*;
pub use ledger_chain::{AppendError, ChainFault, append, head, holds_head, parse_chain};
pub use pull_request::*;
