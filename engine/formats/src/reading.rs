//! Reading one record of an inventory: fields one by one, so that a bad one costs only itself.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use patchwave_core::observe::{Provenance, is_asset_name};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields::{Fields, Text, excerpt, fault};
use crate::sheet::Sheet;

/// How far ahead of now a clock may be without a word: more than any machine with a working time service.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// One record being read.
pub(crate) struct Reading<'r, 'a> {
    /// Its fields.
    pub(crate) fields: Fields<'a>,
    /// How the asset is called, for messages.
    pub(crate) name: &'r str,
    /// Where it stands.
    pub(crate) at: &'r Provenance,
    /// Where everything goes.
    pub(crate) sheet: &'r mut Sheet,
}

impl<'a> Reading<'_, 'a> {
    /// Says that a field was dropped, and why.
    pub(crate) fn drop_field(&mut self, why: &str) {
        self.sheet.drop_field(self.at, format!("{}: {why}", self.name));
    }

    /// A field as `T`; dropped and reported if it is none.
    pub(crate) fn get<T: Deserialize<'a>>(&mut self, field: &str) -> Option<T> {
        self.fields.get(field).unwrap_or_else(|why| {
            self.drop_field(&why);
            None
        })
    }

    /// A text without the blanks around it; empty is unknown.
    pub(crate) fn text(&mut self, field: &str) -> Option<Arc<str>> {
        self.get::<Text<'a>>(field)
            .map(|text| Arc::from(text.trim()))
            .filter(|text: &Arc<str>| !text.is_empty())
    }

    /// A list of which a bad row costs only itself.
    pub(crate) fn rows<T: Deserialize<'a>, F>(&mut self, field: &str, fact: impl Fn(T) -> F) -> Option<Arc<[F]>> {
        let rows = self.get::<Vec<&'a RawValue>>(field)?;
        let mut facts = Vec::with_capacity(rows.len());
        for (raw, at) in rows.into_iter().zip(0..) {
            match serde_json::from_str(raw.get()) {
                Ok(row) => facts.push(fact(row)),
                Err(error) => self.drop_field(&fault(&format!("{field}[{at}]"), raw, &error)),
            }
        }
        Some(facts.into())
    }
}

/// The name of an asset.
///
/// # Errors
/// Why the text cannot be one.
pub(crate) fn asset_name(text: &str) -> Result<Arc<str>, String> {
    match is_asset_name(text) {
        true => Ok(text.into()),
        false => Err(format!(
            "`{}` is no name of an asset: 1 to 253 letters, digits, `.`, `_` and `-` are",
            excerpt(text)
        )),
    }
}

impl Sheet {
    /// Says that an observation claims to be of the future.
    pub(crate) fn note_time_to_come(&mut self, at: &Provenance, name: &str, observed_at: Timestamp, now: Timestamp) {
        if observed_at.duration_since(now) > CLOCK_SKEW {
            self.note(
                at,
                format!("{name} was observed at {observed_at}, which is still to come; check its clock"),
            );
        }
    }
}
