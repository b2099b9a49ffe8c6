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

use handlebars::{Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderErrorReason};
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
    for (name, writes) in HELPERS {
        // A bare line of code is a thing of Markdown; elsewhere it would be a way around the escape.
        if *name != "code" || escape == Escape::Markdown {
            registry.register_helper(
                name,
                Box::new(Writes {
                    name,
                    writes: *writes,
                    escape,
                }),
            );
        }
    }
    registry
}

/// What a helper writes for its one argument, or why nothing.
type Written = fn(Escape, &Value) -> Result<String, String>;

/// The helpers a template may call.
const HELPERS: &[(&str, Written)] = &[
    ("code", code),
    ("commas", commas),
    ("json", one_line),
    ("list", list),
    ("number", number),
    ("plain", plain),
    ("refuse", refuse),
];

/// A helper of the list.
struct Writes {
    name: &'static str,
    writes: Written,
    escape: Escape,
}

impl HelperDef for Writes {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let argument = helper.param(0).filter(|parameter| !parameter.is_value_missing());
        let value = argument
            .ok_or(RenderErrorReason::ParamNotFoundForIndex(self.name, 0))?
            .value();
        let text = (self.writes)(self.escape, value)
            .map_err(|why| RenderErrorReason::Other(format!("`{}`: {why}", self.name)))?;
        out.write(&text)?;
        Ok(())
    }
}

fn number(_: Escape, value: &Value) -> Result<String, String> {
    match value {
        Value::Number(n) if !n.is_f64() => Ok(n.to_string()),
        Value::Bool(is) => Ok(is.to_string()),
        other => Err(format!("{other} is not a whole number")),
    }
}

/// For names inside other words (`batch_01`): what is written bare must not need an escape anywhere.
fn plain(_: Escape, value: &Value) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match value {
        Value::String(text) if !text.is_empty() && text.chars().all(is_plain) => Ok(text.clone()),
        other => Err(format!("{other} is not a plain word")),
    }
}

/// A line between fences: nothing in it is Markdown, as long as it cannot end the block.
fn code(_: Escape, value: &Value) -> Result<String, String> {
    let fits = |c: char| is_plain(c) && c != '`' && c != '~';
    match value {
        Value::String(text) if !text.is_empty() && text.chars().all(fits) => Ok(text.clone()),
        other => Err(format!("{other} is not a line of code")),
    }
}

/// For what a tool cannot be told: better no file than one that says something else.
fn refuse(_: Escape, why: &Value) -> Result<String, String> {
    Err(why.as_str().unwrap_or("nobody said why").to_owned())
}

/// A flow collection of YAML is JSON but for what lies beyond the basic plane: libyaml takes no pair of surrogates.
fn one_line(escape: Escape, value: &Value) -> Result<String, String> {
    let mut text = String::new();
    let string = if escape == Escape::Yaml { yaml } else { json };
    write_json(value, string, &mut text);
    Ok(text)
}

fn list(escape: Escape, value: &Value) -> Result<String, String> {
    let items = value.as_array().ok_or("this is not a list")?;
    let written = items.iter().map(|item| match item {
        Value::String(item) => Ok(escape.function()(item)),
        other => Err(format!("{other} is not a text")),
    });
    Ok(written.collect::<Result<Vec<_>, String>>()?.join(", "))
}

/// For tools that read a list from one string, where an empty string means everything there is.
fn commas(escape: Escape, value: &Value) -> Result<String, String> {
    let items = value.as_array().ok_or("this is not a list")?;
    let is_word = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
            && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'))
    };
    let words: Option<Vec<&str>> = items
        .iter()
        .map(|item| item.as_str().filter(|word| is_word(word)))
        .collect();
    match words {
        Some(words) if !words.is_empty() => Ok(escape.function()(&words.join(","))),
        Some(_) => Err("an empty list would mean everything".to_owned()),
        None => Err("a value of the list is no word".to_owned()),
    }
}

/// JSON on one line, with blanks after `:` and `,` as YAML linters want them.
fn write_json(value: &Value, string: fn(&str) -> String, text: &mut String) {
    match value {
        Value::String(s) => text.push_str(&string(s)),
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                write_json(item, string, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            text.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                text.push_str(&string(key));
                text.push_str(": ");
                write_json(item, string, text);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(escape: Escape, template: &str, value: &Value) -> Result<String, String> {
        registry(escape)
            .render_template(template, &json!({"x": value}))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_in_one_string_is_never_blank_and_never_longer_than_it_was() {
        let commas = |items: Value| write(Escape::Json, "{{commas x}}", &items);
        assert_eq!(
            commas(json!(["RHSA-2026:1", "ALSA-2"])).unwrap(),
            "\"RHSA-2026:1,ALSA-2\""
        );
        assert!(commas(json!([])).unwrap_err().contains("everything"));
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
            assert!(commas(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_helper_names_itself_when_it_refuses_and_when_it_has_no_argument() {
        for (name, _) in HELPERS {
            let refused = write(Escape::Markdown, &format!("{{{{{name} x}}}}"), &json!({"a": "`"}));
            if !matches!(*name, "json" | "refuse") {
                assert!(refused.unwrap_err().contains(&format!("`{name}`: ")), "{name}");
            }
            let missing = write(Escape::Markdown, &format!("{{{{{name}}}}}"), &json!(1));
            assert!(missing.unwrap_err().contains(name), "{name}");
        }
        assert_eq!(
            write(Escape::Yaml, "{{json x}}", &json!({"a": "\u{e0041}"})).unwrap(),
            r#"{"a": "\U000e0041"}"#
        );
        assert!(write(Escape::Json, "{{code x}}", &json!("a")).is_err());
    }
}
