//! Reading one record of an inventory: fields one by one, so that a bad one costs only itself.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use patchwave_core::observe::{
    AssetRecord, Facts, Package, PackageId, PackageState, Provenance, Symbol, Tables, is_asset_name,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields::{Fields, Text, excerpt, fault};
use crate::sheet::{ListField, ListUse, RowId, Sheet};

/// How far ahead of now a clock may be without a word: more than any machine with a working time service.
pub(crate) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

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

/// The parts of a package as a foreign format names them; empty is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row<'t> {
    /// Name of the binary package.
    pub(crate) name: &'t str,
    /// Version in full, epoch included.
    pub(crate) version: &'t str,
    /// Architecture.
    pub(crate) arch: &'t str,
    /// Source package.
    pub(crate) source: &'t str,
}

/// A package of a row, or why it is none.
pub(crate) fn package(row: Row<'_>, tables: &mut Tables) -> Result<PackageId, String> {
    let Row {
        name,
        version,
        arch,
        source,
    } = row;
    if name.is_empty() || version.is_empty() {
        return Err(format!("`{}` was dropped: its name or version is empty", excerpt(name)));
    }
    if [name, version, arch, source]
        .iter()
        .any(|text| text.chars().any(char::is_control))
    {
        return Err(format!("`{}` was dropped: it holds control characters", excerpt(name)));
    }
    let package = Package {
        name: tables.intern(name),
        version: tables.intern(version),
        arch: tables.intern(arch),
        source: tables.intern(source),
        source_version: Symbol::default(),
        module: Symbol::default(),
        held: false,
        state: PackageState::default(),
    };
    Ok(tables.package_id(package))
}

impl Sheet {
    /// Gives the record that is pushed next a package list.
    pub(crate) fn give_list(&mut self, field: ListField, packages: Vec<PackageId>) {
        let mut rows: Vec<RowId> = packages.into_iter().map(RowId::new).collect();
        rows.sort_unstable();
        let record = self.batch.assets.len();
        self.uses.push((record, field, ListUse::New(self.lists.len())));
        self.lists.push((rows, None));
    }

    /// Takes in what one record says of one asset; that it claims to be of the future is said.
    pub(crate) fn take_asset(
        &mut self,
        at: &Provenance,
        name: Arc<str>,
        (observed_at, now): (Timestamp, Timestamp),
        facts: Facts,
    ) {
        if observed_at.duration_since(now) > CLOCK_SKEW {
            self.note(
                at,
                format!("{name} was observed at {observed_at}, which is still to come; check its clock"),
            );
        }
        self.read();
        self.batch.assets.push(AssetRecord {
            name,
            observed_at,
            provenance: at.clone(),
            facts,
        });
    }
}
