//! How a value is written in each kind of file, and the fixed list of helpers a template may call.
//!
//! `{{value}}` always writes the value as a string in the escape of its file; there is no way to write it raw. In YAML
//! and JSON that is a double-quoted string, so `{{value}}` stands where a scalar stands, without quotes around it.
//!
//! | helper | writes |
//! | --- | --- |
//! | `number x` | a whole number or a boolean, bare; anything else is an error |
//! | `json x` | any value as one line of JSON, which is also YAML |
//! | `plain x` | a word of `[A-Za-z0-9._-]`, bare; anything else is an error |
//! | `code x` | one line of a fenced block in Markdown, bare: anything but backquotes and what is not plain text |
//! | `list x` | the strings of a list joined by `, `, each escaped |
//! | `refuse x` | nothing: rendering ends here, and `x` says why |
//! | `commas x` | the words of a list as one string `a,b`, escaped; an empty list and a word with a blank or comma are errors |
//! | `eq`, `ne`, `and`, `or`, `not`, `if`, `unless`, `each`, `with`, `lookup` | as Handlebars has them |

use std::fmt::Write as _;

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason};
use serde_json::Value;

use crate::load::wire::Escape;

impl Escape {
    /// The escape function for [`handlebars::Handlebars::register_escape_fn`].
    pub fn function(self) -> fn(&str) -> String {
        match self {
            Self::Yaml => yaml,
            Self::Json => json,
            Self::Ini => ini,
            Self::Shell => shell,
            Self::Markdown => markdown,
            Self::Powershell => powershell,
            Self::None => |_| String::new(),
        }
    }
}

/// Whether a character is written as it is: neither a control nor one that changes how its neighbours are shown
/// (direction marks and isolates, joiners, the byte order mark, line and paragraph separators; Unicode TR36 and TR39).
pub(super) const fn is_plain(c: char) -> bool {
    !matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn quoted(value: &str, wide: impl Fn(u32, &mut String)) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if is_plain(c) => text.push(c),
            c if u32::from(c) <= 0xffff => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => wide(u32::from(c), &mut text),
        }
    }
    text.push('"');
    text
}

/// A double-quoted YAML scalar.
pub fn yaml(value: &str) -> String {
    quoted(value, |code, text| {
        let _ = write!(text, "\\U{code:08x}");
    })
}

/// A JSON string.
pub fn json(value: &str) -> String {
    quoted(value, |code, text| {
        let pair = char::from_u32(code)
            .map(|c| c.encode_utf16(&mut [0; 2]).to_vec())
            .unwrap_or_default();
        for unit in pair {
            let _ = write!(text, "\\u{unit:04x}");
        }
    })
}

/// A double-quoted INI value; what would end the line becomes a blank.
pub fn ini(value: &str) -> String {
    let body: String = value.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
    format!("\"{}\"", body.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A single-quoted POSIX shell word.
pub fn shell(value: &str) -> String {
    format!("'{}'", value.replace('\0', "").replace('\'', "'\\''"))
}

/// A single-quoted PowerShell string. PowerShell takes typographic single quotes for plain ones
/// (`CharTraits.IsSingleQuote`), so all five are doubled.
pub fn powershell(value: &str) -> String {
    let mut text = String::from("'");
    for c in value.chars().filter(|c| *c != '\0') {
        text.push(c);
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            text.push(c);
        }
    }
    text.push('\'');
    text
}

/// Text on one Markdown line: blanks for line ends and controls, a backslash before whatever Markdown or HTML reads.
/// `@` and `#` get a backslash too: a forge would notify people and link issues.
pub fn markdown(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '@' => text.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' | '$' => {
                text.push('\\');
                text.push(c);
            }
            c if is_plain(c) => text.push(c),
            _ => text.push(' '),
        }
    }
    text
}

/// A registry with strict mode, this escape and the helpers of the list; nothing else is known in it.
pub fn registry(escape: Escape) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(escape.function());
    registry.unregister_helper("log");
    registry.register_helper("number", Box::new(number));
    registry.register_helper("json", Box::new(json_value));
    registry.register_helper("plain", Box::new(plain));
    if escape == Escape::Markdown {
        registry.register_helper("code", Box::new(code));
    }
    registry.register_helper("refuse", Box::new(refuse));
    registry.register_helper(
        "list",
        Box::new(
            move |h: &Helper<'_>,
                  _: &Handlebars<'_>,
                  _: &Context,
                  _: &mut RenderContext<'_, '_>,
                  out: &mut dyn Output| { list(escape, h, out) },
        ),
    );
    registry.register_helper(
        "commas",
        Box::new(
            move |h: &Helper<'_>,
                  _: &Handlebars<'_>,
                  _: &Context,
                  _: &mut RenderContext<'_, '_>,
                  out: &mut dyn Output| { commas(escape, h, out) },
        ),
    );
    registry
}

fn argument<'a>(helper: &'a Helper<'_>) -> Result<&'a Value, RenderErrorReason> {
    let name = helper.name().to_owned();
    let parameter = helper.param(0).filter(|p| !p.is_value_missing());
    parameter
        .map(|p| p.value())
        .ok_or(RenderErrorReason::ParamNotFoundForIndex(
            match name.as_str() {
                "number" => "number",
                "json" => "json",
                "plain" => "plain",
                "code" => "code",
                "refuse" => "refuse",
                "commas" => "commas",
                _ => "list",
            },
            0,
        ))
}

fn number(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    match argument(helper)? {
        Value::Number(n) if !n.is_f64() => out.write(&n.to_string())?,
        Value::Bool(b) => out.write(if *b { "true" } else { "false" })?,
        other => return Err(RenderErrorReason::Other(format!("`number` got {other}, not a whole number")).into()),
    }
    Ok(())
}

/// For names inside other words (`batch_01`): what is written bare must not need an escape anywhere.
fn plain(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    match argument(helper)? {
        Value::String(text) if is_plain(text) => out.write(text)?,
        other => return Err(RenderErrorReason::Other(format!("`plain` got {other}, not a plain word")).into()),
    }
    Ok(())
}

/// A line between fences: nothing in it is Markdown, as long as it cannot end the block.
fn code(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    match argument(helper)? {
        Value::String(text) if !text.is_empty() && text.chars().all(|c| is_plain(c) && c != '`' && c != '~') => {
            out.write(text)?;
        }
        other => return Err(RenderErrorReason::Other(format!("`code` got {other}, not a line of code")).into()),
    }
    Ok(())
}

/// For what a tool cannot be told: better no file than one that says something else.
fn refuse(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    _: &mut dyn Output,
) -> HelperResult {
    let why = argument(helper)?.as_str().unwrap_or("nobody said why").to_owned();
    Err(RenderErrorReason::Other(why).into())
}

fn json_value(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let mut text = String::new();
    write_json(argument(helper)?, &mut text);
    out.write(&text)?;
    Ok(())
}

/// JSON on one line, with blanks after `:` and `,` as YAML linters want them.
fn write_json(value: &Value, text: &mut String) {
    match value {
        Value::String(s) => text.push_str(&json(s)),
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                write_json(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            text.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                text.push_str(&json(key));
                text.push_str(": ");
                write_json(item, text);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
}

fn list(escape: Escape, helper: &Helper<'_>, out: &mut dyn Output) -> HelperResult {
    let Value::Array(items) = argument(helper)? else {
        return Err(RenderErrorReason::Other("`list` got something that is not a list".into()).into());
    };
    for (i, item) in items.iter().enumerate() {
        let Value::String(item) = item else {
            return Err(RenderErrorReason::Other(format!("`list` got {item}, not a string")).into());
        };
        out.write(if i > 0 { ", " } else { "" })?;
        out.write(&escape.function()(item))?;
    }
    Ok(())
}

/// For tools that read a list from one string, where an empty string means everything there is.
fn commas(escape: Escape, helper: &Helper<'_>, out: &mut dyn Output) -> HelperResult {
    let refused = |what: String| RenderErrorReason::Other(format!("`commas` got {what}"));
    let Value::Array(items) = argument(helper)? else {
        return Err(refused("something that is not a list".into()).into());
    };
    let is_word = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
            && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'))
    };
    let words: Option<Vec<&str>> = items.iter().map(|item| item.as_str().filter(|w| is_word(w))).collect();
    match words {
        Some(words) if !words.is_empty() => out.write(&escape.function()(&words.join(",")))?,
        Some(_) => return Err(refused("an empty list, which would mean everything".into()).into()),
        None => return Err(refused("a value that is no word of a list".into()).into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_in_one_string_is_never_blank_and_never_longer_than_it_was() {
        let write = |items: Value| {
            registry(Escape::Json)
                .render_template("{{commas x}}", &json!({"x": items}))
                .map_err(|e| e.to_string())
        };
        assert_eq!(
            write(json!(["RHSA-2026:1", "ALSA-2"])).unwrap(),
            "\"RHSA-2026:1,ALSA-2\""
        );
        assert!(write(json!([])).unwrap_err().contains("everything"));
        for bad in [
            json!([""]),
            json!([" "]),
            json!(["a,b"]),
            json!(["a b"]),
            json!(["-y"]),
            json!([1]),
            json!("a"),
            json!(null),
        ] {
            assert!(write(bad.clone()).is_err(), "{bad}");
        }
    }
}
