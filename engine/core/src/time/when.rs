//! Authored points in time: an instant (RFC 3339) or a bare date whose edge and zone the field decides.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time as written in a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum When {
    /// `2026-11-20`: start or end of that day, in the project's default zone.
    Date(Date),
    /// `2026-11-20T12:00:00Z`.
    Instant(Timestamp),
}

/// Which edge of a day a bare date means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// `from`, `published`, `asOf` and every other field.
    Start,
    /// `to`, `until`, `expires`, `reviewBy`: the first instant of the next day, so the whole day is inside.
    End,
}

/// Why a text is not a date or instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a date like `2026-11-20` nor an instant like `2026-11-20T12:00:00Z`")]
pub struct WhenError(pub String);

impl When {
    /// The instant meant, reading a bare date in `zone` at the `boundary` its field has.
    /// A date whose midnight does not exist in `zone` gives the first instant after the gap.
    pub fn resolve(self, boundary: Boundary, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            Self::Date(date) => {
                let day = match boundary {
                    Boundary::Start => date,
                    Boundary::End => date.checked_add(1.day()).unwrap_or(date),
                };
                day.to_zoned(zone.clone())
                    .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
            }
        }
    }
}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let bare = text.len() == 10;
        let parsed = if bare {
            text.parse().map(Self::Date).ok()
        } else {
            text.parse().map(Self::Instant).ok()
        };
        parsed.ok_or_else(|| WhenError(text.to_owned()))
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => date.fmt(f),
            Self::Instant(at) => at.fmt(f),
        }
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for When {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A date (`2026-11-20`; read in `defaults.timezone`, else UTC; the end of the day for `to`, `until`, `expires` and `reviewBy`, its start elsewhere) or an instant with offset (`2026-11-20T12:00:00Z`).",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2}))?$",
            "examples": ["2026-11-20", "2026-11-20T12:00:00Z"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_date_has_two_edges() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let date: When = "2026-12-18".parse().unwrap();
        assert_eq!(date.resolve(Boundary::Start, &zone).to_string(), "2026-12-17T23:00:00Z");
        assert_eq!(date.resolve(Boundary::End, &zone).to_string(), "2026-12-18T23:00:00Z");
    }

    #[test]
    fn an_instant_is_itself() {
        let at: When = "2026-11-20T12:00:00+01:00".parse().unwrap();
        assert_eq!(
            at.resolve(Boundary::End, &TimeZone::UTC).to_string(),
            "2026-11-20T11:00:00Z"
        );
        assert!(
            "2026-11-20T12:00:00".parse::<When>().is_err(),
            "an instant without offset is no instant"
        );
        assert!("2026-13-01".parse::<When>().is_err());
    }
}
