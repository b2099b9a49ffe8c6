//! Durations as people write them: `24h`, `7d`, `2h30m`, ISO 8601 `PT15M` and `P7D`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of elapsed time in whole seconds, never negative.
///
/// `7d` is exactly 7 × 24 h whatever the zone does in between: a deadline must not move because a clock was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationSeconds(pub i64);

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write for example `45m`, `24h`, `7d`, `2h30m` or `PT15M`")]
pub struct DurationError(pub String);

/// Longer than any policy means (300 years); a larger number is a slip of the pen and would overflow dates later.
const SECONDS_MAX: i64 = 300 * 366 * 86_400;

impl DurationSeconds {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Whole seconds.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The same length as jiff's signed duration, for adding to timestamps.
    pub const fn signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(self.0)
    }

    /// Whole hours as a duration.
    pub const fn hours(hours: i64) -> Self {
        Self(hours * 3600)
    }

    /// Whole minutes as a duration.
    pub const fn minutes(minutes: i64) -> Self {
        Self(minutes * 60)
    }
}

/// A shift by elapsed time, forwards or backwards: `4d`, `-3d`. Whoever reads it decides which lengths are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShiftSeconds(pub i64);

impl ShiftSeconds {
    /// Whole seconds; negative is earlier.
    pub const fn seconds(self) -> i64 {
        self.0
    }
}

fn unit_seconds(unit: char, iso: bool, in_time: bool) -> Option<i64> {
    match (unit.to_ascii_lowercase(), iso, in_time) {
        ('w', ..) => Some(7 * 86_400),
        ('d', ..) => Some(86_400),
        ('h', ..) => Some(3600),
        // In ISO 8601 an `M` before the `T` means months, which have no fixed length: not a duration here.
        ('m', true, false) => None,
        ('m', ..) => Some(60),
        ('s', ..) => Some(1),
        _ => None,
    }
}

fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let (body, iso) = match text.strip_prefix(['P', 'p']) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (mut total, mut number, mut digits, mut in_time, mut parts) = (0_i64, 0_i64, 0, false, 0);
    for c in body.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = number.checked_mul(10)?.checked_add(i64::from(digit))?;
            digits += 1;
        } else if iso && !in_time && digits == 0 && (c == 'T' || c == 't') {
            in_time = true;
        } else {
            if digits == 0 {
                return None;
            }
            total = total.checked_add(number.checked_mul(unit_seconds(c, iso, in_time)?)?)?;
            (number, digits, parts) = (0, 0, parts + 1);
        }
    }
    // A bare `0` needs no unit; every other number does.
    if digits > 0 && !(parts == 0 && number == 0 && !iso) {
        return None;
    }
    (parts > 0 || digits > 0).then_some(total).filter(|t| *t <= SECONDS_MAX)
}

impl FromStr for DurationSeconds {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self).ok_or_else(|| DurationError(text.to_owned()))
    }
}

/// Writes the shortest exact form: `7d`, `2h30m`, `45m`, `0s`. Reads back to the same value.
impl fmt::Display for DurationSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(total) = *self;
        let (sign, total) = if total < 0 { ("-", -total) } else { ("", total) };
        f.write_str(sign)?;
        if total == 0 {
            return f.write_str("0s");
        }
        let parts = [
            (total / 86_400, 'd'),
            (total / 3600 % 24, 'h'),
            (total / 60 % 60, 'm'),
            (total % 60, 's'),
        ];
        parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .try_for_each(|(n, unit)| write!(f, "{n}{unit}"))
    }
}

impl Serialize for DurationSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DurationSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written(deserializer)
    }
}

impl JsonSchema for DurationSeconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            // No time at all needs no unit and therefore no quotes: `soak: 0`.
            "type": ["string", "integer"],
            "minimum": 0,
            "maximum": 0,
            "description": "Elapsed time: `45m`, `24h`, `7d` (= 7 × 24 h), `2h30m`, or ISO 8601 such as `PT15M`.",
            "pattern": "^\\s*(0|([0-9]+[wdhmsWDHMS])+|[Pp]([0-9]+[wdWD])*([Tt]([0-9]+[hmsHMS])+)?)\\s*$",
            "examples": ["24h", "7d", "2h30m", "PT15M"]
        })
    }
}

impl FromStr for ShiftSeconds {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let (sign, length) = match trimmed.strip_prefix('-') {
            Some(length) => (-1, length),
            None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        // A second sign, or a blank behind the first, is a slip.
        let seconds = parse(length).filter(|_| !length.starts_with(char::is_whitespace));
        seconds
            .map(|s| Self(sign * s))
            .ok_or_else(|| DurationError(text.to_owned()))
    }
}

impl fmt::Display for ShiftSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DurationSeconds(self.0).fmt(f)
    }
}

impl Serialize for ShiftSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ShiftSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written(deserializer)
    }
}

/// A text, or the number 0.
fn written<'de, D: Deserializer<'de>, T: FromStr<Err = DurationError>>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(i64),
    }
    let text = match Written::deserialize(deserializer)? {
        Written::Text(text) => text,
        Written::Number(number) => number.to_string(),
    };
    text.parse().map_err(serde::de::Error::custom)
}

impl JsonSchema for ShiftSeconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Shift".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "minimum": 0,
            "maximum": 0,
            "description": "A length of time forwards or backwards: `4d`, `-3d`, `1w`.",
            "pattern": "^\\s*[-+]?(0|([0-9]+[wdhmsWDHMS])+|[Pp]([0-9]+[wdWD])*([Tt]([0-9]+[hmsHMS])+)?)\\s*$",
            "examples": ["4d", "-3d"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [
            ("24h", 86_400),
            ("7d", 604_800),
            ("2h30m", 9000),
            ("PT15M", 900),
            ("P7D", 604_800),
            ("P1DT2H", 93_600),
            ("0", 0),
            ("0s", 0),
            ("1w", 604_800),
        ] {
            assert_eq!(text.parse(), Ok(DurationSeconds(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_has_no_fixed_length_or_no_unit() {
        for text in [
            "",
            "P",
            "PT",
            "5",
            "h",
            "-5m",
            "P1M",
            "1.5h",
            "99999999999999999999d",
            "9999999d",
            "5m3",
        ] {
            assert!(text.parse::<DurationSeconds>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_zero_needs_no_quotes() {
        let read = |json: &str| serde_json::from_str::<DurationSeconds>(json).ok();
        assert_eq!(read("0"), Some(DurationSeconds::ZERO));
        assert_eq!(read("\"7d\""), Some(DurationSeconds(604_800)));
        for wrong in ["5", "-1", "0.5", "true", "null"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_shift_may_go_backwards() {
        let seconds = |text: &str| text.parse::<ShiftSeconds>().ok().map(ShiftSeconds::seconds);
        for (text, days) in [
            ("4d", 4),
            ("+4d", 4),
            ("-3d", -3),
            (" -1w ", -7),
            ("0", 0),
            ("-P2D", -2),
        ] {
            assert_eq!(seconds(text), Some(days * 86_400), "{text}");
            let written = ShiftSeconds(days * 86_400).to_string();
            assert_eq!(seconds(&written), Some(days * 86_400), "{written}");
        }
        for text in ["", "-", "--1d", "- 1d", "+-1d", "4"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for seconds in [0, 1, 59, 60, 3600, 86_399, 86_400, 90_061, 604_800] {
            let written = DurationSeconds(seconds).to_string();
            assert_eq!(written.parse(), Ok(DurationSeconds(seconds)), "{written}");
        }
    }
}
