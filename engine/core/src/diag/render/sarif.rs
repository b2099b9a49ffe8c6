//! SARIF 2.1.0 (OASIS), which code scanning of forges reads.

use serde_json::{Value, json};

use crate::diag::{Code, Diagnostic, Diagnostics, Severity};
use crate::source::Location;

/// One run of the tool. `version` is that of the program.
pub fn document(diagnostics: &Diagnostics, version: &str) -> Value {
    let rules: Vec<Value> = Code::ALL.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = diagnostics.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "patchwave", "semanticVersion": version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn rule(code: Code) -> Value {
    let entry = code.entry().unwrap_or_default();
    json!({
        "id": code.id(),
        "name": code.title(),
        "shortDescription": {"text": code.title()},
        "fullDescription": {"text": format!("{} {}", code.about(), entry.why)},
        "help": {"text": entry.advice, "markdown": code.page(3)},
        "helpUri": code.url(),
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn result(diagnostic: &Diagnostic) -> Value {
    let text = match &diagnostic.help {
        Some(help) => format!("{}\n{help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    let locations: Vec<Value> = diagnostic
        .location
        .iter()
        .map(|l| json!({"physicalLocation": physical(l)}))
        .collect();
    let related: Vec<Value> = diagnostic
        .related
        .iter()
        .enumerate()
        .map(|(id, r)| json!({"id": id, "physicalLocation": physical(&r.location), "message": {"text": r.message}}))
        .collect();
    let index = Code::ALL.iter().position(|code| *code == diagnostic.code);
    json!({
        "ruleId": diagnostic.code.id(),
        "ruleIndex": index,
        "level": level(diagnostic.severity),
        "message": {"text": text},
        "locations": locations,
        "relatedLocations": related,
    })
}

fn physical(location: &Location) -> Value {
    let Location {
        file,
        line,
        column,
        end_line,
        end_column,
    } = location;
    json!({
        "artifactLocation": {"uri": uri(file), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column},
    })
}

/// A relative path as a URI reference (RFC 3986): everything but unreserved characters and `/` is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_name_their_rules() {
        let log = document(&super::super::tests::sample(), "1.2.3");
        let run = &log["runs"][0];
        let first = &run["results"][0];
        assert_eq!(first["ruleId"], "PW0101");
        let index = first["ruleIndex"].as_u64().unwrap() as usize;
        let rule = &run["tool"]["driver"]["rules"][index];
        assert_eq!(rule["id"], "PW0101");
        assert!(rule["helpUri"].as_str().unwrap().ends_with("docs/diagnostics#pw0101"));
        assert!(rule["help"]["markdown"].as_str().unwrap().contains("# Why is this bad"));
        let place = &first["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "policies/a%2Cb.yaml");
        assert_eq!(
            place["region"],
            json!({"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 9})
        );
        assert_eq!(
            (&run["results"][1]["level"], &first["level"]),
            (&json!("warning"), &json!("error"))
        );
    }
}
