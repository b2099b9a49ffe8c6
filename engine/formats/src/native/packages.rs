//! Package lists: nearly all the bytes of an inventory, so they are read without copying texts that are known.

use patchwave_core::observe::{Package, PackageId, PackageState, Symbol, Tables};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::fields::{Fields, Text, excerpt};
use crate::sheet::{Known, ListDigest, RowId, Sheet};

/// The key by which a list is known again. A digest instead of the bytes, because they would be kept for the whole
/// run; a cryptographic one, because two lists taken for one would hide what is installed.
pub(super) fn digest(raw: &RawValue) -> ListDigest {
    Sha256::digest(raw.get().as_bytes()).into()
}

/// A row as it should be.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow, default)]
    arch: Option<Text<'a>>,
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
    #[serde(borrow, default)]
    module: Option<Text<'a>>,
    #[serde(default)]
    held: Option<bool>,
    #[serde(borrow, default)]
    state: Option<Text<'a>>,
}

/// Reads a list. Rows whose bytes are known are not looked into. `lost` takes what was dropped, and why; a value that
/// is no list gives none.
pub(super) fn read(
    field: &str,
    raw: &RawValue,
    known: &Known,
    sheet: &mut Sheet,
    lost: &mut Vec<String>,
) -> Option<Vec<RowId>> {
    let rows = match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        Ok(rows) => rows,
        Err(error) => {
            lost.push(crate::fields::fault(field, raw, &error));
            return None;
        }
    };
    let mut ids = Vec::with_capacity(rows.len());
    for (raw, at) in rows.into_iter().zip(0..) {
        let bytes = raw.get().as_bytes();
        if let Some(id) = known.rows.get(bytes) {
            ids.push(RowId::known(*id));
        } else if let Some(id) = sheet.rows.get(bytes) {
            ids.push(RowId::new(*id));
        } else {
            let before = lost.len();
            let mut lose = |why: String| lost.push(format!("{field}[{at}]: {why}"));
            let row = serde_json::from_str::<Row<'_>>(raw.get())
                .ok()
                .or_else(|| lenient(raw, &mut lose));
            let id = row.and_then(|row| package(&row, &mut sheet.batch.tables, &mut lose));
            ids.extend(id.map(RowId::new));
            if let Some(id) = id.filter(|_| lost.len() == before) {
                sheet.rows.insert(bytes.into(), id);
            }
        }
    }
    ids.sort_unstable();
    Some(ids)
}

/// A row whose faults cost only the field they are in, unless that is the name or the version.
fn lenient<'a>(raw: &'a RawValue, lose: &mut impl FnMut(String)) -> Option<Row<'a>> {
    let fields = match Fields::parse(raw.get().as_bytes()) {
        Ok(fields) => fields,
        Err(_) => {
            lose(format!("dropped: it reads {}, which is no package", excerpt(raw.get())));
            return None;
        }
    };
    let mut text = |name: &str| {
        fields.get::<Text<'a>>(name).unwrap_or_else(|why| {
            lose(why);
            None
        })
    };
    let (name, version) = (text("name"), text("version"));
    let (arch, source, module, state) = (text("arch"), text("source"), text("module"), text("state"));
    let held = fields.get("held").unwrap_or_else(|why| {
        lose(why);
        None
    });
    match (name, version) {
        (Some(name), Some(version)) => Some(Row {
            name,
            version,
            arch,
            source,
            module,
            held,
            state,
        }),
        (name, _) => {
            let name = name.map_or_else(|| "a package".to_owned(), |name| format!("`{}`", excerpt(&name)));
            lose(format!("{name} was dropped: `name` and `version` are needed"));
            None
        }
    }
}

fn package(row: &Row<'_>, tables: &mut Tables, lose: &mut impl FnMut(String)) -> Option<PackageId> {
    let mut sound = |what: &str, text: &str| {
        let sound = !text.chars().any(char::is_control);
        if !sound {
            lose(format!(
                "`{what}` was dropped: `{}` holds control characters",
                excerpt(text)
            ));
        }
        sound
    };
    let (name, version) = (row.name.trim(), row.version.trim());
    if name.is_empty() || version.is_empty() {
        lose(format!("`{}` was dropped: its name or version is empty", excerpt(name)));
        return None;
    }
    if !sound("name", name) || !sound("version", version) {
        return None;
    }
    let mut optional = |what: &str, text: &Option<Text<'_>>| match text.as_deref().map(str::trim) {
        Some(text) if sound(what, text) => tables.intern(text),
        _ => Symbol::default(),
    };
    let (arch, module) = (optional("arch", &row.arch), optional("module", &row.module));
    let (source, source_version) = match row.source.as_deref().map(str::trim) {
        Some(text) if sound("source", text) => source_of(text, version),
        _ => ("", ""),
    };
    let (source, source_version) = (tables.intern(source), tables.intern(source_version));
    let state = match row.state.as_deref().map(state) {
        None => PackageState::default(),
        Some(Some(state)) => state,
        Some(None) => {
            let state = row.state.as_deref().unwrap_or_default();
            lose(format!(
                "`state` was dropped: `{}` is no state of dpkg; taken as installed",
                excerpt(state)
            ));
            PackageState::default()
        }
    };
    let held = row.held.unwrap_or_default();
    let (name, version) = (tables.intern(name), tables.intern(version));
    Some(tables.package_id(Package {
        name,
        version,
        arch,
        source,
        source_version,
        module,
        held,
        state,
    }))
}

/// Name and version of the source package. The `Source` field of dpkg reads `shadow (1:4.13+dfsg1-1)` where the source
/// has another version than the binary (deb-control(5)); a version that is the binary's own is not worth keeping.
fn source_of<'a>(text: &'a str, version: &str) -> (&'a str, &'a str) {
    let split = text.strip_suffix(')').and_then(|text| text.split_once('('));
    match split.map(|(name, version)| (name.trim(), version.trim())) {
        Some((name, own)) if !name.is_empty() && own == version => (name, ""),
        Some((name, own)) if !name.is_empty() => (name, own),
        _ => (text, ""),
    }
}

/// The states of dpkg(1); of a whole status such as `deinstall ok config-files` the last word counts.
fn state(text: &str) -> Option<PackageState> {
    match text.split_ascii_whitespace().next_back()? {
        "installed" => Some(PackageState::Installed),
        "half-configured" | "unpacked" | "half-installed" | "triggers-awaited" | "triggers-pending" => {
            Some(PackageState::HalfConfigured)
        }
        "config-files" | "not-installed" => Some(PackageState::ConfigFiles),
        _ => None,
    }
}
