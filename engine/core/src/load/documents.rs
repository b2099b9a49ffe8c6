//! The YAML documents of a repository with the place of everything in them: what reading gives and rules point into.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::source::{DocId, Location, SpanTree, Spot, Text};

/// One YAML document.
#[derive(Clone, Debug)]
pub struct Doc {
    /// Index into [`Documents::texts`].
    pub(super) text: usize,
    /// What it says.
    pub value: Arc<Value>,
    /// Where it says it.
    pub(super) spans: Arc<SpanTree>,
    /// A part could not be read.
    pub(super) incomplete: bool,
}

impl Doc {
    /// Its `kind`; empty if it has none.
    pub fn kind(&self) -> &str {
        self.value.get("kind").and_then(Value::as_str).unwrap_or("")
    }

    /// Its `metadata.name`, if it is a text.
    pub fn name(&self) -> Option<&str> {
        self.value.pointer("/metadata/name")?.as_str()
    }
}

/// All documents, in order of path and position; a [`DocId`] is an index.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    pub(super) texts: Vec<Arc<Text>>,
    pub(super) docs: Vec<Doc>,
}

impl Documents {
    /// The document behind an id.
    pub fn get(&self, id: DocId) -> Option<&Doc> {
        self.docs.get(id.0 as usize)
    }

    /// Every document with its id.
    pub fn iter(&self) -> impl Iterator<Item = (DocId, &Doc)> {
        self.docs
            .iter()
            .enumerate()
            .map(|(i, doc)| (DocId(u32::try_from(i).unwrap_or(u32::MAX)), doc))
    }

    pub(super) fn text_of(&self, id: DocId) -> Option<(&Doc, &Arc<Text>)> {
        let doc = self.get(id)?;
        Some((doc, self.texts.get(doc.text)?))
    }

    /// Where the value at a JSON Pointer stands; of a pointer that leads nowhere, its deepest existing part. A value
    /// without text (`key:`) stands at its key.
    pub fn locate(&self, id: DocId, pointer: &str) -> Location {
        let Some((doc, text)) = self.text_of(id) else {
            return Location::whole_file("");
        };
        let hit = doc.spans.locate(pointer);
        let at = if hit.value.is_empty() {
            hit.key.unwrap_or(hit.value)
        } else {
            hit.value
        };
        text.location(at)
    }

    /// Where the key at a JSON Pointer stands; of a list entry, its first character.
    pub fn locate_key(&self, id: DocId, pointer: &str) -> Location {
        let Some((doc, text)) = self.text_of(id) else {
            return Location::whole_file("");
        };
        let hit = doc.spans.locate(pointer);
        text.location(hit.key.unwrap_or(hit.value.start..hit.value.start + 1))
    }

    /// Where a part of a scalar stands, if the scalar is written as it reads (no escapes, no folding).
    pub(super) fn locate_inside(&self, id: DocId, pointer: &str, whole: &str, part: Range<usize>) -> Option<Location> {
        let (doc, text) = self.text_of(id)?;
        let value = doc.spans.locate(pointer).value;
        let start = value.start + text.slice(value).find(whole)?;
        Some(text.location(start + part.start..start + part.end))
    }

    /// The documents of one file, in order.
    pub fn of_file<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (DocId, &'a Doc)> {
        self.iter().filter(move |(id, _)| self.file(*id) == path)
    }

    /// What stands at a byte of a file. A document that could not be read has nothing.
    pub fn at(&self, path: &str, byte: usize) -> Option<(DocId, Spot)> {
        self.of_file(path).find_map(|(id, doc)| Some((id, doc.spans.at(byte)?)))
    }

    /// The bytes of a whole document, from its first key to its last value.
    pub fn range(&self, id: DocId) -> Range<usize> {
        self.get(id).map_or(0..0, |doc| doc.spans.locate("").value)
    }

    /// The file a document stands in.
    pub fn file(&self, id: DocId) -> &str {
        self.text_of(id).map_or("", |(_, text)| &text.path)
    }
}
