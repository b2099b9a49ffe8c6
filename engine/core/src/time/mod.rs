//! Time as values: durations, authored dates, recurrences, windows and freezes. `now` is always an argument.
//!
//! Nothing here knows a resource of the repository: it takes plain values, so every stage may use it.

mod duration;
mod fit;
mod freeze;
mod ics;
mod recurrence;
mod rule;
mod spans;
mod weekly;
mod when;
mod window;

pub use duration::{DurationError, DurationSeconds, ShiftSeconds};
pub use fit::{Fit, FitRefusal, earliest_fit};
pub use freeze::{Freeze, FreezeSet, FreezeSpan};
pub use ics::ics;
pub use recurrence::{Recurrence, RecurrenceError, RecurrenceSpec, SEARCH_YEARS};
pub use weekly::{Weekly, WeeklyRefusal, WeeklyRule, narrower, weekly};
pub use when::{Boundary, When, WhenError};
pub use window::{ClosedReason, ENDLESS_DAYS, Opening, Overrun, Window, WindowSchedule, WindowStatus};
