//! The states of a wave and the one table of moves between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a wave of a rollout is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaveState {
    /// Waits for the waves it needs.
    #[default]
    Pending,
    /// Its pull request is open.
    Proposed,
    /// Its pull request is merged with the approvals it needs.
    Approved,
    /// A batch has its permit.
    Released,
    /// Evidence shows that a batch runs.
    Running,
    /// Every batch has run; fresh observations are awaited.
    Verifying,
    /// Patched; must hold still.
    Soaking,
    /// Done; waves that need it may start.
    Promoted,
    /// Too much failed.
    Failed,
    /// Stopped; a person must resume.
    Halted,
    /// The way back is proposed or runs.
    RollingBack,
    /// Back where it was.
    RolledBack,
    /// A newer rollout carries its content.
    Superseded,
    /// The merged files are not what was proposed.
    Edited,
}

/// A recorded fact that can move a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaveEvent {
    /// Its pull request was opened.
    Proposed,
    /// Its pull request was merged and every needed approval is there.
    Approved,
    /// The merged files differ from the proposed ones.
    Edited,
    /// A batch got its permit.
    Released,
    /// Evidence of a running batch.
    Started,
    /// Every batch was released and its opening is over or its evidence complete.
    Ran,
    /// Enough assets show their targets.
    Verified,
    /// The soak held and every gate passed.
    Promoted,
    /// More failures than allowed.
    Failed,
    /// A person, or a failure, stopped it.
    Halted,
    /// A person with the normal approval let it go on.
    Resumed,
    /// The rollback was proposed.
    RollbackStarted,
    /// Observations show the earlier versions.
    RolledBack,
    /// A newer rollout carries its content, or it is obsolete.
    Superseded,
    /// A gate that had to hold during the soak turned, or an asset fell back.
    SoakBroken,
}

impl WaveState {
    /// The state after `event`, or none when the event does not apply in this state.
    ///
    /// This is the only table of moves: a state is never set, it follows.
    pub const fn after(self, event: WaveEvent) -> Option<Self> {
        use WaveEvent as E;
        use WaveState as S;
        match (self, event) {
            (S::Pending | S::Proposed, E::Proposed) => Some(S::Proposed),
            (S::Proposed, E::Approved) => Some(S::Approved),
            (S::Proposed | S::Approved, E::Edited) => Some(S::Edited),
            (S::Approved | S::Released | S::Running, E::Released) => Some(S::Released),
            (S::Released, E::Started) => Some(S::Running),
            (S::Released | S::Running, E::Ran) => Some(S::Verifying),
            // An approved wave whose assets show their targets without us is fixed out of band: it passes, and says so.
            (S::Approved | S::Released | S::Running | S::Verifying, E::Verified) => Some(S::Soaking),
            (S::Soaking, E::SoakBroken) => Some(S::Verifying),
            (S::Soaking, E::Promoted) => Some(S::Promoted),
            (S::Released | S::Running | S::Verifying | S::Soaking, E::Failed) => Some(S::Failed),
            (
                S::Proposed
                | S::Approved
                | S::Released
                | S::Running
                | S::Verifying
                | S::Soaking
                | S::Failed
                | S::Edited
                | S::Pending,
                E::Halted,
            ) => Some(S::Halted),
            (S::Halted, E::Resumed) => Some(S::Approved),
            (S::Failed | S::Halted, E::RollbackStarted) => Some(S::RollingBack),
            (S::RollingBack, E::RolledBack) => Some(S::RolledBack),
            (S::Pending | S::Proposed | S::Approved | S::Halted | S::Edited | S::Failed, E::Superseded) => {
                Some(S::Superseded)
            }
            _ => None,
        }
    }

    /// No event moves it any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Promoted | Self::RolledBack | Self::Superseded)
    }

    /// The word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Released => "released",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Soaking => "soaking",
            Self::Promoted => "promoted",
            Self::Failed => "failed",
            Self::Halted => "halted",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
            Self::Superseded => "superseded",
            Self::Edited => "edited",
        }
    }
}

impl fmt::Display for WaveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_straight_way_is_the_design() {
        use WaveEvent as E;
        let mut state = WaveState::Pending;
        for event in [
            E::Proposed,
            E::Approved,
            E::Released,
            E::Started,
            E::Ran,
            E::Verified,
            E::Promoted,
        ] {
            state = state
                .after(event)
                .unwrap_or_else(|| panic!("{event:?} does not apply in {state}"));
        }
        assert!(state.is_final());
        assert_eq!(state.after(E::Halted), None, "what is promoted cannot be halted");
    }

    #[test]
    fn nothing_runs_before_it_is_approved() {
        for state in [
            WaveState::Pending,
            WaveState::Proposed,
            WaveState::Halted,
            WaveState::Edited,
            WaveState::Failed,
        ] {
            assert_eq!(state.after(WaveEvent::Released), None, "{state}");
        }
    }
}
