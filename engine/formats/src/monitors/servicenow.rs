//! ServiceNow, `/api/now/table/change_request`
//! (<https://www.servicenow.com/docs/bundle/zurich-api-reference/page/integrate/inbound-rest/concept/c_TableAPI.html>).
//! With `sysparm_display_value=all` a field is `{"display_value": "Implement", "value": "-1"}`, without it the value alone.
//! Instants are UTC, `2026-11-20 22:00:00`, in `value`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use patchwave_core::verify::ChangeRecord;
use serde::Deserialize;
use serde_json::Value;

use super::shape;
use crate::fields::excerpt;

#[derive(Deserialize)]
struct Answer {
    result: Option<Vec<Record>>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Record {
    number: Field,
    state: Field,
    #[serde(default)]
    active: Option<Field>,
    #[serde(default)]
    start_date: Option<Field>,
    #[serde(default)]
    end_date: Option<Field>,
    #[serde(default)]
    correlation_id: Option<Field>,
    #[serde(default)]
    short_description: Option<Field>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Both {
        value: Option<Value>,
        display_value: Option<String>,
    },
    One(String),
}

impl Field {
    /// What the table keeps.
    fn value(&self) -> String {
        match self {
            Self::One(text) => text.clone(),
            Self::Both { value, display_value } => match value {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => display_value.clone().unwrap_or_default(),
                Some(other) => other.to_string(),
            },
        }
    }

    /// What people see.
    fn shown(&self) -> String {
        match self {
            Self::Both {
                display_value: Some(shown),
                ..
            } => shown.clone(),
            _ => self.value(),
        }
    }
}

/// The change records of an answer.
///
/// # Errors
/// The error the instance gives, or what is wrong with the answer.
pub fn servicenow_changes(bytes: &[u8]) -> Result<Vec<ChangeRecord>, String> {
    let answer: Answer = shape("ServiceNow", bytes)?;
    let Some(records) = answer.result else {
        let why = answer.error.map(|e| e.message).unwrap_or_default();
        return Err(format!("ServiceNow refuses the query: {}", excerpt(&why)));
    };
    records.iter().map(record).collect()
}

fn record(record: &Record) -> Result<ChangeRecord, String> {
    let number = excerpt(&record.number.value());
    let date = |name: &str, field: &Option<Field>| {
        let text = field.as_ref().map(Field::value).filter(|t| !t.is_empty());
        let read = text.map(|text| {
            instant(&text).ok_or_else(|| format!("{number}: `{name}` is `{}`, which is no instant", excerpt(&text)))
        });
        read.transpose()
    };
    let texts = [&record.correlation_id, &record.short_description];
    let code = record.state.value();
    let active = record.active.as_ref().map(Field::value);
    Ok(ChangeRecord {
        state: excerpt(&record.state.shown()).to_lowercase(),
        state_code: code.parse().ok(),
        subjects: texts.into_iter().flatten().map(Field::value).collect(),
        start: date("start_date", &record.start_date)?,
        end: date("end_date", &record.end_date)?,
        active: active.is_some_and(|a| a == "true" || a == "1"),
        number,
    })
}

fn instant(text: &str) -> Option<Timestamp> {
    let civil: DateTime = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
