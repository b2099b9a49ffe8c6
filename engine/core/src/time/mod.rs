//! Time as values: durations, authored dates, recurrences, windows and freezes. `now` is always an argument.

mod duration;
mod when;

pub use duration::{DurationError, DurationSeconds};
pub use when::{Boundary, When, WhenError};
