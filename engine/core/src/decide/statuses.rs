//! Commit statuses: on the merged head of a wave, how far it has come, where the forge shows such a thing.
//!
//! Like the dashboard it says only what changes with facts, so that a run with nothing new writes nothing.

use jiff::Timestamp;

use super::{Action, Decision, World};
use crate::history::{OpenRollout, WaveProgress, WaveState};
use crate::propose::{CommitStatus, ForgeOp, PullRequest, PullRequestState, StatusState, branch_of, newest};

/// Brings the statuses in line.
pub fn statuses(world: &World<'_>, _now: Timestamp, decision: &mut Decision) {
    let Some(shown) = &world.view.statuses else { return };
    for rollout in &world.history.open {
        for wave in &rollout.waves {
            let Some(wanted) = status(rollout, wave) else { continue };
            if let Some(pull_request) = merged(world, &rollout.name, &wave.name)
                && shown.get(&pull_request.head) != Some(&wanted)
            {
                put(pull_request, wanted, decision);
            }
        }
    }
    // How each wave of an ended rollout ended is not unfolded any more; what still says that it waits is wrong.
    for (name, frozen) in &world.history.ended {
        for wave in &frozen.waves {
            let waits = |head: &String| shown.get(head).is_some_and(|s| s.state == StatusState::Pending);
            if let Some(pull_request) = merged(world, name, &wave.name).filter(|p| waits(&p.head)) {
                let ended = CommitStatus {
                    state: StatusState::Success,
                    description: "done: the rollout has ended".to_owned(),
                };
                put(pull_request, ended, decision);
            }
        }
    }
}

fn merged<'a>(world: &World<'a>, rollout: &str, wave: &str) -> Option<&'a PullRequest> {
    newest(world.view, &branch_of(rollout, wave)).filter(|p| p.state == PullRequestState::Merged)
}

fn put(pull_request: &PullRequest, status: CommitStatus, decision: &mut Decision) {
    decision.actions.push(Action::Forge(ForgeOp::PutStatus {
        commit: pull_request.head.clone(),
        status,
    }));
}

/// What a wave's merged head says; nothing before it is approved, and nothing of what a newer rollout carries.
fn status(rollout: &OpenRollout, wave: &WaveProgress) -> Option<CommitStatus> {
    let state = match wave.state {
        WaveState::Pending | WaveState::Proposed | WaveState::Superseded => return None,
        WaveState::Failed | WaveState::Halted | WaveState::Edited | WaveState::RolledBack => StatusState::Failure,
        WaveState::Promoted => StatusState::Success,
        _ if rollout.halted.is_some() => StatusState::Failure,
        _ => StatusState::Pending,
    };
    let why = match (&wave.reason, &rollout.halted, wave.soaking_since) {
        (Some(reason), ..) if state == StatusState::Failure => format!(": {reason}"),
        (_, Some(halted), _) if state == StatusState::Failure => {
            format!(": halted by {}: {}", halted.by, halted.reason)
        }
        (_, _, Some(since)) if wave.state == WaveState::Soaking => format!(" since {since}"),
        _ => String::new(),
    };
    Some(CommitStatus::new(state, &format!("{}{why}", wave.state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Halted;
    use crate::load::wire::Lane;

    fn said(state: WaveState, halted: bool) -> Option<(StatusState, String)> {
        let at: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let wave = WaveProgress {
            name: "test".into(),
            state,
            digest: None,
            openings: None,
            batches: Vec::new(),
            soaking_since: Some(at),
            not_before: None,
            gates: std::collections::BTreeMap::new(),
            promoted_at: None,
            failed_at: None,
            reason: None,
        };
        let rollout = OpenRollout {
            name: "r".into(),
            policy: "p".into(),
            strategy: "s".into(),
            lane: Lane::Routine,
            revision: 1,
            cut: at,
            expedited: false,
            targets: Vec::new(),
            frozen: true,
            restarts: 0,
            waves: Vec::new(),
            halted: halted.then(|| Halted {
                at,
                by: "anna".into(),
                reason: "disk".into(),
            }),
        };
        status(&rollout, &wave).map(|s| (s.state, s.description))
    }

    #[test]
    fn a_status_follows_the_wave() {
        assert_eq!(said(WaveState::Proposed, false), None);
        assert_eq!(
            said(WaveState::Soaking, false),
            Some((StatusState::Pending, "soaking since 2026-11-20T12:00:00Z".to_owned()))
        );
        assert_eq!(
            said(WaveState::Released, true),
            Some((StatusState::Failure, "released: halted by anna: disk".to_owned()))
        );
        assert_eq!(
            said(WaveState::Promoted, true),
            Some((StatusState::Success, "promoted".to_owned()))
        );
    }

    #[test]
    fn a_description_fits() {
        let long = CommitStatus::new(StatusState::Failure, &"ä".repeat(200));
        assert_eq!(long.description.chars().count(), 140);
    }
}
