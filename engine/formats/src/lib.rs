//! Foreign bytes to observations and advisories.
//!
//! Pure: bytes and `now` come in, a [`Batch`] goes out. One folder a format; [`FORMATS`] is the list of what there is.
//! Common to all of them:
//!
//! - `container` unfolds `.gz`, `.zst`, `.tar` and `.zip`, nested too, within bounds;
//! - `cut` cuts documents into records, and `records` reads them on every core; what comes out does not depend on
//!   how many;
//! - `sheet` keeps the account: read + skipped = total, and every loss has a file, a record and a reason.
//!
//! To add a format: a folder with a `records::RecordReader`, and its line in [`FORMATS`].

mod ansible_facts;
mod container;
mod cut;
mod documents;
mod epss;
mod fields;
mod katello;
mod kev;
mod kubernetes;
pub mod monitors;
mod msrc;
mod native;
mod nvidia_smi;
mod os_names;
mod osv;
mod reading;
mod records;
mod registry;
mod sheet;
mod vulnrichment;
mod windows;
mod wsus;
mod xml;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::observe::Batch;

pub use container::Limits;
pub use registry::{ANY_NAME, FORMATS, FormatEntry, find};

/// One file to be read.
#[derive(Clone, Debug)]
pub struct InputFile<'a> {
    /// How it is called in accounts and provenance, relative to the repository root; its extensions say what it is.
    pub path: Arc<str>,
    /// What is in it.
    pub bytes: Cow<'a, [u8]>,
}

/// Why nothing could be read at all. Faults of files and records are no errors: they stand in the account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such format.
    #[error("`{0}` is no format; the formats there are: {list}", list = registry::names())]
    Unknown(String),
    /// The format is known but cannot be read yet.
    #[error("format `{0}` is not built; this source cannot be read by this version of patchwave")]
    NotBuilt(String),
}

/// Reads every file of one source.
///
/// `format` is the `type` of the Source, `source` its name. Files are taken in order of their paths, whatever order
/// they come in; the result depends on nothing but the arguments, and not on the number of threads. `now` only tells
/// which observations claim to be of the future.
///
/// # Errors
/// [`ReadError`] if the format is not one that can be read.
pub fn read(format: &str, source: &Arc<str>, files: &[InputFile<'_>], now: Timestamp) -> Result<Batch, ReadError> {
    let entry = find(format).ok_or_else(|| ReadError::Unknown(format.to_owned()))?;
    let read = entry.read.ok_or_else(|| ReadError::NotBuilt(format.to_owned()))?;
    Ok(read(entry, source, files, now))
}
