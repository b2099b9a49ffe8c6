//! Which branches and pull requests there should be, as values: a dry run is the absence of the last call.

mod agreements;
mod pull_request;
mod way_back;

pub use crate::history::{
    AppendError, Approved, ChainFault, Comment, CommitStatus, ForgeOp, ForgeView, GENESIS, LEDGER_VERSION, LedgerLine,
    PullRequest, PullRequestState, StatusState, append, head, holds_head, parse_chain,
};
pub use pull_request::*;
pub use way_back::*;
