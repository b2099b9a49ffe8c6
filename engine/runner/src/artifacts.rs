//! The render targets there are, and the files and digest of a wave's pull request.

use std::collections::BTreeMap;

use patchwave_adapters::files::read_source;
use patchwave_core::plan::{Rollout, Wave};
use patchwave_core::propose::{ForgeView, WaveFiles};
use patchwave_core::render::{self, BUILTIN, Packs, RenderInput};

use crate::RunError;
use crate::repository::Repository;
use crate::sources::Observed;

/// Render targets and hooks: the built-in ones, and the user's folders, which win.
#[derive(Debug)]
pub struct Artifacts {
    /// Parsed packs.
    pub packs: Packs,
}

/// A template file is small; a larger one is a mistake.
const TEMPLATE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads the render targets of a repository.
///
/// # Errors
/// [`RunError`] with every file that cannot be read and every pack that cannot be parsed.
pub fn artifacts(repository: &Repository) -> Result<Artifacts, RunError> {
    let folder = &repository.catalog.project.paths.templates;
    let mut own = BTreeMap::new();
    if repository.root.join(folder).is_dir() {
        let found = read_source(&repository.root, folder, &[".yaml", ".yml", ".hbs"], TEMPLATE_BYTES_MAX)
            .map_err(|e| RunError::new(e.to_string(), "templates must be small readable text files"))?;
        for file in found.files {
            let path = file.path.strip_prefix(folder.as_str()).unwrap_or(&file.path).trim_start_matches('/').to_owned();
            own.insert(path, String::from_utf8_lossy(&file.bytes).into_owned());
        }
    }
    let packs = Packs::read(BUILTIN, &own).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        RunError::new(format!("render targets cannot be used:\n  {}", lines.join("\n  ")), "correct the files named")
    })?;
    Ok(Artifacts { packs })
}
