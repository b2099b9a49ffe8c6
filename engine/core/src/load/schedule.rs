//! Authored schedules as recurrences and windows of the `time` foundation.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::catalog::{Catalog, Resource};
use super::wire::{ChangeFreezeSpec, MaintenanceWindowSpec, Schedule, WindowSchedule};
use crate::time::{self, Boundary, FreezeSpan, Recurrence, RecurrenceError, RecurrenceSpec, When};

/// Why a schedule cannot be read, and the field at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleFault {
    /// The rule.
    #[error(transparent)]
    Rule(RecurrenceError),
    /// The zone.
    #[error("there is no time zone `{0}`")]
    Zone(String),
    /// The time of day.
    #[error("`{0}` is not a time of day like 22:00")]
    Start(String),
    /// The offset.
    #[error("the offset is counted in whole days, for example `4d` or `-3d`")]
    Offset,
}

impl ScheduleFault {
    /// The field of the schedule that is wrong.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Rule(_) => "rrule",
            Self::Zone(_) => "timezone",
            Self::Start(_) => "start",
            Self::Offset => "offset",
        }
    }
}

const DAY_SECONDS: i64 = 86_400;

/// A schedule as a recurrence; `zone` is the one that counts when the schedule names none.
///
/// # Errors
/// Every fault of the schedule.
pub fn recurrence(schedule: &Schedule, zone: &TimeZone) -> Result<Recurrence, Vec<ScheduleFault>> {
    let Schedule {
        rrule,
        start,
        offset,
        timezone,
        from,
    } = schedule;
    let mut faults = Vec::new();
    let zone = match timezone.as_deref().map(|name| (name, TimeZone::get(name))) {
        None => zone.clone(),
        Some((_, Ok(zone))) => zone,
        Some((name, Err(_))) => {
            faults.push(ScheduleFault::Zone(name.to_owned()));
            zone.clone()
        }
    };
    let start = start
        .as_deref()
        .map_or(Ok(Time::midnight()), |text| text.parse().map_err(|_| text.to_owned()));
    let start = start.unwrap_or_else(|text| {
        faults.push(ScheduleFault::Start(text));
        Time::midnight()
    });
    let offset_seconds = offset.map_or(0, time::ShiftSeconds::seconds);
    if offset_seconds % DAY_SECONDS != 0 {
        faults.push(ScheduleFault::Offset);
    }
    let from = from.map(|when| match when {
        When::Date(date) => date,
        When::Instant(at) => at.to_zoned(zone.clone()).date(),
    });
    let spec = RecurrenceSpec {
        rrule: rrule.clone(),
        start,
        zone,
        offset_days: offset_seconds / DAY_SECONDS,
        from,
    };
    match Recurrence::new(spec) {
        Ok(recurrence) if faults.is_empty() => Ok(recurrence),
        Ok(_) => Err(faults),
        Err(errors) => {
            faults.extend(errors.into_iter().map(ScheduleFault::Rule));
            Err(faults)
        }
    }
}

/// The recurring start of an opening, without its length.
pub fn opening_start(schedule: &WindowSchedule) -> Schedule {
    let WindowSchedule {
        rrule,
        start,
        duration: _,
        offset,
        timezone,
        from,
    } = schedule.clone();
    Schedule {
        rrule,
        start: Some(start),
        offset,
        timezone,
        from,
    }
}

/// A MaintenanceWindow as a window.
///
/// # Errors
/// Every fault, with the index of its schedule.
pub fn window(
    resource: &Resource<MaintenanceWindowSpec>,
    catalog: &Catalog,
) -> Result<time::Window, Vec<(usize, ScheduleFault)>> {
    let (mut schedules, mut faults) = (Vec::new(), Vec::new());
    for (index, schedule) in resource.spec.schedules.iter().enumerate() {
        match recurrence(&opening_start(schedule), &catalog.zone.0) {
            Ok(recurrence) => {
                schedules.push(time::WindowSchedule {
                    recurrence,
                    duration_seconds: schedule.duration.seconds(),
                });
            }
            Err(found) => faults.extend(found.into_iter().map(|fault| (index, fault))),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(time::Window {
        name: resource.name.to_string(),
        schedules,
        cutoff_seconds: resource.spec.cutoff.seconds(),
        overrun: resource.spec.overrun,
    })
}

/// A ChangeFreeze as a freeze, without its selector. A rule that cannot be read is an error when resources are loaded;
/// here it freezes nothing.
pub fn freeze(catalog: &Catalog, name: &str, spec: &ChangeFreezeSpec) -> time::Freeze {
    let zone = &catalog.zone.0;
    let mut spans = Vec::new();
    if spec.from.is_some() || spec.to.is_some() {
        spans.push(FreezeSpan::Once {
            from: spec
                .from
                .map_or(Timestamp::MIN, |from| from.resolve(Boundary::Start, zone)),
            to: spec.to.map_or(Timestamp::MAX, |to| to.resolve(Boundary::End, zone)),
        });
    }
    if let Some(rule) = &spec.rule
        && let Ok(recurrence) = recurrence(&opening_start(rule), zone)
    {
        let duration_seconds = rule.duration.seconds();
        spans.push(FreezeSpan::Recurring {
            recurrence: recurrence.into(),
            duration_seconds,
        });
    }
    time::Freeze {
        name: name.to_owned(),
        reason: spec.reason.clone().unwrap_or_default(),
        spans,
    }
}
