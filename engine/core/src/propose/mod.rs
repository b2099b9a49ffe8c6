//! Which branches and pull requests there should be, as values: a dry run is the absence of the last call.

mod forge;
mod ledger;

pub use forge::*;
pub use ledger::*;
