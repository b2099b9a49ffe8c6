//! osv
use crate::records::RecordReader;
use crate::sheet::{KnownLists, Sheet};
pub(crate) struct Osv;
impl RecordReader for Osv {
    fn record(&self, _: &[u8], _: &patchwave_core::observe::Provenance, _: &KnownLists, _: &mut Sheet) {}
}
