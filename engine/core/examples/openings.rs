//! Reads one window a line as JSON and prints its openings as one line of JSON, for tests in other languages.
//!
//! In: `{"now": "2026-11-22T13:08:00Z", "count": 3, "schedules": [{"rrule": "FREQ=WEEKLY;BYDAY=TU", "start": "22:00",
//! "duration": 21600, "timezone": "Europe/Berlin", "offset": 0, "from": null}], "freezes": [{"from": …, "to": …}]}`;
//! a freeze may be a schedule instead. Out: `{"openings": [{"start": …, "end": …}]}`, an edge left out as in the
//! library, or `{"errors": [...]}`.

use std::io::{BufRead as _, Write as _};

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use patchwave_core::time::{
    Freeze, FreezeSet, FreezeSpan, Opening, Overrun, Recurrence, RecurrenceSpec, Window, WindowSchedule,
};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Question {
    now: Timestamp,
    count: usize,
    schedules: Vec<Schedule>,
    #[serde(default)]
    freezes: Vec<Frozen>,
}

#[derive(Deserialize)]
struct Schedule {
    rrule: String,
    start: Time,
    duration: i64,
    timezone: String,
    #[serde(default)]
    offset: i64,
    from: Option<Date>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Frozen {
    Recurring(Schedule),
    Once { from: Timestamp, to: Timestamp },
}

fn schedule(schedule: Schedule) -> Result<WindowSchedule, Vec<String>> {
    let Schedule {
        rrule,
        start,
        duration,
        timezone,
        offset,
        from,
    } = schedule;
    let zone = TimeZone::get(&timezone).map_err(|error| vec![error.to_string()])?;
    let spec = RecurrenceSpec {
        rrule,
        start,
        zone,
        offset_days: offset,
        from,
    };
    let told = |errors: Vec<_>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(WindowSchedule {
        recurrence: Recurrence::new(spec).map_err(told)?,
        duration_seconds: duration,
    })
}

fn openings(line: &str) -> Result<Vec<Opening>, Vec<String>> {
    let question: Question = serde_json::from_str(line).map_err(|error| vec![error.to_string()])?;
    let schedules = question.schedules.into_iter().map(schedule).collect::<Result<_, _>>()?;
    let span = |frozen| match frozen {
        Frozen::Once { from, to } => Ok(FreezeSpan::Once { from, to }),
        Frozen::Recurring(rule) => schedule(rule).map(|schedule| {
            let WindowSchedule {
                recurrence,
                duration_seconds,
            } = schedule;
            FreezeSpan::Recurring {
                recurrence: Box::new(recurrence),
                duration_seconds,
            }
        }),
    };
    let spans = question.freezes.into_iter().map(span).collect::<Result<_, _>>()?;
    let freezes = FreezeSet::new(vec![Freeze {
        name: "freeze".to_owned(),
        reason: String::new(),
        spans,
    }]);
    let window = Window {
        name: "window".to_owned(),
        schedules,
        cutoff_seconds: 0,
        overrun: Overrun::Finish,
    };
    Ok(window.openings(question.now, &freezes).take(question.count).collect())
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = match openings(&line?) {
            Ok(openings) => json!({ "openings": openings }),
            Err(errors) => json!({ "errors": errors }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}
