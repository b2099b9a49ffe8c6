//! Cutting: files to chunks of whole records, in order, on one thread.
//!
//! Chunks are cut by bytes alone, so that they are the same on every machine.

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use serde_json::value::RawValue;

use crate::container::{Body, Documents, Limits, is_utf16, unfold};
use crate::{FormatEntry, InputFile};

/// Bytes of records that one task reads. Large enough that a task's own tables pay, small enough that a round of
/// them fits in memory many times over.
const CHUNK_BYTES: usize = 1 << 20;
/// A single record longer than this is not read: a hundred times the largest machine seen (8,000 packages, 1 MB).
const RECORD_BYTES_MAX: usize = 100 << 20;

/// Some documents or parts of documents, about [`CHUNK_BYTES`] of them.
pub(crate) type Chunk<'a> = Vec<Piece<'a>>;

/// A document, a part of one, or what is to be said of a file.
pub(crate) struct Piece<'a> {
    pub(crate) file: Arc<str>,
    pub(crate) shape: Shape<'a>,
}

/// What a piece holds.
pub(crate) enum Shape<'a> {
    /// A whole document: one value, an array of them, or lines.
    Document(Cow<'a, [u8]>),
    /// Whole lines, the first of which has this number.
    Lines(Cow<'a, [u8]>, u32),
    /// Some records of a document with their numbers.
    Records(Vec<(Cow<'a, [u8]>, u32)>),
    /// It, or the rest of it, cannot be read.
    Failed(String),
    /// A word about it.
    Note(String),
}

/// Unfolds and cuts every file, in order of their paths, and sends the chunks.
pub(crate) fn produce<'a>(entry: &'a FormatEntry, files: &'a [InputFile<'_>], sender: SyncSender<Chunk<'a>>) {
    let mut files: Vec<&InputFile<'_>> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut cutter = Cutter {
        entry,
        sender,
        chunk: Vec::new(),
        bytes: 0,
        pieces: 0,
    };
    for file in files {
        cutter.pieces = 0;
        unfold(&file.path, &file.bytes, &Limits::default(), &mut cutter);
        if cutter.pieces == 0 {
            cutter.note(&file.path, "no document of this format is in it");
        }
    }
    cutter.flush();
}

struct Cutter<'a> {
    entry: &'a FormatEntry,
    sender: SyncSender<Chunk<'a>>,
    chunk: Chunk<'a>,
    bytes: usize,
    pieces: usize,
}

impl<'a> Cutter<'a> {
    fn push(&mut self, file: &Arc<str>, shape: Shape<'a>) {
        self.pieces += 1;
        self.bytes += match &shape {
            Shape::Document(bytes) | Shape::Lines(bytes, _) => bytes.len(),
            Shape::Records(records) => records.iter().map(|(record, _)| record.len()).sum(),
            Shape::Failed(_) | Shape::Note(_) => 0,
        };
        self.chunk.push(Piece {
            file: Arc::clone(file),
            shape,
        });
        if self.bytes >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        let chunk = std::mem::take(&mut self.chunk);
        if !chunk.is_empty() {
            // The receiver is dropped only when the reading side has gone; then there is nobody to tell.
            let _ = self.sender.send(chunk);
        }
    }

    fn note(&mut self, name: &str, text: &str) {
        self.push(&name.into(), Shape::Note(text.to_owned()));
    }

    /// Cuts a stream of lines into chunks of whole lines.
    fn lines(&mut self, name: &str, stream: &mut dyn Read) -> io::Result<()> {
        let file: Arc<str> = name.into();
        let (mut carried, mut line, mut blank) = (Vec::new(), 1_u32, true);
        loop {
            let mut bytes = std::mem::take(&mut carried);
            let outcome = stream.take(CHUNK_BYTES as u64).read_to_end(&mut bytes);
            let ended = !matches!(outcome, Ok(read) if read == CHUNK_BYTES);
            if !ended {
                let end = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
                if end == 0 && bytes.len() <= RECORD_BYTES_MAX {
                    carried = bytes;
                    continue;
                }
                carried = bytes.split_off(end);
            }
            blank &= is_blank(&bytes);
            let newlines = memchr::memchr_iter(b'\n', &bytes).count();
            self.push(&file, Shape::Lines(bytes.into(), line));
            line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            if carried.len() > RECORD_BYTES_MAX {
                return Err(io::Error::other(format!(
                    "line {line} is longer than {RECORD_BYTES_MAX} bytes"
                )));
            }
            if ended {
                if blank && outcome.is_ok() {
                    self.push(&file, Shape::Note(EMPTY.to_owned()));
                }
                return outcome.map(|_| ());
            }
        }
    }

    /// Hands on a document that is in memory; a large one is cut into its records here, so that many tasks read it.
    fn whole(&mut self, file: &Arc<str>, bytes: Cow<'a, [u8]>) {
        let records = match without_mark(&bytes).trim_ascii() {
            large if large.len() > CHUNK_BYTES => split(large).unwrap_or_default(),
            _ => Vec::new(),
        };
        if records.len() < 2 {
            return self.push(file, Shape::Document(bytes));
        }
        let cut = |range: Range<usize>| match &bytes {
            Cow::Borrowed(bytes) => without_mark(bytes).trim_ascii().get(range).map(Cow::Borrowed),
            Cow::Owned(bytes) => without_mark(bytes)
                .trim_ascii()
                .get(range)
                .map(|record| Cow::Owned(record.to_vec())),
        };
        let (mut part, mut size) = (Vec::new(), 0);
        for (range, number) in records {
            size += range.len();
            part.extend(cut(range).map(|record| (record, number)));
            if size >= CHUNK_BYTES {
                self.push(file, Shape::Records(std::mem::take(&mut part)));
                size = 0;
            }
        }
        if !part.is_empty() {
            self.push(file, Shape::Records(part));
        }
    }

    /// Cuts a plain document into chunks of whole lines, without copying it.
    fn line_slices(&mut self, name: &str, mut rest: &'a [u8]) {
        let file: Arc<str> = name.into();
        let mut line = 1_u32;
        if is_blank(rest) {
            self.push(&file, Shape::Note(EMPTY.to_owned()));
        }
        while !rest.is_empty() {
            let tail = rest.get(CHUNK_BYTES..).unwrap_or_default();
            let end = memchr::memchr(b'\n', tail).map_or(rest.len(), |at| CHUNK_BYTES + at + 1);
            let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            let newlines = memchr::memchr_iter(b'\n', chunk).count();
            self.push(&file, Shape::Lines(chunk.into(), line));
            line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            rest = after;
        }
    }
}

/// What is said of a file, or of a part that is one, without records.
pub(crate) const EMPTY: &str = "holds no records";

impl<'a> Documents<'a> for Cutter<'a> {
    fn wants(&self, name: &str) -> bool {
        self.entry.accepts_document(name)
    }

    fn document(&mut self, name: &str, body: Body<'_, 'a>) -> io::Result<()> {
        let line_wise = crate::container::document_name(name).is_some_and(|n| is_line_wise(&n));
        match body {
            Body::Stream(stream) if line_wise => {
                let mut mark = Vec::new();
                (&mut *stream).take(2).read_to_end(&mut mark)?;
                let utf16 = is_utf16(&mark);
                let mut stream = mark.as_slice().chain(stream);
                if !utf16 {
                    return self.lines(name, &mut stream);
                }
                let bytes = Body::Stream(&mut stream).whole(Limits::default().document_bytes)?;
                self.whole(&name.into(), bytes);
                Ok(())
            }
            Body::Slice(bytes) if line_wise && !starts_with_array(bytes) && !is_utf16(bytes) => {
                self.line_slices(name, bytes);
                Ok(())
            }
            body => {
                let bytes = body.whole(Limits::default().document_bytes)?;
                self.whole(&name.into(), bytes);
                Ok(())
            }
        }
    }

    fn failed(&mut self, name: &str, why: String) {
        self.push(&name.into(), Shape::Failed(why));
    }

    fn left_out(&mut self, name: &str, count: u64, first: &str) {
        self.note(
            name,
            &format!("{count} members were left out because of their names, `{first}` first"),
        );
    }
}

fn is_line_wise(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| {
        extension.eq_ignore_ascii_case("ndjson") || extension.eq_ignore_ascii_case("jsonl")
    })
}

fn starts_with_array(bytes: &[u8]) -> bool {
    without_mark(bytes).trim_ascii_start().first() == Some(&b'[')
}

fn is_blank(bytes: &[u8]) -> bool {
    without_mark(bytes).iter().all(u8::is_ascii_whitespace)
}

/// Without the UTF-8 byte order mark that Windows tools write.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The records of a document that is in memory: the elements of an array, one value, or lines.
pub(crate) fn split(bytes: &[u8]) -> Result<Vec<(Range<usize>, u32)>, String> {
    if bytes.first() == Some(&b'[') {
        let elements: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let start = bytes.as_ptr() as usize;
        let range = |raw: &RawValue| {
            let from = raw.get().as_ptr() as usize - start;
            from..from + raw.get().len()
        };
        return Ok(elements
            .iter()
            .zip(1..)
            .map(|(raw, number)| (range(raw), number))
            .collect());
    }
    let whole = match serde_json::from_slice::<&RawValue>(bytes) {
        Ok(_) => return Ok(vec![(0..bytes.len(), 1)]),
        Err(error) => error,
    };
    // Several values are lines under another extension, if the first line is a value of its own.
    let first = lines(bytes, 1).next();
    match first {
        Some((line, _)) if line.len() < bytes.len() && serde_json::from_slice::<&RawValue>(line).is_ok() => {
            let start = bytes.as_ptr() as usize;
            let range = |line: &[u8]| {
                let from = line.as_ptr() as usize - start;
                from..from + line.len()
            };
            Ok(lines(bytes, 1).map(|(line, number)| (range(line), number)).collect())
        }
        _ => Err(whole.to_string()),
    }
}

/// The lines that are not blank, with their numbers.
pub(crate) fn lines(bytes: &[u8], first: u32) -> impl Iterator<Item = (&[u8], u32)> {
    let mut rest = if first == 1 { without_mark(bytes) } else { bytes };
    let mut number = first;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at_checked(end)?;
            let at = number;
            rest = after;
            number = number.saturating_add(1);
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Some((line, at));
            }
        }
    })
}
