//! Values of options that need more than their type to be read.

use std::collections::BTreeMap;

use patchwave_core::time::{DurationSeconds, When};
use patchwave_core::version::Scheme;

pub(super) fn parse_scheme(text: &str) -> Result<Scheme, String> {
    Scheme::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Scheme::ALL.iter().map(|s| s.as_str()).collect();
        format!("`{text}` is no version scheme; there are {}", known.join(", "))
    })
}

/// A date, or an instant.
pub(super) fn when(text: &str) -> Result<When, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|e| e.to_string())
}

/// At least a second: less would only burn time.
pub(super) fn interval(text: &str) -> Result<DurationSeconds, String> {
    match text.parse::<DurationSeconds>() {
        Ok(interval) if interval.0 >= 1 => Ok(interval),
        Ok(_) => Err("at least one second is needed, for example 15m".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// How many openings `windows` lists at most: a century of nights. The search itself ends after 50 years.
const OPENINGS_MAX: usize = 36_500;

pub(super) fn openings_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=OPENINGS_MAX) => Ok(count),
        _ => Err(format!("a whole number from 1 to {OPENINGS_MAX} is needed")),
    }
}

/// `key=value,key=value`; empty = an asset without labels.
pub(super) fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
            _ => Err(format!(
                "`{pair}` is not KEY=VALUE; write for example env=prod,tier=web"
            )),
        })
        .collect()
}
