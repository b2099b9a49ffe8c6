//! `reconcile --interval` in a build without the feature `daemon`.

use jiff::Timestamp;

use super::Context;
use crate::args::{ReconcileFormat, Schedule};
use crate::exit::{Exit, Failure};

/// Says which build is needed.
pub fn run(_: &Context, _: Option<Timestamp>, _: &Schedule, _: ReconcileFormat) -> Result<Exit, Failure> {
    Err(Failure::with_help(
        "this build of patchwave runs once only: it was built without the feature `daemon`",
        "build it with `--features daemon`, or start `patchwave reconcile --once` from a timer",
    ))
}
