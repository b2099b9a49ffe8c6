//! `evidence`: result files and waivers.

use patchwave_adapters::files::read_source;
use patchwave_core::time::{Boundary, When};
use patchwave_runner::people;

use super::{Context, said};
use crate::args::EvidenceCommand;
use crate::exit::{Exit, Failure};

/// A result file is small.
const RESULT_BYTES_MAX: u64 = 1024 * 1024;

/// Records evidence.
pub fn run(context: &Context, what: &EvidenceCommand) -> Result<Exit, Failure> {
    let repository = context.load()?;
    let forge = context.forge(&repository)?;
    let folder = &repository.catalog.project.paths.rollouts;
    match what {
        EvidenceCommand::Add { rollout, wave, file } => {
            let given = file.to_string_lossy();
            let here = std::path::Path::new(".");
            let found = read_source(here, &given, &[".json"], RESULT_BYTES_MAX)?;
            let files: Vec<(String, Vec<u8>)> = found.files.into_iter().map(|f| (f.path, f.bytes)).collect();
            let count = people::add_evidence(&forge, folder, (rollout, wave), &files, context.now).map_err(said)?;
            context
                .output
                .text(&format!("recorded {count} of {} result files", files.len()))?;
        }
        EvidenceCommand::Waive {
            rollout,
            wave,
            asset,
            reason,
            until,
            by,
        } => {
            let when: When = until.parse()?;
            let until = when.resolve(Boundary::End, &repository.catalog.zone.0);
            people::waive(&forge, folder, (rollout, wave, asset), (reason, until, by), context.now).map_err(said)?;
            context.output.text(&format!(
                "{asset} is let go in wave {wave} of {rollout} until {until}; it stays counted"
            ))?;
        }
    }
    Ok(Exit::Done)
}
