//! A forge whose every write first asks whether this process may still act, and says what was written.
//!
//! The guard is asked before each effect, not once a run: a run that lost its lease, or is asked to stop, ends between
//! two effects, where the forge is valid. Between the question and the effect a process can still be paused; what keeps
//! that harmless is in the forge itself: branches and pull requests are idempotent, a merge names the head it was decided on,
//! and a comment, or the dashboard, that two runners make at the same moment says the same thing twice, which nothing is
//! decided by. The ledger, which alone releases machines, refuses a lower fencing number than it has seen.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_core::history::{LedgerLine, MEMORY_FILE, branch_rollout, branch_wave};
use patchwave_core::propose::{ForgeOp, ForgeView};

use super::plumbing::ENGINE_NAME;
use super::{Appended, Applied, Forge, ForgeError, TakenIn, ledger};

/// Answers with the fencing number under which this process may act, or why it may not.
pub type Guard<'a> = &'a dyn Fn() -> Result<u64, ForgeError>;

/// A forge under a guard.
pub struct GuardedForge<'a> {
    forge: &'a dyn Forge,
    guard: Guard<'a>,
    /// How long each ledger file was when it was last seen: what is appended behind that is new.
    seen: RefCell<BTreeMap<String, usize>>,
}

impl<'a> GuardedForge<'a> {
    /// `forge`, written only while `guard` allows it.
    #[must_use]
    pub fn new(forge: &'a dyn Forge, guard: Guard<'a>) -> Self {
        Self {
            forge,
            guard,
            seen: RefCell::default(),
        }
    }

    fn see(&self, files: &BTreeMap<String, Vec<u8>>) {
        let mut seen = self.seen.borrow_mut();
        for (file, bytes) in files {
            seen.insert(file.clone(), bytes.len());
        }
    }
}

impl Forge for GuardedForge<'_> {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        (self.guard)()?;
        self.forge.take_in(now)
    }

    fn view(&self) -> Result<ForgeView, ForgeError> {
        let view = self.forge.view()?;
        self.see(&view.ledger);
        Ok(view)
    }

    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        (self.guard)()?;
        let applied = self.forge.apply(op, now)?;
        say_applied(op, &applied);
        Ok(applied)
    }

    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        let fence = (self.guard)()?;
        let appended = self
            .forge
            .append_ledger(expected_head, files, &ledger::fenced(message, fence), now)?;
        if let Appended::Head { head } = &appended {
            say_appended(&self.seen.borrow(), files, head);
            self.see(files);
        }
        Ok(appended)
    }

    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        self.forge.fence()
    }

    fn writes(&self) -> u64 {
        self.forge.writes()
    }
}

/// One log line for an operation on the forge.
fn say_applied(op: &ForgeOp, applied: &Applied) {
    let Applied::Done { number, commit } = applied else {
        if let Applied::Refused(why) = applied {
            tracing::warn!(action = action(op), actor = ENGINE_NAME, %why, "the forge declines");
        }
        return;
    };
    let branch = match op {
        ForgeOp::PutBranch { branch, .. } | ForgeOp::PutPullRequest { branch, .. } => Some(branch.as_str()),
        _ => None,
    };
    let number = match op {
        ForgeOp::PutComment { number, .. }
        | ForgeOp::ClosePullRequest { number, .. }
        | ForgeOp::MergePullRequest { number, .. } => Some(*number),
        _ => *number,
    };
    tracing::info!(
        action = action(op),
        rollout = branch.and_then(branch_rollout),
        wave = branch.and_then(branch_wave),
        actor = ENGINE_NAME,
        pull_request = number,
        commit = commit.as_deref(),
        "done"
    );
}

fn action(op: &ForgeOp) -> &'static str {
    match op {
        ForgeOp::PutBranch { .. } => "put-branch",
        ForgeOp::PutPullRequest { .. } => "put-pull-request",
        ForgeOp::PutComment { .. } => "comment",
        ForgeOp::ClosePullRequest { .. } => "close-pull-request",
        ForgeOp::MergePullRequest { .. } => "merge-pull-request",
        ForgeOp::PutStatus { .. } => "put-status",
        ForgeOp::PutDashboard { .. } => "put-dashboard",
    }
}

/// One log line for each line that was appended.
fn say_appended(seen: &BTreeMap<String, usize>, files: &BTreeMap<String, Vec<u8>>, head: &str) {
    for (file, bytes) in files {
        let new = bytes.get(seen.get(file).copied().unwrap_or(0)..).unwrap_or_default();
        for line in new.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let Ok(line) = serde_json::from_slice::<LedgerLine>(line) else {
                continue;
            };
            tracing::info!(
                action = "record",
                event = line.event.as_str(),
                rollout = file.strip_suffix(".ndjson").filter(|_| file != MEMORY_FILE),
                wave = line.data.get("wave").and_then(serde_json::Value::as_str),
                actor = line.actor.as_str(),
                commit = head,
                "done"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::FakeForge;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn files(text: &str) -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([("memory.ndjson".to_owned(), text.as_bytes().to_vec())])
    }

    #[test]
    fn nothing_is_written_once_the_guard_says_no() {
        let forge = FakeForge::new("rollouts");
        forge.take_in(NOW).unwrap();
        let guard = || Err(ForgeError::retryable("the lease is lost", "start again"));
        let guarded = GuardedForge::new(&forge, &guard);
        let op = ForgeOp::PutDashboard { body: "x".into() };
        assert!(guarded.apply(&op, NOW).is_err());
        assert!(guarded.append_ledger(None, &files("{}\n"), "x\n", NOW).is_err());
        assert!(guarded.take_in(NOW).is_err());
        assert_eq!(guarded.view().unwrap().dashboard, None);
        assert_eq!(forge.view().unwrap().ledger_head, None);
    }

    #[test]
    fn a_lower_fencing_number_never_appends_again() {
        let forge = FakeForge::new("rollouts");
        forge.take_in(NOW).unwrap();
        let (old, new) = (|| Ok(1), || Ok(2));
        let (old, new) = (GuardedForge::new(&forge, &old), GuardedForge::new(&forge, &new));
        old.append_ledger(None, &files("a\n"), "one\n", NOW).unwrap();
        let decided_on = forge.view().unwrap().ledger_head;
        // The taker writes before the paused one wakes: what was decided before is refused by the head alone.
        new.append_ledger(decided_on.as_deref(), &BTreeMap::new(), "Take over\n", NOW)
            .unwrap();
        assert_ne!(forge.view().unwrap().ledger_head, decided_on);
        assert_eq!(forge.view().unwrap().ledger, files("a\n"));
        let late = old.append_ledger(decided_on.as_deref(), &files("a\nb\n"), "two\n", NOW);
        assert!(matches!(late, Ok(Appended::Conflict { .. })), "{late:?}");
        // And so is what it decides after looking again.
        let head = forge.view().unwrap().ledger_head;
        let again = old.append_ledger(head.as_deref(), &files("a\nb\n"), "two\n", NOW);
        assert!(again.unwrap_err().what.contains("a runner with lease 2 has written"));
        // A person's halt holds no lease, and forgets no number.
        forge
            .append_ledger(head.as_deref(), &files("a\nhalt\n"), "halt\n", NOW)
            .unwrap();
        assert_eq!(forge.fence().unwrap(), Some(2));
        let head = forge.view().unwrap().ledger_head;
        assert!(
            old.append_ledger(head.as_deref(), &files("a\nhalt\nb\n"), "x\n", NOW)
                .is_err()
        );
        new.append_ledger(head.as_deref(), &files("a\nhalt\nc\n"), "x\n", NOW)
            .unwrap();
    }
}
