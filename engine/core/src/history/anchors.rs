//! What the forge itself remembers of the ledger: a ledger that was cut off or deleted has lost what was released, and a run
//! that believed it would release it again.
//!
//! Every pull request of a wave names the head its rollout's ledger had when it was written, the merged head of a wave carries
//! the engine's status from its approval on, and the dashboard names the heads that the last run left. A ledger that holds one
//! of these not is not the one they were written from.

use std::collections::{BTreeMap, BTreeSet};

use super::events::{MEMORY_FILE, ledger_file};
use super::fold::HistoryFault;
use super::forge::{ForgeView, PullRequest, PullRequestState};
use super::frozen::branch_rollout;
use super::ledger_chain::{head, holds_head};

/// What to do about a ledger that lost lines.
const HELP: &str = "nothing runs before it is restored: push the commit the branch patchwave/ledger had before (the forge's \
                    log of pushes names it, and so does the reflog of every clone); to give a rollout up instead, remove its \
                    folder from the base branch and close its pull requests";

/// The head of the ledger in a pull request's marker; none where an earlier engine wrote none.
pub fn marked_ledger(body: &str) -> Option<&str> {
    let marker = body.rsplit_once("<!-- patchwave rollout=")?.1;
    let (marker, _) = marker.split_once(" -->")?;
    marker.split_once(" ledger=")?.1.split(' ').next()
}

/// Begins the line of the dashboard that names heads.
const HEADS_MARKER: &str = "<!-- patchwave ledger";

/// The line of the dashboard that names the head of the memory and of each of these rollouts: hidden, `file=head` by `file`.
/// It stands first, because forges cut long texts at the end.
pub fn heads_line<'a>(ledger: &BTreeMap<String, Vec<u8>>, rollouts: impl Iterator<Item = &'a str>) -> String {
    let files: BTreeSet<String> = rollouts.map(ledger_file).chain([MEMORY_FILE.to_owned()]).collect();
    let heads = files
        .iter()
        .filter_map(|file| Some(format!(" {file}={}", head(ledger.get(file)?))));
    format!("{HEADS_MARKER}{} -->\n", heads.collect::<String>())
}

/// The heads that a dashboard names, by file.
fn heads_in(dashboard: &str) -> impl Iterator<Item = (&str, &str)> {
    let first = dashboard.lines().next().unwrap_or_default();
    let told = first
        .strip_prefix(HEADS_MARKER)
        .and_then(|rest| rest.strip_suffix(" -->"));
    told.into_iter()
        .flat_map(str::split_ascii_whitespace)
        .filter_map(|told| told.split_once('='))
}

/// What the ledger has lost since the dashboard was written: of the memory, and of rollouts that are not given up.
fn lost_since_dashboard(view: &ForgeView, rollouts_folder: &str) -> Vec<HistoryFault> {
    let alive: BTreeSet<String> = view
        .pull_requests
        .iter()
        .filter(|p| is_alive(view, rollouts_folder, p))
        .filter_map(|p| branch_rollout(&p.branch))
        .map(ledger_file)
        .collect();
    let dashboard = view.dashboard.as_deref().unwrap_or_default();
    let told = heads_in(dashboard).filter(|(file, _)| *file == MEMORY_FILE || alive.contains(*file));
    told.filter(|(file, head)| !holds_head(view.ledger.get(*file).map(Vec::as_slice).unwrap_or_default(), head))
        .map(|(file, _)| HistoryFault {
            file: format!("ledger {file}"),
            message: format!(
                "does not hold the line that was its head when the dashboard was written: lines were cut off, or somebody edited the \
                 first line of the dashboard, which can be deleted then; {HELP}"
            ),
        })
        .collect()
}

/// What the ledger has lost, as far as the dashboard, pull requests and statuses tell. `approved` says whether the ledger knows that the
/// wave of a pull request was ever approved.
pub(super) fn lost(
    view: &ForgeView,
    rollouts_folder: &str,
    approved: &dyn Fn(&PullRequest) -> bool,
) -> Vec<HistoryFault> {
    let mut faults = lost_since_dashboard(view, rollouts_folder);
    // A clone that cannot ask its forge has no numbers, and perhaps never fetched the ledger.
    let alive = view.pull_requests.iter().filter(|p| p.number > 0);
    for pull_request in alive.filter(|p| is_alive(view, rollouts_folder, p)) {
        let Some(rollout) = branch_rollout(&pull_request.branch) else {
            continue;
        };
        let number = pull_request.number;
        let file = ledger_file(rollout);
        let bytes = view.ledger.get(&file).map(Vec::as_slice).unwrap_or_default();
        let mut fault = |file: &str, message: String| {
            faults.push(HistoryFault {
                file: format!("ledger {file}"),
                message: format!("{message}; {HELP}"),
            });
        };
        if !view.ledger.contains_key(MEMORY_FILE) {
            fault(
                MEMORY_FILE,
                format!("is gone, though pull request {number} was opened by a run that had recorded it"),
            );
        } else if marked_ledger(&pull_request.body).is_some_and(|head| !holds_head(bytes, head)) {
            fault(
                &file,
                format!(
                    "does not hold the line that was its head when pull request {number} was written: lines were cut off"
                ),
            );
        } else if has_status(view.statuses.as_ref(), pull_request) && !approved(pull_request) {
            fault(
                &file,
                format!(
                    "does not know that pull request {number} was approved, though the engine's status on its head says so: lines were cut off"
                ),
            );
        }
    }
    faults
}

fn has_status(statuses: Option<&BTreeMap<String, super::forge::CommitStatus>>, pull_request: &PullRequest) -> bool {
    pull_request.state == PullRequestState::Merged && statuses.is_some_and(|s| s.contains_key(&pull_request.head))
}

/// Open, or merged into a rollout whose files are still there: what people removed is given up.
fn is_alive(view: &ForgeView, rollouts_folder: &str, pull_request: &PullRequest) -> bool {
    match pull_request.state {
        PullRequestState::Open => true,
        PullRequestState::Closed => false,
        PullRequestState::Merged => branch_rollout(&pull_request.branch).is_some_and(|rollout| {
            view.merged_files
                .contains_key(&format!("{rollouts_folder}/{rollout}/plan.json"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_in_a_marker_is_found() {
        let body = "Text\n<!-- patchwave rollout=r wave=w ledger=ab12 digest=cd -->\n";
        assert_eq!(marked_ledger(body), Some("ab12"));
        assert_eq!(marked_ledger("<!-- patchwave rollout=r wave=w digest=cd -->"), None);
    }

    #[test]
    fn the_heads_in_a_dashboard_are_found() {
        let ledger = ["memory.ndjson", "r.ndjson", "other.ndjson"].map(|file| (file.to_owned(), b"{}\n".to_vec()));
        let line = heads_line(&BTreeMap::from(ledger), ["r", "new"].into_iter());
        let told = format!("{line}# patchwave\n");
        let at = head(b"{}\n");
        let expected = [("memory.ndjson", at.as_str()), ("r.ndjson", &at)];
        assert_eq!(heads_in(&told).collect::<Vec<_>>(), expected);
        assert_eq!(heads_in("# patchwave\n").count(), 0, "of an earlier engine");
        assert_eq!(heads_in("").count(), 0);
    }
}
