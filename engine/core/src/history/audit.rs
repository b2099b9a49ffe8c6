//! Checking the ledger: every chain, every recorded move against the table of states, every file against its sums.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::events::{Event, MEMORY_FILE};
use super::fold::HistoryFault;
use super::forge::ForgeView;
use super::ledger::LedgerLine;
use super::ledger_chain::parse_chain;
use super::state::{WaveEvent, WaveState};
use crate::canonical::sha256_hex;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Ledger files read.
    pub files: usize,
    /// Ledger lines read.
    pub lines: usize,
    /// What cannot be believed, sorted.
    pub faults: Vec<HistoryFault>,
}

/// Audits what the forge shows.
pub fn audit(view: &ForgeView, rollouts_folder: &str) -> AuditReport {
    let mut report = AuditReport::default();
    for (file, bytes) in &view.ledger {
        report.files += 1;
        match parse_chain(bytes) {
            Ok(lines) => {
                report.lines += lines.len();
                if file != MEMORY_FILE {
                    moves(file, &lines, &mut report.faults);
                }
            }
            Err(fault) => report.faults.push(HistoryFault {
                file: format!("ledger {file}"),
                message: format!("line {}: {}; {}", fault.line, fault.what, fault.help),
            }),
        }
    }
    sums(view, rollouts_folder, &mut report.faults);
    report.faults.sort();
    report
}

fn moves(file: &str, lines: &[LedgerLine], faults: &mut Vec<HistoryFault>) {
    let mut states: BTreeMap<Arc<str>, WaveState> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        let mut fault = |message: String| {
            faults.push(HistoryFault {
                file: format!("ledger {file}"),
                message: format!("line {}: {message}", index + 1),
            });
        };
        match Event::from_parts(&line.event, &line.data) {
            None => fault(format!(
                "event `{}` is not one this engine knows; a newer engine wrote it",
                line.event
            )),
            Some(Event::Wave { wave, moved, .. }) => {
                let state = states.entry(Arc::clone(&wave)).or_default();
                match state.after(moved) {
                    Some(next) => *state = next,
                    None => fault(format!("wave {wave} was {state}, and {moved:?} does not apply to that")),
                }
            }
            Some(Event::Released { wave, batch, .. }) => {
                let state = states.entry(Arc::clone(&wave)).or_default();
                match state.after(WaveEvent::Released) {
                    Some(next) => *state = next,
                    None => fault(format!("batch {batch} was released while wave {wave} was {state}")),
                }
            }
            Some(Event::Resume { .. }) => {
                for state in states
                    .values_mut()
                    .filter(|s| matches!(s, WaveState::Halted | WaveState::Failed))
                {
                    *state = WaveState::Approved;
                }
            }
            Some(_) => {}
        }
    }
}

/// Every file of a merged rollout is in its `SHA256SUMS`, with the digest it has.
fn sums(view: &ForgeView, folder: &str, faults: &mut Vec<HistoryFault>) {
    for (path, bytes) in &view.merged_files {
        let Some(base) = path.strip_suffix("SHA256SUMS").filter(|b| b.starts_with(folder)) else {
            continue;
        };
        let listed: BTreeMap<String, String> = String::from_utf8_lossy(bytes)
            .lines()
            .filter_map(|l| {
                l.split_once("  ")
                    .map(|(sum, name)| (format!("{base}{name}"), sum.to_owned()))
            })
            .collect();
        for (file, sum) in &listed {
            let problem = match view.merged_files.get(file) {
                None => Some("is listed in SHA256SUMS and missing".to_owned()),
                Some(content) if sha256_hex(content) != *sum => Some("is not the file SHA256SUMS lists".to_owned()),
                Some(_) => None,
            };
            if let Some(message) = problem {
                faults.push(HistoryFault {
                    file: file.clone(),
                    message,
                });
            }
        }
    }
}
