//! Placing work into openings.

use std::fmt;

use jiff::Timestamp;

use super::recurrence::seconds_after;
use super::window::{ENDLESS_DAYS, Opening, Overrun};

/// How long after the first opening with room to start others are looked at for one that holds the work, in seconds.
/// Calendars repeat by the year, so what does not fit within this time fits never, or in some freak year nobody waits for.
const FIT_SECONDS: i64 = ENDLESS_DAYS * 86_400;

/// How long after the first opening with room to start a longer one is preferred for work that fits nowhere, in seconds.
/// A week shows each opening of a weekly window once: the crumb that a freeze left of one is passed over, and the work is
/// not put off for longer than that.
const OVERRUN_CHOICE_SECONDS: i64 = 7 * 86_400;

/// A place for a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The opening it starts in.
    pub opening: Opening,
    /// When it starts.
    pub start: Timestamp,
    /// Whether it will still run when the opening ends, because no opening is long enough ([`Overrun::Finish`] only).
    pub overruns: bool,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FitRefusal {
    /// There is no opening after the given instant.
    NeverOpens,
    /// There are openings, but the cutoff leaves no instant to start at in any of them.
    AllCutOff {
        /// The longest opening found, in seconds.
        longest_seconds: i64,
    },
    /// The work must stop at the end of an opening, and none is long enough.
    TooShort {
        /// The longest opening found in which work may start, in seconds.
        longest_seconds: i64,
    },
}

impl fmt::Display for FitRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |seconds: &i64| super::DurationSeconds(*seconds);
        match self {
            Self::NeverOpens => f.write_str("the window has no opening left"),
            Self::AllCutOff { longest_seconds } => {
                write!(
                    f,
                    "the cutoff covers every opening; the longest is {}",
                    length(longest_seconds)
                )
            }
            Self::TooShort { longest_seconds } => {
                write!(
                    f,
                    "no opening is long enough; the longest is {}",
                    length(longest_seconds)
                )
            }
        }
    }
}

/// The earliest place for work of `needed_seconds` at or after `not_before`.
///
/// Work may start in an opening from its start until `cutoff_seconds` before its end (that instant included, the end
/// itself never). `openings` are in order, as [`super::Window::openings`] gives them; one without start is open at
/// `not_before`, one without end holds everything.
///
/// A plan never *plans* to overrun where it can avoid it, so:
///
/// 1. the first opening with `start + needed_seconds` not after its end takes the work, whatever `overrun` says;
/// 2. if there is none, [`Overrun::Stop`] refuses, because the last assets would never be started;
/// 3. if there is none, [`Overrun::Finish`] starts the work as early in an opening as it can and says `overruns`. Of
///    the openings within seven days of the first the one with the most time left is taken, the earliest of equals, so
///    that as little as possible runs outside the window.
///
/// Openings are looked at up to 400 days after the first one with room to start.
pub fn earliest_fit(
    openings: impl Iterator<Item = Opening>,
    not_before: Timestamp,
    needed_seconds: i64,
    cutoff_seconds: i64,
    overrun: Overrun,
) -> Result<Fit, FitRefusal> {
    let (mut first, mut fallback, mut longest_cut_off): (Option<Timestamp>, Option<(i64, Fit)>, Option<i64>) =
        (None, None, None);
    let mut longest_seconds = 0;
    for opening in openings {
        let start = opening.start.map_or(not_before, |start| start.max(not_before));
        if start > seconds_after(first.unwrap_or(start), FIT_SECONDS) {
            break;
        }
        let Some(end) = opening.end else {
            return Ok(Fit {
                opening,
                start,
                overruns: false,
            });
        };
        if start >= end {
            continue;
        }
        let room_seconds = end.duration_since(start).as_secs();
        if room_seconds < cutoff_seconds {
            longest_cut_off = longest_cut_off.max(Some(room_seconds));
            continue;
        }
        if room_seconds >= needed_seconds {
            return Ok(Fit {
                opening,
                start,
                overruns: false,
            });
        }
        longest_seconds = longest_seconds.max(room_seconds);
        let is_near = start <= seconds_after(*first.get_or_insert(start), OVERRUN_CHOICE_SECONDS);
        if is_near && fallback.is_none_or(|(room, _)| room < room_seconds) {
            fallback = Some((
                room_seconds,
                Fit {
                    opening,
                    start,
                    overruns: true,
                },
            ));
        }
    }
    match (fallback, overrun, longest_cut_off) {
        (Some((_, fit)), Overrun::Finish, _) => Ok(fit),
        (Some(_), Overrun::Stop, _) => Err(FitRefusal::TooShort { longest_seconds }),
        (None, _, Some(longest_seconds)) => Err(FitRefusal::AllCutOff { longest_seconds }),
        (None, _, None) => Err(FitRefusal::NeverOpens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hour * HOUR).unwrap()
    }

    fn opening(start: i64, end: i64) -> Opening {
        Opening {
            start: Some(at(start)),
            end: Some(at(end)),
        }
    }

    fn fit(
        openings: &[Opening],
        not_before: i64,
        hours: i64,
        cutoff: i64,
        overrun: Overrun,
    ) -> Result<Fit, FitRefusal> {
        earliest_fit(
            openings.iter().copied(),
            at(not_before),
            hours * HOUR,
            cutoff * HOUR,
            overrun,
        )
    }

    #[test]
    fn work_goes_where_it_ends_in_time() {
        let openings = [opening(0, 4), opening(24, 28), opening(48, 54)];
        let start = |not_before, hours| {
            fit(&openings, not_before, hours, 0, Overrun::Finish).map(|fit| (fit.start, fit.overruns))
        };
        assert_eq!(start(0, 4), Ok((at(0), false)));
        assert_eq!(start(1, 3), Ok((at(1), false)));
        assert_eq!(
            start(2, 3),
            Ok((at(24), false)),
            "what would overrun waits for an opening that holds it"
        );
        assert_eq!(start(0, 6), Ok((at(48), false)));
        assert_eq!(start(28, 1), Ok((at(48), false)), "the end of an opening is outside");
    }

    #[test]
    fn nothing_starts_within_the_cutoff() {
        let openings = [opening(0, 4), opening(24, 28)];
        assert_eq!(
            fit(&openings, 2, 1, 2, Overrun::Finish).unwrap().start,
            at(2),
            "the cutoff's first instant is allowed"
        );
        assert_eq!(fit(&openings, 3, 1, 2, Overrun::Finish).unwrap().start, at(24));
        assert_eq!(
            fit(&openings, 0, 1, 5, Overrun::Finish),
            Err(FitRefusal::AllCutOff {
                longest_seconds: 4 * HOUR
            })
        );
    }

    #[test]
    fn what_fits_nowhere_overruns_or_is_refused() {
        let openings = [
            opening(0, 4),
            opening(24, 25),
            opening(48, 52),
            opening(72, 76),
            opening(800, 806),
        ];
        let placed = fit(&openings, 2, 9, 0, Overrun::Finish).unwrap();
        assert_eq!(
            (placed.start, placed.overruns),
            (at(48), true),
            "neither the rest of the first nor the crumb"
        );
        assert_eq!(
            fit(&openings, 2, 9, 0, Overrun::Stop),
            Err(FitRefusal::TooShort {
                longest_seconds: 6 * HOUR
            })
        );
        let only = fit(&openings[..1], 3, 9, 0, Overrun::Finish).unwrap();
        assert_eq!((only.start, only.overruns), (at(3), true), "the only opening there is");
    }

    #[test]
    fn an_opening_without_end_holds_everything() {
        let endless = Opening { start: None, end: None };
        let placed = fit(&[endless], 7, 1_000_000, 1_000_000, Overrun::Stop).unwrap();
        assert_eq!((placed.start, placed.overruns), (at(7), false));
    }

    #[test]
    fn no_opening_is_told_apart_from_short_ones() {
        assert_eq!(fit(&[], 0, 1, 0, Overrun::Finish), Err(FitRefusal::NeverOpens));
        assert_eq!(
            fit(&[opening(0, 4)], 4, 1, 0, Overrun::Finish),
            Err(FitRefusal::NeverOpens)
        );
    }

    #[test]
    fn an_endless_row_of_short_openings_is_given_up() {
        let row = (0_i64..).map(|day| opening(day * 24, day * 24 + 4));
        let asked = std::cell::Cell::new(0);
        let row = row.inspect(|_| asked.set(asked.get() + 1));
        let refused = earliest_fit(row, at(0), 5 * HOUR, 0, Overrun::Stop);
        assert_eq!(
            refused,
            Err(FitRefusal::TooShort {
                longest_seconds: 4 * HOUR
            })
        );
        assert!(asked.get() < 410, "{}", asked.get());
    }
}
