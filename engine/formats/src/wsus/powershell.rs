//! JSON as `ConvertTo-Json` of Windows PowerShell 5.1 writes it, which differs from what went in: a list of one element
//! becomes the element, a list with properties of its own becomes `{"value": […], "Count": n}`, an instant becomes
//! `/Date(1700000000000)/` or an object around one, and what lies deeper than `-Depth` becomes a text.

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::fields::{Fields, Text, excerpt, zoned_or_utc};

/// 1990: no update server is older, so an instant before it (`DateTime.MinValue`) means never.
const NINETEEN_NINETY: i64 = 631_152_000;

/// The elements of a list, or the one that it was made into.
///
/// # Errors
/// Why it is none.
pub(super) fn list(raw: &RawValue) -> Result<Vec<&RawValue>, String> {
    let text = raw.get();
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    if text.starts_with('{') {
        let wrapped = Fields::parse(text.as_bytes())
            .ok()
            .filter(|fields| fields.raw("Count").is_some());
        return match wrapped.and_then(|fields| fields.raw("value")) {
            Some(value) if value.get().starts_with('[') => list(value),
            _ => Ok(vec![raw]),
        };
    }
    match cut_off(raw) {
        Some(why) => Err(why),
        None => Ok(vec![raw]),
    }
}

/// Why a value is what is left of an object deeper than `-Depth`, if it is: `@{update_id=…; …}`, or the name of a type.
pub(super) fn cut_off(raw: &RawValue) -> Option<String> {
    let text: Text<'_> = serde_json::from_str(raw.get()).ok()?;
    (text.starts_with("@{") || text.starts_with("System.")).then(|| {
        format!(
            "it reads `{}`, which is all that ConvertTo-Json leaves of what lies deeper than its -Depth; export with a \
             greater one",
            excerpt(&text)
        )
    })
}

/// An instant; none for the least one that .NET has, which stands for never. One without an offset is UTC, as all
/// instants of the server's API are.
///
/// # Errors
/// Why it is none.
pub(super) fn time(raw: &RawValue) -> Result<Option<Timestamp>, String> {
    let wrapped = Fields::parse(raw.get().as_bytes()).ok();
    let raw = wrapped.as_ref().and_then(|fields| fields.raw("value")).unwrap_or(raw);
    let no_time = || format!("{} is no time such as 2026-11-20T03:00:00Z", excerpt(raw.get()));
    let text: Text<'_> = serde_json::from_str(raw.get()).map_err(|_| no_time())?;
    let text = text.trim();
    let time = match text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        Some(milliseconds) => {
            // An offset behind the number says only where the writer was; the number counts in UTC.
            let end = milliseconds
                .char_indices()
                .skip(1)
                .find(|(_, c)| matches!(c, '+' | '-'));
            let number = end.and_then(|(at, _)| milliseconds.get(..at)).unwrap_or(milliseconds);
            number.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok())
        }
        None => zoned_or_utc(text),
    };
    let time = time.ok_or_else(no_time)?;
    Ok(Some(time).filter(|time| time.as_second() >= NINETEEN_NINETY))
}

/// A text, or a number as one.
pub(super) fn word(raw: &RawValue) -> Option<String> {
    let text = serde_json::from_str::<Text<'_>>(raw.get())
        .map(|text| text.trim().to_owned())
        .ok();
    text.or_else(|| {
        serde_json::from_str::<u64>(raw.get())
            .map(|number| number.to_string())
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn lists_of_one_and_wrapped_lists_are_lists() {
        let elements = |text| list(raw(text)).map(|all| all.iter().map(|r| r.get().to_owned()).collect::<Vec<_>>());
        assert_eq!(elements("[1,2]").unwrap(), ["1", "2"]);
        assert_eq!(elements(r#"{"a":1}"#).unwrap(), [r#"{"a":1}"#]);
        assert_eq!(elements(r#"{"value":[1,2],"Count":2}"#).unwrap(), ["1", "2"]);
        assert_eq!(
            elements(r#"{"value":[1,2]}"#).unwrap().len(),
            1,
            "an object that happens to have a `value`"
        );
        assert_eq!(elements(r#""5034439""#).unwrap(), [r#""5034439""#]);
        assert!(elements(r#""@{a=1; b=2}""#).unwrap_err().contains("-Depth"));
        assert!(elements(r#""System.Object[]""#).unwrap_err().contains("-Depth"));
    }

    #[test]
    fn times_come_in_five_shapes() {
        let at = |text| time(raw(text)).map(|t| t.map(|t| t.to_string()));
        for text in [
            r#""2023-11-14T22:13:20Z""#,
            r#""2023-11-14T23:13:20.0000000+01:00""#,
            r#""2023-11-14T22:13:20""#,
            r#""\/Date(1700000000000)\/""#,
            r#""/Date(1700000000000+0100)/""#,
            r#"{"value":"\/Date(1700000000000)\/","DisplayHint":2,"DateTime":"Tuesday"}"#,
        ] {
            assert_eq!(at(text).unwrap().as_deref(), Some("2023-11-14T22:13:20Z"), "{text}");
        }
        assert_eq!(at(r#""\/Date(-62135596800000)\/""#), Ok(None));
        assert_eq!(at(r#""0001-01-01T00:00:00""#), Ok(None));
        for text in [
            "7",
            r#""yesterday""#,
            r#""/Date(x)/""#,
            r#""/Date(99999999999999999)/""#,
            "{}",
        ] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}
