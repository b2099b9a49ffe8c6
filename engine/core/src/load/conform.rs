//! Checks a document against the schema of its kind and says what is wrong in words a person can act on.

use std::collections::BTreeSet;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::documents::Doc;
use super::schema::Compiled;
use crate::diag::{Code, Diagnostic, nearest, nearest_or_list};
use crate::source::{Hit, Text, escape_token, unescape_token};

/// What the check found.
pub(super) struct Conformity {
    /// The problems.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Pointers of fields nobody knows; without them the document may still be read, so that the rules can see it.
    pub(super) unknown: Vec<String>,
    /// Whether anything else was wrong.
    pub(super) broken: bool,
}

/// Checks one document.
pub(super) fn check(doc: &Doc, text: &Text, compiled: &Compiled) -> Conformity {
    let mut found = Conformity {
        diagnostics: Vec::new(),
        unknown: Vec::new(),
        broken: false,
    };
    let checker = Checker { doc, text, compiled };
    for error in compiled.validator.iter_errors(&doc.value) {
        // Wrong and missing `apiVersion` and `kind` were said before, with better words.
        let envelope = match error.kind() {
            ValidationErrorKind::Required { property } => {
                error.instance_path().as_str().is_empty() && (property == "apiVersion" || property == "kind")
            }
            _ => matches!(error.instance_path().as_str(), "/apiVersion" | "/kind"),
        };
        if !envelope {
            checker.explain(&error, None, &mut found);
        }
    }
    found
}

struct Checker<'a> {
    doc: &'a Doc,
    text: &'a Text,
    compiled: &'a Compiled,
}

impl Checker<'_> {
    fn hit(&self, pointer: &str) -> Hit {
        self.doc.spans.locate(pointer)
    }

    /// `about` describes the value where the failed part of the schema itself does not.
    fn explain(&self, error: &ValidationError<'_>, about: Option<&str>, found: &mut Conformity) {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    let pointer = format!("{pointer}/{}", escape_token(name));
                    found.diagnostics.push(self.unknown_field(error, name, &pointer));
                    found.unknown.push(pointer);
                }
                return;
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                self.choice(error, context, about, found);
            }
            ValidationErrorKind::Required { property } => {
                found
                    .diagnostics
                    .push(self.missing_field(error, property.as_str().unwrap_or_default()));
            }
            _ => found.diagnostics.push(self.wrong_value(error, about)),
        }
        found.broken = true;
    }

    /// The schema object that the failed keyword stands in.
    fn parent_schema(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.compiled.schema.pointer(parent)
    }

    /// What the failed part of the schema says of itself: its first paragraph, in one line.
    fn description(&self, error: &ValidationError<'_>) -> Option<String> {
        let text = self.parent_schema(error)?.get("description")?.as_str()?;
        let paragraph: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).collect();
        Some(paragraph.join(" "))
    }

    fn unknown_field(&self, error: &ValidationError<'_>, name: &str, pointer: &str) -> Diagnostic {
        let hit = self.hit(pointer);
        let known: Vec<&str> = self
            .parent_schema(error)
            .and_then(|s| s.get("properties"))
            .and_then(Value::as_object)
            .map(|p| p.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let message = format!(
            "unknown field `{name}` in {}",
            place_name(error.instance_path().as_str(), &self.doc.value)
        );
        Diagnostic::new(Code::UnknownField, message)
            .at(self.text.location(hit.key.unwrap_or(hit.value)), pointer)
            .maybe_help(nearest_or_list(name, known))
    }

    fn missing_field(&self, error: &ValidationError<'_>, name: &str) -> Diagnostic {
        let pointer = error.instance_path().as_str();
        let hit = self.hit(pointer);
        let about = self
            .parent_schema(error)
            .and_then(|s| s.get("properties")?.get(name)?.get("description")?.as_str())
            .map(|about| format!("add `{name}`: {}", lower_first(about)));
        // Its own text is too much to underline: the key, else the first character.
        let at = hit.key.unwrap_or(hit.value.start..hit.value.start + 1);
        let message = format!("{} has no `{name}`", place_name(pointer, &self.doc.value));
        Diagnostic::new(Code::MissingField, message)
            .at(self.text.location(at), pointer)
            .help(about.unwrap_or_else(|| format!("add `{name}`")))
    }

    fn diagnostic(&self, error: &ValidationError<'_>, code: Code, message: String) -> Diagnostic {
        let pointer = error.instance_path().as_str();
        let hit = self.hit(pointer);
        let at = if hit.value.is_empty() {
            hit.key.unwrap_or(hit.value)
        } else {
            hit.value
        };
        Diagnostic::new(code, message).at(self.text.location(at), pointer)
    }

    /// The value as written: `1.10` is shown as `1.10`, not as the number 1.1 it was read as.
    fn written(&self, pointer: &str) -> String {
        /// Enough to recognise a value.
        const SHOWN_MAX: usize = 40;
        let slice = self.text.slice(self.hit(pointer).value).trim();
        let first = slice.lines().next().unwrap_or("");
        if first.chars().count() > SHOWN_MAX || first.len() < slice.len() {
            return format!("{}…", first.chars().take(SHOWN_MAX).collect::<String>());
        }
        first.to_owned()
    }

    fn wrong_value(&self, error: &ValidationError<'_>, about: Option<&str>) -> Diagnostic {
        let pointer = error.instance_path().as_str();
        let (field, written) = (place_name(pointer, &self.doc.value), self.written(pointer));
        let value = |message: String| self.diagnostic(error, Code::WrongValue, message);
        let diagnostic = match error.kind() {
            ValidationErrorKind::Type { kind } => return self.wrong_type(error, &[type_words(kind)], about),
            ValidationErrorKind::Enum { options } => {
                let words = options
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect();
                return value(format!("{field} cannot be `{written}`")).help(choice_help(
                    self.value_text(pointer),
                    words,
                    None,
                ));
            }
            ValidationErrorKind::Constant { expected_value } => {
                return value(format!("{field} cannot be `{written}`")).help(format!("write {expected_value}"));
            }
            ValidationErrorKind::Pattern { .. } if pointer == "/metadata/name" => {
                let message = format!("the name `{written}` is not a DNS-1123 label");
                self.diagnostic(error, Code::WrongName, message)
                    .help("lowercase letters, digits and `-`, at most 63 characters, no `-` at either end")
            }
            ValidationErrorKind::Pattern { pattern } => value(format!("{field} cannot be `{written}`")).help(
                self.description(error)
                    .or_else(|| about.map(str::to_owned))
                    .unwrap_or_else(|| format!("it must match {pattern}")),
            ),
            ValidationErrorKind::Format { format } => {
                value(format!("{field} cannot be `{written}`: it is not a {format}"))
            }
            ValidationErrorKind::MinItems { limit } => value(format!("{field} needs at least {limit} entry")),
            ValidationErrorKind::MinLength { limit } => value(format!("{field} needs at least {limit} characters")),
            ValidationErrorKind::Minimum { .. } | ValidationErrorKind::Maximum { .. } if self.is_duration(error) => {
                let message = format!("{field} is `{written}`, a number without a unit");
                self.diagnostic(error, Code::WrongType, message)
            }
            ValidationErrorKind::Minimum { limit } => {
                value(format!("{field} is `{written}` but must be at least {limit}"))
            }
            ValidationErrorKind::Maximum { limit } => {
                value(format!("{field} is `{written}` but must be at most {limit}"))
            }
            _ => value(format!("{field} cannot be `{written}`: {error}")),
        };
        match &diagnostic.help {
            Some(_) => diagnostic,
            None => diagnostic.maybe_help(self.description(error).or_else(|| about.map(str::to_owned))),
        }
    }

    /// A duration may be a number only where it is 0: its schema has a pattern for all others.
    fn is_duration(&self, error: &ValidationError<'_>) -> bool {
        self.parent_schema(error).is_some_and(|s| s.get("pattern").is_some())
    }

    fn value_text(&self, pointer: &str) -> &str {
        self.doc
            .value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether the value in quotes would do: `"5"` is still no duration.
    fn quoting_helps(&self, pointer: &str, written: &str) -> bool {
        let mut changed = Value::clone(&self.doc.value);
        let Some(value) = changed.pointer_mut(pointer) else {
            return false;
        };
        *value = Value::String(written.to_owned());
        !self
            .compiled
            .validator
            .iter_errors(&changed)
            .any(|e| e.instance_path().as_str() == pointer)
    }

    fn wrong_type(&self, error: &ValidationError<'_>, expected: &[String], about: Option<&str>) -> Diagnostic {
        let pointer = error.instance_path().as_str();
        let (field, written) = (place_name(pointer, &self.doc.value), self.written(pointer));
        let value = self.doc.value.pointer(pointer).unwrap_or(&Value::Null);
        let wanted = expected.join(" or ");
        let (message, help) = match value {
            Value::Null => (
                format!("{field} has no value, but needs {wanted}"),
                Some("give it one, or remove the key".to_owned()),
            ),
            Value::Number(_) | Value::Bool(_) if wanted.contains("a text") => (
                format!(
                    "{field} must be {wanted}, but `{written}` without quotes is {}",
                    value_words(value)
                ),
                self.quoting_helps(pointer, &written)
                    .then(|| format!("quote it: \"{written}\"")),
            ),
            Value::String(_) => (format!("{field} must be {wanted}, but `{written}` is a text"), None),
            _ => (format!("{field} must be {wanted}, not {}", value_words(value)), None),
        };
        let help = help
            .or_else(|| self.description(error))
            .or_else(|| about.map(str::to_owned));
        self.diagnostic(error, Code::WrongType, message).maybe_help(help)
    }

    /// A value that may take several forms. If exactly one form has the right shape, its own faults are the answer;
    /// else the forms are listed.
    fn choice(
        &self,
        error: &ValidationError<'_>,
        branches: &[Vec<ValidationError<'static>>],
        about: Option<&str>,
        found: &mut Conformity,
    ) {
        let here = error.instance_path().as_str();
        let description = self.description(error).or_else(|| about.map(str::to_owned));
        let fitting: Vec<_> = branches.iter().filter(|branch| !misshapen(branch, here)).collect();
        if let [only] = fitting.as_slice() {
            only.iter().for_each(|e| self.explain(e, description.as_deref(), found));
            return;
        }
        let mut forms = Forms::default();
        branches.iter().for_each(|branch| forms.collect(branch, here));
        let value = self.doc.value.pointer(here).unwrap_or(&Value::Null);
        if !forms.words.is_empty() && !forms.types.iter().any(|t| t == "a text") {
            forms.types.insert(0, "a text".into());
        }
        let wrong_type = match value {
            Value::String(_) => forms.words.is_empty() && fitting.is_empty(),
            Value::Object(_) | Value::Array(_) => fitting.is_empty() && forms.words.is_empty(),
            _ => true,
        };
        if wrong_type {
            found
                .diagnostics
                .push(self.wrong_type(error, &forms.types, description.as_deref()));
            return;
        }
        let message = format!(
            "{} cannot be `{}`",
            place_name(here, &self.doc.value),
            self.written(here)
        );
        // Where only words are allowed, the list of them says more than what they are about.
        let description = description.filter(|_| forms.types.len() > 1 || forms.words.is_empty());
        let help = choice_help(
            self.value_text(here),
            forms.words.into_iter().collect(),
            description.as_deref(),
        );
        found
            .diagnostics
            .push(self.diagnostic(error, Code::WrongValue, message).help(help));
    }
}

/// The words and types that the branches of a choice take.
#[derive(Default)]
struct Forms {
    words: BTreeSet<String>,
    types: Vec<String>,
}

impl Forms {
    fn collect(&mut self, branch: &[ValidationError<'static>], here: &str) {
        for kind in branch
            .iter()
            .filter(|e| e.instance_path().as_str() == here)
            .map(ValidationError::kind)
        {
            match kind {
                ValidationErrorKind::Enum { options } => {
                    self.words.extend(
                        options
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .map(str::to_owned),
                    );
                }
                ValidationErrorKind::Constant { expected_value } => {
                    self.words.extend(expected_value.as_str().map(str::to_owned));
                }
                ValidationErrorKind::Type { kind } => {
                    let words = type_words(kind);
                    if !self.types.contains(&words) {
                        self.types.push(words);
                    }
                }
                ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                    context.iter().for_each(|inner| self.collect(inner, here));
                }
                _ => {}
            }
        }
    }
}

/// Whether a value has another shape than the branch describes.
fn misshapen(branch: &[ValidationError<'static>], here: &str) -> bool {
    branch
        .iter()
        .filter(|e| e.instance_path().as_str() == here)
        .any(|e| match e.kind() {
            ValidationErrorKind::Type { .. }
            | ValidationErrorKind::Constant { .. }
            | ValidationErrorKind::Enum { .. } => true,
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                context.iter().all(|inner| misshapen(inner, here))
            }
            _ => false,
        })
}

fn choice_help(value: &str, words: Vec<String>, description: Option<&str>) -> String {
    let near = nearest(value, words.iter().map(String::as_str));
    let all = match description {
        Some(text) => text.to_owned(),
        None => format!("it can be: {}", words.join(", ")),
    };
    near.map_or_else(|| all.clone(), |near| format!("{near} {all}"))
}

fn type_words(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => type_word(*one).to_owned(),
        TypeKind::Multiple(several) => several.iter().map(type_word).collect::<Vec<_>>().join(" or "),
    }
}

fn type_word(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a mapping",
        JsonType::String => "a text",
    }
}

fn value_words(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// A pointer in words: `/spec/waves/1/needs` is `waves[1].needs`; the document itself is `this Fleet`.
pub(super) fn place_name(pointer: &str, value: &Value) -> String {
    let mut name = String::new();
    for token in pointer.split('/').skip(1) {
        let token = unescape_token(token);
        if name.is_empty() && token == "spec" {
            continue;
        }
        if !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit()) {
            name.push_str(&format!("[{token}]"));
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&token);
        }
    }
    match (name.is_empty(), pointer) {
        (true, "/spec") => "`spec`".into(),
        (true, _) => format!(
            "this {}",
            value.get("kind").and_then(Value::as_str).unwrap_or("document")
        ),
        (false, _) => format!("`{name}`"),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next();
    let second_is_upper = text.chars().nth(1).is_some_and(char::is_uppercase);
    match first {
        Some(c) if !second_is_upper => c.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
