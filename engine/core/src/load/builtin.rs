//! The render targets and hooks that come with the engine, embedded when it is compiled.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::wire::TargetSpec;
use crate::source::SourceSet;
use crate::source::yaml::from_text;

/// Path relative to the templates folder → text, sorted. `templates/` at the root of the repository is the only copy.
pub const BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// The specifications of the render targets that come with the engine, by name.
///
/// One that cannot be read is not in it; a test reads them all.
pub static BUILTIN_TARGETS: LazyLock<BTreeMap<String, TargetSpec>> = LazyLock::new(|| {
    BUILTIN
        .iter()
        .filter_map(|(path, text)| Some((path.strip_suffix("/target.yaml")?, text)))
        .filter_map(|(name, text)| Some((name.to_owned(), from_text(text).ok()?)))
        .collect()
});

/// The specification of a target below the templates folder; none where its text was not given.
pub(super) fn specification(templates: &str, name: &str, set: &SourceSet) -> Option<Result<TargetSpec, String>> {
    let text = set.blobs.get(&format!("{templates}/{name}/target.yaml"))?;
    Some(from_text(text))
}
