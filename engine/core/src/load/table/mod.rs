//! Decision tables in the JSON form that CERT/CC publishes for SSVC (<https://github.com/CERTCC/SSVC>,
//! `data/json/decision_tables`): `namespace`, `key`, `version`, `decision_points`, `outcome`, `mapping`.
//!
//! Any table can be an SLA whose decision points are [`Input`]s. A table is taken only whole: every combination of values
//! has exactly one row, so that it always has an answer.

mod input;
mod parse;
mod strict;

#[cfg(test)]
mod tests;

pub use input::Input;
pub use parse::parse;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalog::Resources;
use super::wire::{SlaPolicySpec, SlaTable};
use crate::source::SourceSet;

/// The tables that come with the engine, by the word of `table.pack`.
const PACKS: &[(&str, &str)] = &[
    ("cisa-bod-26-04", include_str!("packs/cisa-bod-26-04.json")),
    ("critical-24h", include_str!("packs/critical-24h.json")),
    ("pci-dss-4.0.1", include_str!("packs/pci-dss-4.0.1.json")),
];

/// A table that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionTable {
    /// `namespace:key:version`, for people.
    pub id: String,
    /// What it asks, in order of the ids of its decision points.
    pub columns: Vec<Column>,
    /// The keys of its outcomes, as it declares them.
    pub outcomes: Vec<String>,
    /// For each combination of values, in mixed radix with the last column fastest: the place of its outcome.
    cells: Vec<usize>,
}

/// One decision point of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// `namespace:key:version`.
    pub id: String,
    /// Where its value comes from.
    pub input: Input,
}

impl DecisionTable {
    /// The outcomes that are possible given the value of each column, as places in [`Input::keys`]; a column without a
    /// value may have any. Places in [`DecisionTable::outcomes`], ascending, each once; never empty when `values` has
    /// one entry for each column.
    pub fn possible(&self, values: &[Option<usize>]) -> Vec<usize> {
        let mut cells = vec![0];
        for (column, value) in self.columns.iter().zip(values) {
            let radix = column.input.keys().len();
            let digits = match value {
                Some(value) => *value..value + 1,
                None => 0..radix,
            };
            let next = |cell: usize| digits.clone().map(move |digit| cell * radix + digit);
            cells = cells.into_iter().flat_map(next).collect();
        }
        let mut found: Vec<usize> = cells.iter().filter_map(|cell| self.cells.get(*cell)).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFault {
    /// JSON pointer into the table, or `line:column` where it is not JSON; empty = the table as a whole.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Why there is no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTable {
    /// No such file, or one that cannot be read; why.
    Unreadable(String),
    /// It is no table, or not a whole one.
    Wrong(Vec<TableFault>),
    /// Nobody looked for the file, or a rule about names speaks: nothing is known.
    NotLooked,
}

/// The table that an SlaPolicy names.
///
/// # Errors
/// Why it cannot be asked.
pub fn named(table: &SlaTable, set: &SourceSet) -> Result<DecisionTable, NoTable> {
    if let Some(pack) = table.pack.as_deref().filter(|_| table.file.is_none()) {
        let text = PACKS.iter().find(|(name, _)| *name == pack).map(|(_, text)| *text);
        return text.map_or(Err(NoTable::NotLooked), |text| parse(text).map_err(NoTable::Wrong));
    }
    let Some(file) = table.file.as_deref().filter(|_| table.pack.is_none()) else {
        return Err(NoTable::NotLooked);
    };
    match (set.blobs.get(file), set.unread.get(file)) {
        (Some(text), _) => parse(text).map_err(NoTable::Wrong),
        (None, Some(why)) => Err(NoTable::Unreadable(why.clone())),
        (None, None) => Err(NoTable::NotLooked),
    }
}

/// The tables of every SlaPolicy that has one that can be asked, by the name of the SlaPolicy.
pub(crate) fn tables(slas: &Resources<SlaPolicySpec>, set: &SourceSet) -> BTreeMap<Arc<str>, Arc<DecisionTable>> {
    let table = |spec: &SlaPolicySpec| named(spec.table.as_ref()?, set).ok().map(Arc::new);
    slas.iter()
        .filter_map(|(name, sla)| Some((Arc::clone(name), table(&sla.spec)?)))
        .collect()
}

/// The files that SlaPolicies name as their tables, sorted: whoever reads the repository puts their texts into
/// [`SourceSet::blobs`], or the reason why it cannot into [`SourceSet::unread`].
pub fn files(slas: &Resources<SlaPolicySpec>) -> Vec<String> {
    let mut files: Vec<String> = slas
        .values()
        .filter_map(|sla| sla.spec.table.as_ref()?.file.clone())
        .collect();
    files.sort();
    files.dedup();
    files
}
