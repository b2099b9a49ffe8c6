//! What the loop and the endpoints tell each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Ending;

/// How old the last good run may be, in intervals: two failed attempts, or a run that takes its time, are no alarm yet.
const INTERVALS_MAX: i32 = 3;

/// A request for a run waits so long before it starts one, so that a burst of pushes becomes one run.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct State {
    stop: bool,
    asked: bool,
    last: Option<(Ending, Timestamp)>,
}

/// The board.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
    bell: Condvar,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so a thread that ended while it held the lock left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks to stop: the loop ends before its next effect.
    pub fn stop(&self) {
        self.state().stop = true;
        self.bell.notify_all();
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.state().stop
    }

    /// Asks for a run soon. While one question waits, another adds nothing; false = one was waiting already.
    pub fn ask(&self) -> bool {
        let first = !std::mem::replace(&mut self.state().asked, true);
        self.bell.notify_all();
        first
    }

    /// A run ended so, at `now`.
    pub fn ended(&self, ending: Ending, now: Timestamp) {
        self.state().last = Some((ending, now));
    }

    /// Waits until `wait` is over, a run is asked for, or the loop is to stop. A question is answered by the run that
    /// follows, not by the one that was under way: that one may have read its facts before.
    pub fn wait(&self, wait: Duration) {
        let idle = |state: &mut State| !state.stop && !state.asked;
        let waited = self.bell.wait_timeout_while(self.state(), wait, idle);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.asked && !state.stop {
            let settled = self.bell.wait_timeout_while(state, SETTLE, |state| !state.stop);
            let (mut state, _) = settled.unwrap_or_else(PoisonError::into_inner);
            state.asked = false;
        }
    }

    /// Whether this process does the work: the last run was good and is not older than three intervals.
    ///
    /// # Errors
    /// Why not, in words, without names of assets or machines.
    pub fn ready(&self, interval: SignedDuration, now: Timestamp) -> Result<(), String> {
        match &self.state().last {
            None => Err("no run has ended yet".to_owned()),
            Some((Ending::Failed(_), at)) => Err(format!("the run that ended at {at} failed; the log says why")),
            Some((Ending::Standby(_), at)) => Err(format!(
                "standing by: at {at} another runner held the lease; the log says which"
            )),
            Some((Ending::Good, at)) => {
                let age = now.duration_since(*at);
                if age > interval.saturating_mul(INTERVALS_MAX) {
                    return Err(format!(
                        "the last run ended at {at}, {} s ago, and should be repeated every {} s",
                        age.as_secs(),
                        interval.as_secs()
                    ));
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn ready_is_a_good_run_that_is_not_old() {
        let (board, interval) = (Board::default(), SignedDuration::from_secs(60));
        assert!(board.ready(interval, at(0)).is_err());
        board.ended(Ending::Good, at(0));
        assert_eq!(board.ready(interval, at(180)), Ok(()));
        let old = board.ready(interval, at(181)).unwrap_err();
        assert!(old.contains("181 s ago"), "{old}");
        board.ended(Ending::Standby("web-01 is faster".to_owned()), at(190));
        let standby = board.ready(interval, at(191)).unwrap_err();
        assert!(
            standby.contains("standing by") && !standby.contains("web-01"),
            "{standby}"
        );
        board.ended(Ending::Failed("web-01 is on fire".to_owned()), at(200));
        let failed = board.ready(interval, at(201)).unwrap_err();
        assert!(failed.contains("failed") && !failed.contains("web-01"), "{failed}");
    }

    #[test]
    fn one_question_waits_at_most_and_stop_ends_every_wait() {
        let board = Board::default();
        assert!(board.ask());
        assert!(!board.ask());
        board.stop();
        // Both would take hours if stopping did not end them.
        board.wait(Duration::from_secs(36_000));
        board.wait(Duration::from_secs(36_000));
    }
}
