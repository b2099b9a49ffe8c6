//! `schema`: the JSON Schemas of the kinds.

use std::path::Path;

use patchwave_core::diag::nearest_or_list;
use patchwave_core::load::schema;

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Prints the schema of `kind`, or the one that chooses by kind; with `folder`, writes all.
pub fn run(kind: Option<&str>, folder: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    if let Some(folder) = folder {
        let files = schema::files()
            .into_iter()
            .map(|(name, text)| (name, text.into_bytes()))
            .collect();
        patchwave_adapters::write::write_bundle(folder, &files, patchwave_adapters::write::Existing::Replace)?;
        output.say(&format!("wrote {} schemas to {}", files.len(), folder.display()));
        return Ok(Exit::Done);
    }
    let Some(kind) = kind else {
        output.json(&schema::combined())?;
        return Ok(Exit::Done);
    };
    let exact = schema::kind_names().find(|k| k.eq_ignore_ascii_case(kind));
    let Some(found) = exact.and_then(schema::schema_for) else {
        let help = nearest_or_list(kind, schema::kind_names());
        return Err(Failure {
            message: format!("there is no kind `{kind}`"),
            help,
        });
    };
    output.json(&found)?;
    Ok(Exit::Done)
}
