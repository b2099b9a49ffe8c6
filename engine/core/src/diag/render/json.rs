//! `--format json`: one object, stable field names (scripts rely on them).

use serde_json::{Map, Value, json};

use crate::diag::{Diagnostic, Diagnostics, Related};
use crate::source::Location;

/// `{"ok": …, "diagnostics": […]}`; `ok` means that no diagnostic is an error.
pub fn document(diagnostics: &Diagnostics) -> Value {
    let list: Vec<Value> = diagnostics.iter().map(diagnostic).collect();
    json!({"ok": !diagnostics.has_errors(), "diagnostics": list})
}

/// One diagnostic. Without a place the place fields are absent.
pub fn diagnostic(diagnostic: &Diagnostic) -> Value {
    let Diagnostic {
        code,
        severity,
        message,
        location,
        pointer,
        help,
        related,
    } = diagnostic;
    let mut object = Map::new();
    object.insert("code".into(), code.id().into());
    object.insert("severity".into(), severity.to_string().into());
    object.insert("message".into(), message.as_str().into());
    if let Some(Location {
        file,
        line,
        column,
        end_line,
        end_column,
    }) = location
    {
        object.insert("file".into(), file.as_ref().into());
        object.insert("line".into(), (*line).into());
        object.insert("column".into(), (*column).into());
        object.insert("endLine".into(), (*end_line).into());
        object.insert("endColumn".into(), (*end_column).into());
    }
    object.insert("pointer".into(), pointer.as_str().into());
    if let Some(help) = help {
        object.insert("help".into(), help.as_str().into());
    }
    object.insert("related".into(), related.iter().map(place).collect());
    Value::Object(object)
}

fn place(related: &Related) -> Value {
    let Location { file, line, column, .. } = &related.location;
    json!({"file": file.as_ref(), "line": line, "column": column, "message": related.message})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    #[test]
    fn the_shape_is_the_documented_one() {
        let at = |line| Location {
            file: "policies/x.yaml".into(),
            line,
            column: 5,
            end_line: line,
            end_column: 9,
        };
        let diagnostic = Diagnostic::new(Code::UnknownField, "unknown field `sle`")
            .at(at(3), "/spec/sle")
            .help("did you mean `sla`?")
            .related(at(1), "in this document");
        let all: Diagnostics = [diagnostic].into_iter().collect();
        assert_eq!(
            document(&all),
            json!({"ok": false, "diagnostics": [{"code": "PW0101", "severity": "error", "message": "unknown field `sle`",
                "file": "policies/x.yaml", "line": 3, "column": 5, "endLine": 3, "endColumn": 9, "pointer": "/spec/sle",
                "help": "did you mean `sla`?",
                "related": [{"file": "policies/x.yaml", "line": 1, "column": 5, "message": "in this document"}]}]})
        );
    }
}
