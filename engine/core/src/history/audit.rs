//! Checking the ledger: every chain, every recorded move against the table of states, every file against its sums, what was
//! merged against what was approved, and the heads against those that somebody kept outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::events::{Event, MEMORY_FILE};
use super::fold::{HistoryFault, fold};
use super::forge::ForgeView;
use super::ledger::LedgerLine;
use super::ledger_chain::{head, holds_head, parse_chain};
use super::state::{WaveEvent, WaveState};
use super::sums::{openings_digest, sums_faults};
use super::wire::read_plan_json;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Ledger files read.
    pub files: usize,
    /// Ledger lines read.
    pub lines: usize,
    /// The head of each ledger file: kept outside, it proves later that nothing before it was changed or cut off.
    pub heads: BTreeMap<String, String>,
    /// What cannot be believed, sorted.
    pub faults: Vec<HistoryFault>,
}

/// Recomputes the wave digest of a rollout and wave (by name) from repository files; none when they are incomplete.
pub type DigestOf<'a> = dyn Fn(&BTreeMap<String, Vec<u8>>, &str, &str) -> Option<String> + 'a;

/// Audits what the forge shows. `anchors` are heads by ledger file, as an earlier report gave them.
pub fn audit(
    view: &ForgeView,
    rollouts_folder: &str,
    digest_of: &DigestOf<'_>,
    anchors: &BTreeMap<String, String>,
) -> AuditReport {
    let mut report = AuditReport::default();
    for (file, bytes) in &view.ledger {
        report.files += 1;
        report.heads.insert(file.clone(), head(bytes));
        match parse_chain(bytes) {
            Ok(lines) => {
                report.lines += lines.len();
                if file != MEMORY_FILE {
                    moves(file, &lines, &mut report.faults);
                    approved(view, rollouts_folder, file, &lines, digest_of, &mut report.faults);
                }
            }
            Err(fault) => report.faults.push(HistoryFault {
                file: format!("ledger {file}"),
                message: format!("line {}: {}; {}", fault.line, fault.what, fault.help),
            }),
        }
    }
    report.faults.extend(sums_faults(&view.merged_files, rollouts_folder));
    anchored(view, anchors, &mut report.faults);
    // What a run cannot believe an audit does not believe either: lines that pull requests remember, plans in wrong folders.
    report
        .faults
        .extend(fold(view, rollouts_folder).err().unwrap_or_default());
    report.faults.sort();
    report.faults.dedup();
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
            Some(Event::RollbackStarted { wave, .. }) => {
                let state = states.entry(Arc::clone(&wave)).or_default();
                match state.after(WaveEvent::RollbackStarted) {
                    Some(next) => *state = next,
                    None => fault(format!("wave {wave} was {state}, and nothing takes that back")),
                }
            }
            Some(Event::RollbackReleased { wave, batch }) => {
                let state = states.get(&wave).copied().unwrap_or_default();
                if state != WaveState::RollingBack {
                    fault(format!("batch {batch} was let go back while wave {wave} was {state}"));
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

/// What a wave was approved with.
struct Approval {
    digest: Option<Arc<str>>,
    openings: Option<Arc<str>>,
}

/// What was merged is what was approved: the digest each wave was approved with is that of its files, as long as they are
/// there.
fn approved(
    view: &ForgeView,
    folder: &str,
    file: &str,
    lines: &[LedgerLine],
    digest_of: &DigestOf<'_>,
    faults: &mut Vec<HistoryFault>,
) {
    let rollout = file.trim_end_matches(".ndjson");
    let prefix = format!("{folder}/{rollout}/");
    // An ended rollout's folder may be removed by people: nothing of it runs any more.
    if !view.merged_files.keys().any(|path| path.starts_with(&prefix)) {
        return;
    }
    let mut digests: BTreeMap<Arc<str>, Approval> = BTreeMap::new();
    for line in lines {
        if let Some(Event::Wave {
            wave,
            moved,
            digest,
            openings,
            ..
        }) = Event::from_parts(&line.event, &line.data)
        {
            match moved {
                WaveEvent::Approved => drop(digests.insert(wave, Approval { digest, openings })),
                WaveEvent::Proposed | WaveEvent::Edited | WaveEvent::Superseded => drop(digests.remove(&wave)),
                _ => {}
            }
        }
    }
    let frozen = view.merged_files.get(&format!("{prefix}plan.json"));
    let frozen = frozen.and_then(|bytes| read_plan_json(bytes).ok());
    for (wave, Approval { digest, openings }) in digests {
        let approved = frozen.iter().flat_map(|f| &f.waves).find(|w| *w.name == *wave);
        if let (Some(approved), Some(openings)) = (approved, openings)
            && openings_digest(&view.merged_files, folder, rollout, approved).as_deref() != Some(&openings)
        {
            faults.push(HistoryFault {
                file: format!("{prefix}{}", approved.openings_file()),
                message: format!("was approved with the SHA-256 {openings}, and is another file now: nobody approved when wave {wave} may start"),
            });
        }
        let found = digest_of(&view.merged_files, rollout, &wave);
        if found.as_deref() != digest.as_deref() {
            let found = found.map_or_else(
                || "its files are incomplete".to_owned(),
                |d| format!("its files have the digest {d}"),
            );
            let approved = digest.map_or_else(|| "without a digest".to_owned(), |d| format!("with the digest {d}"));
            faults.push(HistoryFault {
                file: format!("{prefix}plan.json"),
                message: format!(
                    "wave {wave} was approved {approved}, but {found}: what was merged is not what was approved"
                ),
            });
        }
    }
}

/// The heads kept outside are still in the chains.
fn anchored(view: &ForgeView, anchors: &BTreeMap<String, String>, faults: &mut Vec<HistoryFault>) {
    for (file, anchor) in anchors {
        let message = match view.ledger.get(file) {
            None => "is gone, though its head was kept outside",
            Some(bytes) if !holds_head(bytes, anchor) => {
                "does not hold the head that was kept outside: lines were changed or cut off"
            }
            Some(_) => continue,
        };
        faults.push(HistoryFault {
            file: format!("ledger {file}"),
            message: message.into(),
        });
    }
}
