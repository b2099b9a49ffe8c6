//! JSON read leniently: a record is a list of raw fields, and each field is read on its own, so that a bad one costs
//! only itself.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A text that borrows from the input unless it holds escapes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

/// The fields of an object, raw, in the order in which they stand.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for FieldsVisitor<'a> {
            type Value = Fields<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor(PhantomData))
    }
}

impl<'a> Fields<'a> {
    /// Reads an object.
    pub(crate) fn parse(raw: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(raw)
    }

    /// The raw value of a field; of a field that stands twice the last, as JSON readers do. `null` is as good as
    /// absent.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let mut named = self.0.iter().rev().filter(|(field, _)| field.0 == name);
        named.next().map(|(_, raw)| *raw).filter(|raw| raw.get() != "null")
    }

    /// Reads a field. `Ok(None)` if it is absent or `null`.
    pub(crate) fn get<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|error| fault(name, raw, &error))
    }
}

/// How a fault of a field is told: its name, what stands there, and what was expected.
pub(crate) fn fault(name: &str, raw: &RawValue, error: &serde_json::Error) -> String {
    // Positions inside the field would mislead: people count from the beginning of the line.
    let why = error.to_string();
    let why = why.split(" at line ").next().unwrap_or(&why);
    format!("field `{name}` was dropped: {why}; it reads {}", excerpt(raw.get()))
}

/// A time as Ruby prints it, `2022-11-03 11:43:54 UTC` or `2016-05-26 10:46:18 -0400`, or in any shape of [`instant`].
pub(crate) fn ruby_instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match text.rsplit_once(' ') {
        Some((time, "UTC")) => instant(&format!("{time}Z")),
        Some((time, offset)) if offset.starts_with(['+', '-']) => instant(&format!("{time}{offset}")),
        _ => instant(text),
    }
}

/// A time with an offset, or without one of a writer whose clock is UTC.
pub(crate) fn zoned_or_utc(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// The same; none for times before 1990, which stand for unknown (`0001-01-01T00:00:00`, 1970).
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    const NINETEEN_NINETY: i64 = 631_152_000;
    zoned_or_utc(text).filter(|time| time.as_second() >= NINETEEN_NINETY)
}

/// The beginning of a foreign text, fit for a message: one line, no control characters, 60 characters.
pub(crate) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LENGTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(LENGTH).is_some() {
        shown.push('…');
    }
    shown
}
