//! Mutations of a text: of its bytes, of its words and lines, and of the tree it stands for.

use patchwave_core::source::yaml;
use serde_json::{Map, Value, json};

use super::corpus::Sample;
use super::random::Random;

/// No input is larger: one byte more is refused before it is read.
pub const BYTES_MAX: usize = 8 << 20;

/// Words that have hurt parsers, calendars and interpreters before.
const WORDS: &[&str] = &[
    "&a",
    "*a",
    "<<: *a",
    "<<: [*a, *a]",
    "!!binary",
    "!local x",
    "!!float 1",
    "? ",
    "? [a, b]\n: c",
    "|",
    ">-",
    "|9",
    ">+1",
    "{",
    "}",
    "[",
    "]",
    "---",
    "...",
    "--- |",
    "%YAML 1.1\n---",
    "%TAG ! tag:x,2000:\n---",
    "- - - - -",
    "''",
    "\"\\u0000\"",
    "\"\\xff\"",
    "~",
    "null",
    "1e400",
    "-0",
    ".inf",
    ".nan",
    "0x1F",
    "0o17",
    "1_000",
    "12:30:45",
    "2026-02-30",
    "9999-12-31",
    "-9999-01-01",
    "0000-00-00",
    "2026-11-20T25:61:61Z",
    "99999999999999999999d",
    "9223372036854775807s",
    "-1d",
    "0s",
    "P1Y",
    "PT0S",
    "P99999999W",
    "1.5h",
    "100%",
    "-1%",
    "1e9%",
    "99999999999999999999",
    "FREQ=YEARLY;COUNT=1000000000",
    "FREQ=DAILY;COUNT=1000000000",
    "FREQ=DAILY;BYSETPOS=-366",
    "FREQ=YEARLY;BYSETPOS=366;BYDAY=MO,TU,WE,TH,FR,SA,SU",
    "FREQ=MONTHLY;BYDAY=5MO;BYMONTH=2",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
    "FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=4,6,9,11",
    "FREQ=DAILY;INTERVAL=65535",
    "FREQ=DAILY;INTERVAL=4294967295",
    "FREQ=DAILY;UNTIL=99991231T235959Z",
    "FREQ=SECONDLY",
    "FREQ=WEEKLY;BYDAY=",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU",
    "FREQ=YEARLY;BYYEARDAY=-366,366",
    "FREQ=YEARLY;BYEASTER=0",
    "FREQ=MONTHLY;BYDAY=-53SU;BYSETPOS=-1",
    "asset.name == \"a\"",
    "has(asset.kernel.running) && asset.kernel.running != \"\"",
    "asset.labels.x.y.z",
    "[1,2].all(x, x > 0)",
    "1/0 == 1",
    "asset.labels.all(k, asset.labels.all(l, asset.labels.all(m, k == l)))",
    "size(asset.name) > 9223372036854775807",
    "timestamp(\"x\") < now",
    "duration(\"9999999999h\") > duration(\"1s\")",
    "asset.name.matches(\"(a+)+$\")",
    "\u{202e}",
    "\u{feff}",
    "\u{0}",
    "\u{85}",
    "\u{2028}",
    "\u{1F469}\u{200D}\u{1F4BB}",
    "e\u{301}\u{301}\u{301}",
    "\t",
    "\r\n",
    "\r",
    "\u{7f}",
    "*",
    "**",
    "*a*b*c*d*e*f*",
    "[!a-z]",
    "Europe/Berlin",
    "Etc/GMT+99",
    "America/../../etc",
    "/etc/passwd",
    "../../..",
    "https://u:p@h",
    "~/x",
    "kind: PatchPolicy",
    "spec: {}",
    "when: 'true'",
    "selector: {}",
    "metadata: {name: a}",
];

/// One mutant of a text.
pub fn mutate(random: &mut Random, text: &str, corpus: &[Sample]) -> Vec<u8> {
    let mut text = text.to_owned();
    for _ in 0..random.size(4) {
        text = match random.below(8) {
            0 => tree(random, &text, corpus),
            1..=3 => lines(random, &text, corpus),
            _ => words(random, &text, corpus),
        };
        text = cut(text);
    }
    let mut bytes = text.into_bytes();
    if random.once_in(4) {
        bytes_of(random, &mut bytes);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

fn cut(mut text: String) -> String {
    if text.len() > BYTES_MAX {
        let end = (0..=BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn bytes_of(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.size(8) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => drop(bytes.get_mut(at).map(|b| *b ^= 1 << (random.next() % 8))),
            1 => bytes.insert(at, u8::try_from(random.below(256)).unwrap_or(0)),
            2 => drop(bytes.drain(at..(at + random.size(64)).min(bytes.len()))),
            3 => bytes.splice(0..0, [0xEF, 0xBB, 0xBF]).for_each(drop),
            4 => bytes.truncate(at),
            _ => {
                let end = (at + random.size(256)).min(bytes.len());
                let copy = bytes.get(at..end).unwrap_or_default().to_vec();
                bytes.splice(at..at, copy).for_each(drop);
            }
        }
    }
}

/// A place between two characters.
fn place(random: &mut Random, text: &str) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where a word starts and ends.
fn word_at(random: &mut Random, text: &str) -> std::ops::Range<usize> {
    let at = place(random, text);
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | '[' | ']' | '"' | '\'');
    let start = before.rfind(is_end).map_or(0, |i| {
        i + before.get(i..).and_then(|s| s.chars().next()).map_or(1, char::len_utf8)
    });
    start..at + after.find(is_end).unwrap_or(after.len())
}

fn words(random: &mut Random, text: &str, corpus: &[Sample]) -> String {
    let mut out = text.to_owned();
    for _ in 0..random.size(6) {
        let range = word_at(random, &out);
        let other = random.one(corpus).map_or("", |sample| sample.text.as_str());
        let word = match random.below(4) {
            0 => other.get(word_at(random, other)).unwrap_or("").to_owned(),
            1 => random.one(WORDS).map_or("", |w| *w).repeat(random.size(40)),
            _ => random.one(WORDS).map_or("", |w| *w).to_owned(),
        };
        if random.once_in(3) {
            out.insert_str(range.start, &word);
        } else if out.get(range.clone()).is_some() {
            out.replace_range(range, &word);
        }
    }
    out
}

fn lines(random: &mut Random, text: &str, corpus: &[Sample]) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let shifted;
    let at = random.below(lines.len() + 1);
    match random.below(8) {
        0 => drop((at < lines.len()).then(|| lines.remove(at))),
        1 => lines
            .splice(at..at, lines.get(at).copied().into_iter().collect::<Vec<_>>())
            .for_each(drop),
        2 => {
            let other = random.below(lines.len());
            if at < lines.len() {
                lines.swap(at, other);
            }
        }
        3 => return text.replace('\n', "\r\n"),
        4 => return text.replace("  ", if random.once_in(2) { "\t" } else { " " }),
        5 => {
            let other = random.one(corpus).map_or("", |s| s.text.as_str());
            let other: Vec<&str> = other.split_inclusive('\n').collect();
            let from = random.below(other.len() + 1);
            let some = other.iter().skip(from).take(random.size(20)).copied();
            lines.splice(at..at, some.collect::<Vec<_>>()).for_each(drop);
        }
        6 => {
            let end = (at + random.size(12)).min(lines.len());
            let block: Vec<&str> = lines.get(at..end).unwrap_or_default().to_vec();
            let times = random.size(2_000);
            lines
                .splice(
                    at..at,
                    block
                        .iter()
                        .copied()
                        .cycle()
                        .take(block.len() * times)
                        .collect::<Vec<_>>(),
                )
                .for_each(drop);
        }
        _ => {
            shifted = format!("{}{}", " ".repeat(random.size(8)), lines.get(at).copied().unwrap_or(""));
            if at < lines.len() {
                lines.splice(at..=at, [shifted.as_str()]).for_each(drop);
            }
        }
    }
    lines.concat()
}

/// Reads the documents, changes one of them, and writes them as flow YAML, which is JSON.
fn tree(random: &mut Random, text: &str, corpus: &[Sample]) -> String {
    let mut documents = values(text);
    let others = random.one(corpus).map(|s| values(&s.text)).unwrap_or_default();
    let index = random.below(documents.len());
    if let Some(document) = documents.get_mut(index) {
        for _ in 0..random.size(4) {
            let other = random.one(&others).map(|o| pick(random, o).clone());
            change(random, document, other.unwrap_or(Value::Null));
        }
    }
    if random.once_in(4) {
        let copies = random.size(300);
        let again: Vec<Value> = documents.get(index).into_iter().cycle().take(copies).cloned().collect();
        documents.extend(again.into_iter().enumerate().map(|(i, d)| renamed(d, i)));
    }
    documents.iter().map(|d| format!("---\n{d}\n")).collect()
}

fn values(text: &str) -> Vec<Value> {
    yaml::read(text, yaml::LIMITS)
        .documents
        .into_iter()
        .map(|d| d.value)
        .collect()
}

fn renamed(mut document: Value, number: usize) -> Value {
    if let Some(name) = document.pointer_mut("/metadata/name") {
        *name = json!(format!("n{number}"));
    }
    document
}

fn pick<'v>(random: &mut Random, value: &'v Value) -> &'v Value {
    let mut at = value;
    while !random.once_in(4) {
        let next = match at {
            Value::Object(map) => map.values().nth(random.below(map.len())),
            Value::Array(list) => random.one(list),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

fn change(random: &mut Random, value: &mut Value, other: Value) {
    let down = !random.once_in(4);
    match value {
        Value::Object(map) if down && !map.is_empty() => {
            let index = random.below(map.len());
            if random.once_in(8) {
                let key = map.keys().nth(index).cloned().unwrap_or_default();
                map.remove(&key);
            } else if let Some(next) = map.values_mut().nth(index) {
                change(random, next, other);
            }
        }
        Value::Array(list) if down && !list.is_empty() => {
            let index = random.below(list.len());
            if random.once_in(6) {
                let entry = list.get(index).cloned().unwrap_or(Value::Null);
                list.extend(std::iter::repeat_n(entry, random.size(3_000)));
            } else if let Some(next) = list.get_mut(index) {
                change(random, next, other);
            }
        }
        leaf => *leaf = replacement(random, leaf, other),
    }
}

fn replacement(random: &mut Random, old: &Value, other: Value) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => json!([old, other]),
        2 => json!({"x": old}),
        3 => (0..random.size(80)).fold(old.clone(), |inner, _| json!([inner])),
        4 => json!(random.one(WORDS).copied().unwrap_or("").repeat(random.size(2_000))),
        5 => json!(random.one(WORDS)),
        6 => Value::Object(
            (0..random.size(500))
                .map(|i| (format!("k{i}"), other.clone()))
                .collect::<Map<_, _>>(),
        ),
        _ => other,
    }
}
