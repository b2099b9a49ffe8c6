//! What tools need that take work by themselves: the name of a batch as a label, and a window as a filter by weekday.

use crate::canonical::sha256_hex;
use crate::load::Catalog;
use crate::load::wire::WindowSchedule;
use crate::time::{self, Boundary, ShiftSeconds, Weekly, WeeklyRule, When};

/// The longest value of a label in Kubernetes (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>);
/// names of groups elsewhere may be longer. Five characters stay for the number of an asset (`-9999`).
const LABEL_MAX: usize = 63 - 5;
/// Hex digits of a digest that make a shortened name unique among the batches that are released at one time.
const DIGEST_CHARS: usize = 8;

/// `<rollout>.<wave>.<batch>`, shortened where it is longer than a label may be; then a digest of the whole stands in it.
pub(super) fn group(rollout: &str, wave: &str, batch: &str) -> String {
    let whole = format!("{rollout}.{wave}.{batch}");
    if whole.len() <= LABEL_MAX {
        return whole;
    }
    let digest: String = sha256_hex(whole.as_bytes()).chars().take(DIGEST_CHARS).collect();
    let kept: String = whole.chars().take(LABEL_MAX - DIGEST_CHARS - 1).collect();
    format!("{}-{digest}", kept.trim_end_matches(['.', '-']))
}

/// The window `name` (several joined by `+`, where a batch needs each) as a filter by weekday.
///
/// # Errors
/// Why there is none, in words for people.
pub(super) fn weekly_of(catalog: &Catalog, name: &str) -> Result<Weekly, String> {
    let zone = catalog.zone.0.iana_name().unwrap_or("UTC");
    let mut narrow: Option<Weekly> = None;
    for part in name.split('+') {
        let window = catalog.windows.get(part);
        let window = window.ok_or_else(|| format!("there is no window `{part}`"))?;
        let rules: Vec<WeeklyRule<'_>> = window.spec.schedules.iter().map(|s| rule(s, zone)).collect();
        let weekly = time::weekly(&rules, window.spec.cutoff.seconds());
        let weekly = weekly.map_err(|why| format!("window `{part}` is no filter by weekday, because {why}"))?;
        narrow = Some(match narrow {
            None => weekly,
            Some(known) => time::narrower(known, weekly),
        });
    }
    narrow.ok_or_else(|| "it has no window".to_owned())
}

fn rule<'a>(schedule: &'a WindowSchedule, zone: &'a str) -> WeeklyRule<'a> {
    let zone = schedule.timezone.as_deref().unwrap_or(zone);
    let from = schedule.from.map(|when| match when {
        When::Date(date) => date,
        instant => instant
            .resolve(Boundary::Start, &jiff::tz::TimeZone::UTC)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date(),
    });
    WeeklyRule {
        rrule: &schedule.rrule,
        from,
        offset_days: schedule.offset.map_or(0, ShiftSeconds::seconds) / 86_400,
        // One that cannot be read is an error when resources are loaded.
        start: schedule.start.parse().unwrap_or_default(),
        zone,
        duration_seconds: schedule.duration.seconds(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_batch_is_a_label() {
        assert_eq!(
            group("linux-2026-11-20", "critical", "01"),
            "linux-2026-11-20.critical.01"
        );
        let long = "a".repeat(63);
        let (one, other) = (group(&long, "critical", "01"), group(&long, "critical", "02"));
        assert_ne!(one, other);
        for name in [one, other, group(&"ab-".repeat(18), "--", "1")] {
            assert!(name.len() <= LABEL_MAX, "{name}");
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            assert!(ends(name.chars().next()) && ends(name.chars().last()), "{name}");
        }
    }
}
