//! What tests gave, for people, programs and CI systems.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Failure, Played, Report};
use crate::diag::render::junit::escape;
use crate::source::Location;

/// What `formatVersion` says; readers refuse a newer major.
pub const REPORT_FORMAT: &str = "1.0";

/// For a terminal: one line a test, failures with the fields that differ and why.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    for test in &report.tests {
        if test.passed() {
            let _ = writeln!(
                out,
                "ok   {} ({})",
                test.name,
                counted(test.expectations, "expectation")
            );
            continue;
        }
        let _ = writeln!(out, "FAIL {} ({})", test.name, place(test.location.as_ref()));
        if let Some(description) = &test.description {
            let _ = writeln!(out, "  {}", description.trim_end());
        }
        for failure in &test.failures {
            let _ = writeln!(out, "  {}", headline(failure));
            let difference = failure.difference.lines().map(|line| format!("      {line}\n"));
            let notes = failure.notes.iter().map(|note| format!("    {note}\n"));
            out.extend(difference.chain(notes));
        }
    }
    let failed = report.tests.iter().filter(|test| !test.passed()).count();
    let _ = writeln!(
        out,
        "{}: {} passed, {failed} failed",
        counted(report.tests.len(), "test"),
        report.tests.len() - failed
    );
    out
}

fn headline(failure: &Failure) -> String {
    match &failure.location {
        Some(location) => format!("{location}: {}", failure.message),
        None => failure.message.clone(),
    }
}

fn place(location: Option<&Location>) -> String {
    location.map_or_else(String::new, |l| format!("{}:{}", l.file, l.line))
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 {
        format!("1 {word}")
    } else {
        format!("{count} {word}s")
    }
}

/// `{"formatVersion", "ok", "passed", "failed", "tests": [{"name", "ok", "file", "line", "column", "expectations",
/// "failures": [{"message", "pointer", "file", "line", "column", "difference", "notes"}]}]}`.
pub fn json(report: &Report) -> Value {
    let tests: Vec<Value> = report.tests.iter().map(test_json).collect();
    let failed = report.tests.iter().filter(|test| !test.passed()).count();
    let mut out = Map::new();
    out.insert("formatVersion".into(), REPORT_FORMAT.into());
    out.insert("ok".into(), report.passed().into());
    out.insert("passed".into(), (tests.len() - failed).into());
    out.insert("failed".into(), failed.into());
    out.insert("tests".into(), tests.into());
    Value::Object(out)
}

fn test_json(test: &Played) -> Value {
    let Played {
        name,
        description,
        location,
        expectations,
        failures,
    } = test;
    let mut out = Map::new();
    out.insert("name".into(), name.as_str().into());
    out.insert("ok".into(), test.passed().into());
    if let Some(description) = description {
        out.insert("description".into(), description.as_str().into());
    }
    put_place(&mut out, location.as_ref());
    out.insert("expectations".into(), (*expectations).into());
    out.insert("failures".into(), failures.iter().map(failure_json).collect());
    Value::Object(out)
}

fn failure_json(failure: &Failure) -> Value {
    let Failure {
        location,
        pointer,
        message,
        difference,
        notes,
    } = failure;
    let mut out = Map::new();
    out.insert("message".into(), message.as_str().into());
    out.insert("pointer".into(), pointer.as_str().into());
    put_place(&mut out, location.as_ref());
    out.insert("difference".into(), difference.as_str().into());
    out.insert("notes".into(), notes.iter().map(String::as_str).collect());
    Value::Object(out)
}

fn put_place(out: &mut Map<String, Value>, location: Option<&Location>) {
    if let Some(location) = location {
        out.insert("file".into(), location.file.as_ref().into());
        out.insert("line".into(), location.line.into());
        out.insert("column".into(), location.column.into());
    }
}

/// JUnit XML: one suite a file, one case a test.
pub fn junit(report: &Report) -> String {
    let mut suites: BTreeMap<&str, Vec<&Played>> = BTreeMap::new();
    for test in &report.tests {
        let file = test.location.as_ref().map_or("", |l| l.file.as_ref());
        suites.entry(file).or_default().push(test);
    }
    let counts = |tests: &[&Played]| {
        let failed = tests.iter().filter(|test| !test.passed()).count();
        format!(
            "tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\"",
            tests.len()
        )
    };
    let all: Vec<&Played> = report.tests.iter().collect();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites {}>", counts(&all));
    for (file, tests) in &suites {
        let _ = writeln!(out, "  <testsuite name=\"{}\" {}>", escape(file), counts(tests));
        for test in tests {
            case(&mut out, file, test);
        }
        out += "  </testsuite>\n";
    }
    out += "</testsuites>\n";
    out
}

fn case(out: &mut String, file: &str, test: &Played) {
    let class = escape(file);
    let _ = write!(
        out,
        "    <testcase classname=\"{class}\" name=\"{}\"",
        escape(&test.name)
    );
    let Some(first) = test.failures.first() else {
        *out += "/>\n";
        return;
    };
    let mut said = String::new();
    for failure in &test.failures {
        let _ = writeln!(
            said,
            "{}\n{}{}",
            headline(failure),
            failure.difference,
            failure.notes.join("\n")
        );
    }
    let _ = writeln!(
        out,
        ">\n      <failure type=\"PolicyTest\" message=\"{}\">{}</failure>\n    </testcase>",
        escape(&first.message),
        escape(&said)
    );
}
