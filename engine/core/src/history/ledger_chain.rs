//! Writing and checking a ledger file: the hash chain over its lines.
//!
//! Invariant: each line is the canonical JSON of one [`LedgerLine`] and names the SHA-256 of the line before it, so a
//! changed byte anywhere is found: in an earlier line by the line after it, in the last line by whoever kept the
//! [`head`] (every engine commit carries it as a trailer).
//!
//! A file is read a line at a time and never repaired here: a broken chain is evidence.

use jiff::Timestamp;
use serde_json::Value;

use super::ledger::{GENESIS, LEDGER_VERSION, LedgerLine};
use crate::canonical::{CanonicalError, canonical_json, sha256_hex};

/// What is wrong with a ledger file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ChainFault {
    /// Line number, from 1; the first line that does not hold.
    pub line: u64,
    /// What is wrong and why it matters.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// Why a line could not be appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The file does not end in a sound line, so nothing can be chained to it.
    #[error(transparent)]
    Chain(#[from] ChainFault),
    /// The new line's facts have no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

const HELP_RESTORE: &str = "compare the file with the history of the branch patchwave/ledger (git log -p) and restore the line as it was recorded";

/// The line to append to `file_bytes`, newline included.
///
/// Only the last line of the file is read, so appending is cheap however long the file is; [`parse_chain`] proves the
/// rest. `time` is the run's `now`, `actor` is `patchwave` or a person, `event` and `data` are the vocabulary of the
/// caller.
///
/// # Errors
/// [`AppendError`] if the last line is cut off, not a ledger line or newer than this engine, or `data` has no canonical form.
pub fn append(
    file_bytes: &[u8],
    time: Timestamp,
    actor: &str,
    event: &str,
    data: Value,
) -> Result<Vec<u8>, AppendError> {
    let (seq, prev) = match last_line(file_bytes) {
        None => (0, GENESIS.to_owned()),
        Some(bytes) => {
            let number = file_bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            if !file_bytes.ends_with(b"\n") {
                return Err(cut_off(number + 1).into());
            }
            (read_line(number, bytes)?.seq.saturating_add(1), sha256_hex(bytes))
        }
    };
    let line = LedgerLine {
        v: LEDGER_VERSION,
        seq,
        prev,
        time,
        actor: actor.to_owned(),
        event: event.to_owned(),
        data,
    };
    let mut bytes = canonical_json(&line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Every line of a ledger file, proven to be an unbroken chain.
///
/// # Errors
/// The first [`ChainFault`]: a line that is not canonical JSON of the format, a newer format, a wrong `seq` or `prev`, an
/// empty line, or a last line without its newline. What follows a fault proves nothing, so only the first is given.
pub fn parse_chain(bytes: &[u8]) -> Result<Vec<LedgerLine>, ChainFault> {
    let mut lines = Vec::new();
    let mut prev = GENESIS.to_owned();
    for (seq, raw) in (0_u64..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let number = seq + 1;
        let Some((b'\n', raw)) = raw.split_last() else {
            return Err(cut_off(number));
        };
        let line = read_line(number, raw)?;
        if line.prev != prev {
            let what = if number == 1 {
                "the first line names a line before it, so the beginning of the file is missing".to_owned()
            } else {
                format!(
                    "it was chained to a line with SHA-256 {}, but line {} has {prev}: that line was changed, added or removed afterwards",
                    line.prev,
                    number - 1
                )
            };
            return Err(ChainFault {
                line: number,
                what,
                help: HELP_RESTORE.to_owned(),
            });
        }
        if line.seq != seq {
            let what = format!("its seq is {}, but its place in the file is {seq}", line.seq);
            return Err(ChainFault {
                line: number,
                what,
                help: HELP_RESTORE.to_owned(),
            });
        }
        prev = sha256_hex(raw);
        lines.push(line);
    }
    Ok(lines)
}

/// SHA-256 of the last line without its newline, or [`GENESIS`] for an empty file.
#[must_use]
pub fn head(bytes: &[u8]) -> String {
    last_line(bytes).map_or_else(|| GENESIS.to_owned(), sha256_hex)
}

/// Whether the file still holds the line that was its head once: `recorded` is [`GENESIS`] or the hash of one of its
/// lines. A file that was cut off after a head was recorded somewhere else fails this.
#[must_use]
pub fn holds_head(bytes: &[u8], recorded: &str) -> bool {
    recorded == GENESIS
        || bytes
            // What is looked for is most often among the newest.
            .rsplit(|byte| *byte == b'\n')
            .any(|line| !line.is_empty() && sha256_hex(line) == recorded)
}

/// The last line without its newline; none for an empty file.
fn last_line(bytes: &[u8]) -> Option<&[u8]> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        None
    } else {
        body.rsplit(|byte| *byte == b'\n').next()
    }
}

/// One line, which must be exactly the canonical JSON of what it says.
fn read_line(number: u64, raw: &[u8]) -> Result<LedgerLine, ChainFault> {
    let fault = |what: String, help: &str| ChainFault {
        line: number,
        what,
        help: help.to_owned(),
    };
    let value: Value = serde_json::from_slice(raw).map_err(|e| {
        fault(
            format!("it is not JSON ({e}), so what it recorded is lost"),
            HELP_RESTORE,
        )
    })?;
    // The version is looked at before anything else: a newer format may differ in every other field.
    match value.get("v").and_then(Value::as_u64) {
        Some(v) if v > u64::from(LEDGER_VERSION) => {
            let what = format!("it was written in format {v}, and this engine reads formats up to {LEDGER_VERSION}");
            return Err(fault(
                what,
                "upgrade patchwave to the version that wrote it, on every runner",
            ));
        }
        Some(v) if v == u64::from(LEDGER_VERSION) => {}
        _ => return Err(fault("it has no format version `v`".to_owned(), HELP_RESTORE)),
    }
    if canonical_json(&value).ok().as_deref() != Some(raw) {
        let what = "it is not in canonical form (RFC 8785), so it is not as the engine wrote it";
        return Err(fault(what.to_owned(), HELP_RESTORE));
    }
    serde_json::from_value(value).map_err(|e| fault(format!("it is not a ledger line: {e}"), HELP_RESTORE))
}

fn cut_off(line: u64) -> ChainFault {
    ChainFault {
        line,
        what: "the last line has no newline, so it was cut off while it was written or copied".to_owned(),
        help: HELP_RESTORE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn chain(count: i64) -> Vec<u8> {
        let mut file = Vec::new();
        for n in 0..count {
            let line = append(&file, at(n), "patchwave", "released", json!({"batch": "01", "n": n})).unwrap();
            file.extend(line);
        }
        file
    }

    #[test]
    fn a_line_is_canonical_and_chained() {
        let file = chain(2);
        let first = file.split(|b| *b == b'\n').next().unwrap();
        let expected = format!(
            r#"{{"actor":"patchwave","data":{{"batch":"01","n":0}},"event":"released","prev":"{GENESIS}","seq":0,"time":"2027-01-15T08:00:00Z","v":1}}"#
        );
        assert_eq!(std::str::from_utf8(first).unwrap(), expected);
        let lines = parse_chain(&file).unwrap();
        assert_eq!(lines[1].prev, sha256_hex(first));
        assert_eq!(lines[1].seq, 1);
    }

    #[test]
    fn the_head_is_the_hash_of_the_last_line() {
        assert_eq!(head(b""), GENESIS);
        let file = chain(3);
        let last = file.trim_ascii_end().rsplit(|b| *b == b'\n').next().unwrap();
        assert_eq!(head(&file), sha256_hex(last));
        assert!(holds_head(&file, &head(&chain(2))));
        assert!(holds_head(&chain(0), GENESIS));
        assert!(
            !holds_head(&chain(2), &head(&file)),
            "a cut-off tail is found by a recorded head"
        );
    }

    #[test]
    fn a_truncated_last_line_is_refused_for_reading_and_writing() {
        let mut file = chain(3);
        file.pop();
        assert_eq!(parse_chain(&file).unwrap_err().line, 3);
        let fault = append(&file, at(9), "patchwave", "x", json!({})).unwrap_err();
        assert!(
            matches!(fault, AppendError::Chain(ChainFault { line: 3, .. })),
            "{fault:?}"
        );
    }

    #[test]
    fn a_newer_format_is_refused_with_its_own_reason() {
        let file = String::from_utf8(chain(1)).unwrap().replace("\"v\":1", "\"v\":2");
        let fault = parse_chain(file.as_bytes()).unwrap_err();
        assert!(fault.what.contains("format 2"), "{fault}");
        assert!(fault.help.contains("upgrade"), "{}", fault.help);
        assert!(append(file.as_bytes(), at(0), "a", "b", json!({})).is_err());
    }

    #[test]
    fn the_faults_name_the_line() {
        let file = String::from_utf8(chain(4)).unwrap();
        let lines: Vec<&str> = file.lines().collect();
        let without = |gone: usize| {
            let kept: Vec<&str> = lines
                .iter()
                .enumerate()
                .filter(|(n, _)| *n != gone)
                .map(|(_, l)| *l)
                .collect();
            format!("{}\n", kept.join("\n"))
        };
        assert_eq!(parse_chain(without(0).as_bytes()).unwrap_err().line, 1);
        assert_eq!(parse_chain(without(1).as_bytes()).unwrap_err().line, 2);
        let blank = file.replacen('\n', "\n\n", 1);
        assert_eq!(parse_chain(blank.as_bytes()).unwrap_err().line, 2);
        let spaced = file.replacen("\"n\":2", "\"n\": 2", 1);
        assert!(parse_chain(spaced.as_bytes()).unwrap_err().what.contains("canonical"));
    }

    proptest! {
        #[test]
        fn every_changed_byte_is_found(count in 1_i64..5, place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let file = chain(count);
            let mut changed = file.clone();
            let at = place.index(changed.len());
            prop_assume!(changed[at] != byte);
            changed[at] = byte;
            // The chain itself finds it, or, in the last line, the recorded head does.
            prop_assert!(parse_chain(&changed).is_err() || head(&changed) != head(&file));
            let last_starts = file.trim_ascii_end().iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
            prop_assert!(at >= last_starts || parse_chain(&changed).is_err());
        }

        #[test]
        fn what_is_appended_is_read_back(texts in prop::collection::vec(any::<String>(), 0..6)) {
            let mut file = Vec::new();
            for text in &texts {
                let line = append(&file, at(0), text, "noted", json!({"text": text})).unwrap();
                file.extend(line);
            }
            let read: Vec<String> = parse_chain(&file).unwrap().into_iter().map(|line| line.actor).collect();
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_chain(&bytes);
            let _ = append(&bytes, at(0), "a", "b", json!({}));
            let _ = head(&bytes);
        }
    }
}
