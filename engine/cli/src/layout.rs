//! The canonical layout of YAML: what `fmt` writes and what editors ask for.
//!
//! [`pretty_yaml`] lays out; this module only decides the options and proves, every time, that nothing was lost: the
//! result is read again by the engine's own parser, and where a value, a comment or a second layout differs the file is
//! refused instead of written. A formatter that is wrong once in a thousand files is never wrong on disk.

mod comments;

use std::panic::{AssertUnwindSafe, catch_unwind};

use patchwave_core::source::yaml::{self, Fault, LIMITS, Reading};
use pretty_yaml::config::{FormatOptions, LanguageOptions, LayoutOptions, LineBreak};

/// The column flow collections are broken at: that of the house's own lines, wide enough for one SLA rule a line.
const WIDTH_COLUMNS: usize = 120;

/// Layouts tried until one lays out to itself. Two is enough for everything seen; a text that still moves is refused.
const PASSES_MAX: usize = 4;

/// Why a text has no canonical layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unformatted {
    /// The text is not YAML that can be read whole; [`patchwave_core::load::yaml_diagnostics`] says why.
    Unreadable,
    /// The layout would change what the file says: what would be lost. The text is fine and stays as it is.
    Unsafe(&'static str),
}

/// The canonical layout of `text`; equal to `text` if it is canonical already.
///
/// Two-space indent, sequences indented below their key, LF, one final newline, no trailing blanks outside block
/// scalars, double quotes where quotes stand. The order of keys is left as it is: comments belong to neighbours, and
/// moving keys would part them.
///
/// # Errors
/// [`Unformatted`]; nothing may then be written.
pub fn canonical(text: &str) -> Result<String, Unformatted> {
    let before = yaml::read(text, LIMITS);
    if before.problems.iter().any(|p| p.fault != Fault::LookAlike) {
        return Err(Unformatted::Unreadable);
    }
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let attempt = |from: &str, ends: usize| {
        let kept = settled(from, |text| Ok(comments::aligned(text, &lay_out(text, ends)?)));
        match kept.and_then(|after| proved(&before, text, after)) {
            Ok(after) => Ok(after),
            // Where comments belong is a guess; without it the layout may still hold.
            Err(_) => settled(from, |text| lay_out(text, ends)).and_then(|after| proved(&before, text, after)),
        }
    };
    attempt(&plain, 1).or_else(|why| {
        // A block scalar at the end can hold the line ends behind it, or the want of one.
        let ends = plain.len() - plain.trim_end_matches('\n').len();
        let again = if ends == 0 {
            attempt(&stripped(&plain).ok_or_else(|| why.clone())?, 1)
        } else {
            attempt(&plain, ends)
        };
        again.map_err(|_| why)
    })
}

/// `text` with the header of its last block scalar made to strip (`|` → `|-`), so that a line end can follow.
fn stripped(text: &str) -> Option<String> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let header = lines.iter_mut().rev().find_map(|line| {
        let code = line.split(" #").next()?.trim_end().len();
        let (code, rest) = line.split_at_checked(code)?;
        let start = code.trim_end_matches(|c: char| c == '+' || c.is_ascii_digit());
        let indicators = code.get(start.len()..)?.replace('+', "");
        let stripped = format!("{start}{indicators}-{rest}");
        start.ends_with(['|', '>']).then_some((line, stripped))
    });
    let (line, stripped) = header?;
    *line = stripped;
    Some(lines.join("\n"))
}

/// Lays out until the layout lays out to itself.
fn settled(text: &str, lay_out: impl Fn(&str) -> Result<String, Unformatted>) -> Result<String, Unformatted> {
    let mut current = text.to_owned();
    for _ in 0..PASSES_MAX {
        let next = lay_out(&current)?;
        if next == current {
            return Ok(current);
        }
        current = next;
    }
    Err(Unformatted::Unsafe("it would look different after every run"))
}

fn options() -> FormatOptions {
    FormatOptions {
        layout: LayoutOptions {
            print_width: WIDTH_COLUMNS,
            indent_width: 2,
            line_break: LineBreak::Lf,
        },
        language: LanguageOptions {
            brace_spacing: false,
            bracket_spacing: false,
            trailing_comma: false,
            // Inside a block scalar trailing blanks are content.
            trim_trailing_whitespaces: false,
            ..LanguageOptions::default()
        },
    }
}

/// The layout of `text`, with so many line ends at its end.
fn lay_out(text: &str, ends: usize) -> Result<String, Unformatted> {
    // The library promises no panic and its printer has none for what its parser takes; if it is wrong about a text, that
    // file is refused and the others are still laid out.
    let laid_out = catch_unwind(AssertUnwindSafe(|| pretty_yaml::format_text(text, &options())));
    let laid_out = match laid_out {
        Ok(Ok(text)) => text,
        Ok(Err(_)) | Err(_) => {
            return Err(Unformatted::Unsafe(
                "the layout does not know a form of YAML that it uses",
            ));
        }
    };
    // Blanks of the last line may be the content of a block scalar; empty lines behind it are not, but for `|+`.
    let body = laid_out.trim_end_matches('\n');
    Ok(if body.is_empty() {
        String::new()
    } else {
        format!("{body}{}", "\n".repeat(ends))
    })
}

/// `after`, if it says what `text` says.
fn proved(before: &Reading, text: &str, after: String) -> Result<String, Unformatted> {
    let again = yaml::read(&after, LIMITS);
    let values = |reading: &Reading| reading.documents.iter().map(|d| d.value.clone()).collect::<Vec<_>>();
    let said = |reading: &Reading| reading.problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>();
    let sorted = |text: &str| {
        let mut comments: Vec<String> = yaml::comments(text).into_iter().map(|c| c.text).collect();
        comments.sort_unstable();
        comments
    };
    if values(before) != values(&again) || said(before) != said(&again) {
        return Err(Unformatted::Unsafe("a value would change"));
    }
    if sorted(text) != sorted(&after) {
        return Err(Unformatted::Unsafe("a comment would be lost"));
    }
    Ok(after)
}

#[cfg(test)]
mod tests;
