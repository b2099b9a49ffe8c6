//! What a plain (unquoted) scalar means in the YAML 1.2 core schema (YAML 1.2.2 §10.3.2), and where YAML 1.1 tools
//! read something else. Those look-alikes stay strings here, with a warning: silence would let the same file mean two
//! things to two tools.

use serde_json::{Number, Value};

/// What a scalar became.
pub(super) enum Plain {
    /// The value.
    Value(Value),
    /// A string that YAML 1.1 tools read differently, and how it should be written.
    LookAlike(String),
    /// No value at all: why.
    Fault(String),
}

/// Reads a plain scalar.
pub(super) fn resolve(text: &str) -> Plain {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off" | "OFF" | "y" | "Y" | "n"
        | "N" => {
            return Plain::LookAlike(format!(
                "quote it (\"{text}\") if the word is meant, else write true or false"
            ));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "-.inf" | "-.Inf" | "-.INF" | "+.inf" | "+.Inf"
        | "+.INF" => return Plain::Fault(format!("`{text}` has no meaning here: write a finite number")),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) => return number(text),
        _ => Value::String(text.to_owned()),
    };
    Plain::Value(value)
}

fn number(text: &str) -> Plain {
    let string = || Plain::Value(Value::String(text.to_owned()));
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).map_or_else(|_| string(), |n| Plain::Value(n.into()));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).map_or_else(|_| string(), |n| Plain::Value(n.into()));
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if all_digits && digits.len() > 1 && digits.starts_with('0') {
        return Plain::LookAlike(format!("YAML 1.1 reads an octal number here: quote it (\"{text}\")"));
    }
    if all_digits {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        return match (unsigned.parse::<i64>(), unsigned.parse::<u64>()) {
            (Ok(n), _) => Plain::Value(n.into()),
            (_, Ok(n)) => Plain::Value(n.into()),
            _ => Plain::Fault(format!(
                "the number `{text}` does not fit into 64 bits; quote it if it is a text"
            )),
        };
    }
    if grouped(digits) || sexagesimal(digits) {
        return Plain::LookAlike(format!("YAML 1.1 reads a number here: quote it (\"{text}\")"));
    }
    let characters = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let floating = characters && digits.bytes().any(|b| b.is_ascii_digit());
    match text.parse::<f64>().ok().filter(|_| floating).and_then(Number::from_f64) {
        Some(n) => Plain::Value(Value::Number(n)),
        None => string(),
    }
}

/// `1_000` (YAML 1.1 integers may group digits).
fn grouped(digits: &str) -> bool {
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.contains('_')
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// `22:00` (YAML 1.1 integers may be written to the base 60).
fn sexagesimal(digits: &str) -> bool {
    let mut parts = digits.split(':');
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let head = parts.next().is_some_and(number);
    let mut count = 0;
    let tail = parts.all(|p| {
        count += 1;
        number(p) && p.len() <= 2 && p.parse::<u8>().is_ok_and(|n| n < 60)
    });
    head && tail && count > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_core_schema_decides() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("12", json!(12)),
            ("-3", json!(-3)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("1.10", json!(1.1)),
            ("1e3", json!(1000.0)),
            ("1.2.3", json!("1.2.3")),
            ("2026-11-20", json!("2026-11-20")),
            ("24h", json!("24h")),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            (".", json!(".")),
            ("-", json!("-")),
        ] {
            let Plain::Value(value) = resolve(text) else {
                panic!("{text}")
            };
            assert_eq!(value, expected, "{text}");
        }
    }

    #[test]
    fn look_alikes_are_said() {
        for text in ["no", "on", "Y", "0777", "007", "1_000", "22:00", "190:20:30"] {
            assert!(matches!(resolve(text), Plain::LookAlike(_)), "{text}");
        }
        for text in [".inf", "-.INF", ".nan", "99999999999999999999999"] {
            assert!(matches!(resolve(text), Plain::Fault(_)), "{text}");
        }
    }
}
