//! One stream of parser events → documents: values and their places side by side, bounds counted on the way.

use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag};
use serde_json::{Map, Value};

use super::{Document, Fault, Limits, Problem};
use crate::source::scalar::{self, Plain};
use crate::source::span::{Children, SpanTree};

/// Why reading cannot go on where it is.
pub(super) enum Stop {
    /// A syntax error at this byte of the whole text.
    Syntax(usize),
    /// A bound was exceeded.
    Limit,
}

pub(super) type Step<T> = Result<T, Stop>;

/// An anchored value, its spans, and what copying it costs.
struct Anchored {
    value: Value,
    spans: SpanTree,
    nodes: usize,
    bytes: usize,
}

/// Reads one stream.
pub(super) struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    /// Where `text` starts in the whole file.
    base: usize,
    limits: Limits,
    pub(super) nodes: usize,
    /// Bytes of scalars read so far; the difference across a value is what an alias to it copies.
    scalar_bytes: usize,
    pub(super) copied_bytes: usize,
    anchors: BTreeMap<usize, Anchored>,
    pub(super) documents: Vec<Document>,
    pub(super) problems: Vec<Problem>,
    incomplete: bool,
    pub(super) document_start: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, base: usize, limits: Limits, nodes: usize, copied_bytes: usize) -> Self {
        let mut options = Options::default();
        options.set_emit_comments(false);
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            text,
            base,
            limits,
            nodes,
            scalar_bytes: 0,
            copied_bytes,
            anchors: BTreeMap::new(),
            documents: Vec::new(),
            problems: Vec::new(),
            incomplete: false,
            document_start: base,
        }
    }

    pub(super) fn stream(&mut self) -> Step<()> {
        loop {
            let (event, span) = self.event()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(..) => {
                    self.document_start = self.range(&span).start;
                    self.anchors.clear();
                    self.incomplete = false;
                    let (event, span) = self.event()?;
                    let (value, spans) = self.node(event, &span, 0)?;
                    if !value.is_null() {
                        self.documents.push(Document {
                            value,
                            spans,
                            incomplete: self.incomplete,
                        });
                    }
                }
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Step<(Event<'a>, Span)> {
        let (at, message) = match self.parser.next_event() {
            Some(Ok(event)) => return Ok(event),
            Some(Err(error)) => (error.marker().byte_offset().unwrap_or(self.text.len()), error.info()),
            None => (self.text.len(), "the text ends too early".into()),
        };
        let at = self.base + at.min(self.text.len());
        let tab = message.contains("tabs");
        let problem = Problem {
            help: tab.then(|| "indent with spaces: YAML takes no tab there".to_owned()),
            ..self.problem(Fault::Syntax, message, at..at + 1)
        };
        self.problems.push(problem);
        Err(Stop::Syntax(at))
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let range = span.byte_range().unwrap_or(0..0);
        self.base + range.start..self.base + range.end.max(range.start)
    }

    fn problem(&self, fault: Fault, message: impl Into<String>, at: Range<usize>) -> Problem {
        Problem {
            fault,
            message: message.into(),
            at: Some(at),
            other: None,
            help: None,
        }
    }

    fn limit<T>(&mut self, message: String, at: Range<usize>) -> Step<T> {
        let problem = Problem {
            help: Some("the rest of this file was not read".into()),
            ..self.problem(Fault::Limit, message, at)
        };
        self.problems.push(problem);
        Err(Stop::Limit)
    }

    fn unsupported(&mut self, message: String, at: Range<usize>) {
        let problem = self.problem(Fault::Unsupported, message, at);
        self.problems.push(problem);
        self.incomplete = true;
    }

    fn count(&mut self, nodes: usize, at: &Range<usize>) -> Step<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes_max {
            let max = self.limits.nodes_max;
            return self.limit(
                format!("the file has more than {max} values, copies made by aliases included"),
                at.clone(),
            );
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Step<(Value, SpanTree)> {
        let at = self.range(span);
        self.count(1, &at)?;
        // The caller says that there are more.
        if self.problems.len() > self.limits.problems_max {
            return Err(Stop::Limit);
        }
        if depth > self.limits.depth_max {
            return self.limit(format!("nested deeper than {} levels", self.limits.depth_max), at);
        }
        let (nodes_before, bytes_before) = (self.nodes, self.scalar_bytes);
        let (value, spans, anchor) = match event {
            Event::Alias(id) => return self.alias(id, at),
            Event::Scalar(text, style, anchor, tag) => {
                let text = self.chomped(&text, style, &at);
                let value = self.scalar(text, style, tag.as_deref(), &at)?;
                (
                    value,
                    SpanTree {
                        value: narrow(&at),
                        children: Children::Leaf,
                    },
                    anchor,
                )
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", &at);
                let (value, spans) = self.sequence(style, at.start, depth)?;
                (value, spans, anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", &at);
                let (value, spans) = self.mapping(style, at.start, depth)?;
                (value, spans, anchor)
            }
            _ => {
                self.unsupported("this has no meaning in a resource".into(), at.clone());
                (
                    Value::Null,
                    SpanTree {
                        value: narrow(&at),
                        children: Children::Leaf,
                    },
                    0,
                )
            }
        };
        if anchor > 0 {
            let nodes = self.nodes - nodes_before + 1;
            let bytes = self.scalar_bytes - bytes_before;
            // Keeping a copy for the aliases to come costs as much as one of them.
            self.count(nodes, &at)?;
            self.copy(bytes, &at)?;
            self.anchors.insert(
                anchor,
                Anchored {
                    value: value.clone(),
                    spans: spans.clone(),
                    nodes,
                    bytes,
                },
            );
        }
        Ok((value, spans))
    }

    fn copy(&mut self, bytes: usize, at: &Range<usize>) -> Step<()> {
        self.copied_bytes = self.copied_bytes.saturating_add(bytes);
        self.scalar_bytes = self.scalar_bytes.saturating_add(bytes);
        if self.copied_bytes > self.limits.file_bytes_max {
            return self.limit("aliases copy more text than a file may have".into(), at.clone());
        }
        Ok(())
    }

    /// An alias stands for a copy of what it names. A pointer to it leads to the alias; pointers into it lead to the
    /// anchored text, where the words really are.
    fn alias(&mut self, id: usize, at: Range<usize>) -> Step<(Value, SpanTree)> {
        let Some((nodes, bytes)) = self.anchors.get(&id).map(|a| (a.nodes, a.bytes)) else {
            self.unsupported("this alias stands inside the value it names".into(), at.clone());
            return Ok((
                Value::Null,
                SpanTree {
                    value: narrow(&at),
                    children: Children::Leaf,
                },
            ));
        };
        self.count(nodes, &at)?;
        self.copy(bytes, &at)?;
        let (value, children) = self
            .anchors
            .get(&id)
            .map(|a| (a.value.clone(), a.spans.children.clone()))
            .unwrap_or_default();
        Ok((
            value,
            SpanTree {
                value: narrow(&at),
                children,
            },
        ))
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, at: &Range<usize>) {
        if let Some(tag) = tag.filter(|t| !t.is_yaml_core_schema_tag(expected)) {
            self.unsupported(
                format!("the tag `{}` has no meaning in a resource", tag.original()),
                at.clone(),
            );
        }
    }

    /// The content of a block scalar whose last line is ended by the end of the text: it has no line end of its own
    /// (`b-chomped-last`, rule 165 of YAML 1.2.2), and the parser gives it one.
    fn chomped<'t>(&self, content: &'t str, style: ScalarStyle, at: &Range<usize>) -> &'t str {
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        // Only one scalar of a text ends with it: the last line is looked for once.
        if !is_block || at.end < self.base + self.text.len() {
            return content;
        }
        let last_line = self.text.rsplit('\n').next().unwrap_or_default();
        if last_line.trim_matches([' ', '\t', '\r']).is_empty() {
            return content;
        }
        content.strip_suffix('\n').unwrap_or(content)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: &Range<usize>) -> Step<Value> {
        if text.len() > self.limits.scalar_bytes_max {
            let max = self.limits.scalar_bytes_max;
            return self.limit(
                format!("one value has {} bytes; at most {max} are read", text.len()),
                at.clone(),
            );
        }
        self.scalar_bytes = self.scalar_bytes.saturating_add(text.len());
        let string = tag.is_some_and(|t| t.is_yaml_core_schema_tag("str"));
        if let Some(tag) = tag.filter(|t| !t.is_yaml_core_schema()) {
            self.unsupported(
                format!("the tag `{}` has no meaning in a resource", tag.original()),
                at.clone(),
            );
        }
        if string || style != ScalarStyle::Plain {
            return Ok(Value::String(text.to_owned()));
        }
        Ok(match scalar::resolve(text) {
            Plain::Value(value) => value,
            Plain::LookAlike(help) => {
                let message =
                    format!("`{text}` is read as the text \"{text}\"; other YAML tools may read it otherwise");
                let problem = Problem {
                    help: Some(help),
                    ..self.problem(Fault::LookAlike, message, at.clone())
                };
                self.problems.push(problem);
                Value::String(text.to_owned())
            }
            Plain::Fault(message) => {
                self.unsupported(message, at.clone());
                Value::String(text.to_owned())
            }
        })
    }

    fn sequence(&mut self, style: StructureStyle, start: usize, depth: usize) -> Step<(Value, SpanTree)> {
        let (mut values, mut spans) = (Vec::new(), Vec::new());
        let end = loop {
            let (event, span) = self.event()?;
            if matches!(event, Event::SequenceEnd) {
                break self.range(&span).end;
            }
            let (value, tree) = self.node(event, &span, depth + 1)?;
            values.push(value);
            spans.push(tree);
        };
        Ok((
            Value::Array(values),
            collection(style, start, end, Children::Sequence(spans)),
        ))
    }

    fn mapping(&mut self, style: StructureStyle, start: usize, depth: usize) -> Step<(Value, SpanTree)> {
        let (mut map, mut spans, mut merges) = (Map::new(), Vec::new(), Vec::new());
        let end = loop {
            let (event, span) = self.event()?;
            let at = self.range(&span);
            let key = match &event {
                Event::MappingEnd => break at.end,
                Event::Scalar(text, style, ..) => Some((text.to_string(), *style == ScalarStyle::Plain)),
                _ => None,
            };
            // Keys count like values, and an anchor on one is kept; but a key is a word, whatever it looks like.
            let event = match event {
                Event::Scalar(text, _, anchor, tag) => Event::Scalar(text, ScalarStyle::DoubleQuoted, anchor, tag),
                other => other,
            };
            let _ = self.node(event, &span, depth + 1)?;
            let (event, span) = self.event()?;
            let value_at = self.range(&span);
            let (value, tree) = self.node(event, &span, depth + 1)?;
            match key {
                None => self.unsupported("a key must be a plain word, not a list or mapping".into(), at),
                Some((key, true)) if key == "<<" => merges.push((value, tree, value_at)),
                Some((key, _)) if map.contains_key(&key) => self.duplicate(&key, at, &spans),
                Some((key, _)) => {
                    spans.push((key.as_str().into(), narrow(&at), tree));
                    map.insert(key, value);
                }
            }
        };
        for (value, tree, at) in merges {
            self.merge(&mut map, &mut spans, value, tree, &at);
        }
        Ok((
            Value::Object(map),
            collection(style, start, end, Children::Mapping(spans)),
        ))
    }

    fn duplicate(&mut self, key: &str, at: Range<usize>, spans: &[(Box<str>, Range<u32>, SpanTree)]) {
        let first = spans
            .iter()
            .find(|(k, ..)| **k == *key)
            .map(|(_, at, _)| at.start as usize..at.end as usize);
        let problem = Problem {
            other: first.map(|first| ("first written here".into(), first)),
            help: Some("keep one of the two; YAML gives no rule for which of them counts".into()),
            ..self.problem(
                Fault::DuplicateKey,
                format!("the key `{key}` stands twice in this mapping"),
                at,
            )
        };
        self.problems.push(problem);
    }

    /// `<<`: an explicit key wins over a merged one, an earlier merge over a later (YAML 1.1 merge type).
    fn merge(
        &mut self,
        map: &mut Map<String, Value>,
        spans: &mut Vec<(Box<str>, Range<u32>, SpanTree)>,
        value: Value,
        tree: SpanTree,
        at: &Range<usize>,
    ) {
        match (value, tree.children) {
            (Value::Object(mut merged), Children::Mapping(entries)) => {
                for (key, key_at, tree) in entries {
                    if map.contains_key(&*key) {
                        continue;
                    }
                    if let Some(value) = merged.remove(&*key) {
                        map.insert(key.to_string(), value);
                        spans.push((key, key_at, tree));
                    }
                }
            }
            (Value::Array(values), Children::Sequence(trees)) => {
                for (value, tree) in values.into_iter().zip(trees) {
                    self.merge(map, spans, value, tree, at);
                }
            }
            _ => self.unsupported("`<<` needs a mapping or a list of mappings".into(), at.clone()),
        }
    }
}

fn narrow(range: &Range<usize>) -> Range<u32> {
    let byte = |b: usize| u32::try_from(b).unwrap_or(u32::MAX);
    byte(range.start)..byte(range.end)
}

/// A block collection ends for the parser where the next token starts; for a reader it ends with its last child.
fn collection(style: StructureStyle, start: usize, end: usize, children: Children) -> SpanTree {
    let mut tree = SpanTree {
        value: narrow(&(start..end.max(start))),
        children,
    };
    if style == StructureStyle::Block {
        tree.value.end = tree.last_end().max(tree.value.start);
    }
    tree
}
