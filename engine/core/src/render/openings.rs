//! When the batches of a wave may start: every opening from the cut to 30 days past the deadline that held at the cut.
//!
//! A late merge then needs no new pull request, and a missed window is simply missed.

use jiff::Timestamp;

/// Days of openings past the deadline that held at the cut.
pub const PAST_DEADLINE_DAYS: i64 = 30;

/// Days of openings after the cut of a wave without deadline: a quarter, so that a monthly window has opened three times.
pub const WITHOUT_DEADLINE_DAYS: i64 = 90;

/// The last instant openings are looked for.
pub fn openings_until(cut: Timestamp, deadline: Option<Timestamp>) -> Timestamp {
    let days = |at: Timestamp, days: i64| {
        at.checked_add(jiff::SignedDuration::from_hours(24 * days))
            .unwrap_or(Timestamp::MAX)
    };
    deadline.map_or_else(
        || days(cut, WITHOUT_DEADLINE_DAYS),
        |deadline| days(deadline.max(cut), PAST_DEADLINE_DAYS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn thirty_days_past_the_deadline() {
        let cut = at("2026-11-20T12:00:00Z");
        assert_eq!(
            openings_until(cut, Some(at("2026-11-25T00:00:00Z"))),
            at("2026-12-25T00:00:00Z")
        );
        assert_eq!(openings_until(cut, None), at("2027-02-18T12:00:00Z"));
        // A breached deadline: openings count from the cut.
        assert_eq!(
            openings_until(cut, Some(at("2026-01-01T00:00:00Z"))),
            at("2026-12-20T12:00:00Z")
        );
    }
}
