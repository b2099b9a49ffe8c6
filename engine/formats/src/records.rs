//! Files to records to one batch, on every core.
//!
//! One thread unfolds the files and cuts them into chunks of whole records; the chunks of a round are read side by
//! side and taken in, in order, before the next round begins. Chunks and rounds are cut by bytes alone.
//!
//! Invariant \[order\]: what comes out does not depend on the number of threads. A chunk sees only what rounds before
//! its own have found.

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use patchwave_core::observe::{Batch, Provenance};
use rayon::prelude::*;
use serde_json::value::RawValue;

use crate::container::{Body, Documents, Limits, unfold};
use crate::sheet::{KnownLists, Sheet};
use crate::{FormatEntry, InputFile};

/// Bytes of records that one task reads. Large enough that a task's own tables pay, small enough that a round of
/// them fits in memory many times over.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that are read side by side before the next round begins: 32 MB, several tasks for every core of a large
/// machine. It must not depend on the machine, see \[order\].
const ROUND_CHUNKS: usize = 32;
/// A single record longer than this is not read: a hundred times the largest machine seen (8,000 packages, 1 MB).
const RECORD_BYTES_MAX: usize = 100 << 20;

/// How a format reads one record.
pub(crate) trait RecordReader: Sync {
    /// Reads the record `raw`, which is one JSON value, and counts it in `sheet` by `read` or `skip`. `known` are the
    /// package lists of earlier rounds.
    fn record(&self, raw: &[u8], at: &Provenance, known: &KnownLists, sheet: &mut Sheet);
}

/// Reads every file, in order of their paths.
pub(crate) fn read_records(
    reader: &impl RecordReader,
    entry: &FormatEntry,
    source: &Arc<str>,
    files: &[InputFile<'_>],
) -> Batch {
    let mut sheet = Sheet::default();
    let mut known = KnownLists::default();
    std::thread::scope(|scope| {
        // One round being read, one ready, one being unfolded.
        let (sender, receiver) = sync_channel(ROUND_CHUNKS);
        let producer = std::thread::Builder::new().name("unfold".to_owned());
        let started = producer.spawn_scoped(scope, move || produce(entry, files, sender));
        if let Err(error) = started {
            let at = Provenance {
                source: Arc::clone(source),
                file: "".into(),
                record: 0,
            };
            sheet.skip(&at, format!("no thread to unfold the files could be started: {error}"));
        }
        loop {
            let round = next_round(&receiver);
            if round.is_empty() {
                break;
            }
            let read = |chunk: &Chunk<'_>| read_chunk(reader, source, chunk, &known);
            let sheets: Vec<Sheet> = round.par_iter().map(read).collect();
            for part in sheets {
                sheet.append(part, &mut known);
            }
        }
    });
    sheet.finish()
}

fn next_round<'a>(receiver: &Receiver<Chunk<'a>>) -> Vec<Chunk<'a>> {
    receiver.iter().take(ROUND_CHUNKS).collect()
}

/// Some documents or parts of documents, about [`CHUNK_BYTES`] of them.
type Chunk<'a> = Vec<Piece<'a>>;

/// A document, a part of one, or what is to be said of a file.
struct Piece<'a> {
    file: Arc<str>,
    shape: Shape<'a>,
}

enum Shape<'a> {
    /// A whole document: one value, an array of them, or lines.
    Document(Cow<'a, [u8]>),
    /// Whole lines, the first of which has this number.
    Lines(Cow<'a, [u8]>, u32),
    /// It, or the rest of it, cannot be read.
    Failed(String),
    /// A word about it.
    Note(String),
}

fn produce<'a>(entry: &'a FormatEntry, files: &'a [InputFile<'_>], sender: SyncSender<Chunk<'a>>) {
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
                let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                if end == 0 && bytes.len() <= RECORD_BYTES_MAX {
                    carried = bytes;
                    continue;
                }
                carried = bytes.split_off(end);
            }
            blank &= is_blank(&bytes);
            let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
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

    /// Cuts a plain document into chunks of whole lines, without copying it.
    fn line_slices(&mut self, name: &str, mut rest: &'a [u8]) {
        let file: Arc<str> = name.into();
        let mut line = 1_u32;
        if is_blank(rest) {
            self.push(&file, Shape::Note(EMPTY.to_owned()));
        }
        while !rest.is_empty() {
            let tail = rest.get(CHUNK_BYTES..).unwrap_or_default();
            let end = tail
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(rest.len(), |at| CHUNK_BYTES + at + 1);
            let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            let newlines = chunk.iter().filter(|byte| **byte == b'\n').count();
            self.push(&file, Shape::Lines(chunk.into(), line));
            line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            rest = after;
        }
    }
}

const EMPTY: &str = "holds no records";

impl<'a> Documents<'a> for Cutter<'a> {
    fn wants(&self, name: &str) -> bool {
        self.entry.accepts_document(name)
    }

    fn document(&mut self, name: &str, body: Body<'_, 'a>) -> io::Result<()> {
        let line_wise = crate::container::document_name(name).is_some_and(|n| is_line_wise(&n));
        match body {
            Body::Stream(stream) if line_wise => self.lines(name, stream),
            Body::Slice(bytes) if line_wise && !starts_with_array(bytes) => {
                self.line_slices(name, bytes);
                Ok(())
            }
            body => {
                let bytes = body.whole(Limits::default().document_bytes)?;
                self.push(&name.into(), Shape::Document(bytes));
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
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn read_chunk(reader: &impl RecordReader, source: &Arc<str>, chunk: &Chunk<'_>, known: &KnownLists) -> Sheet {
    let mut sheet = Sheet::default();
    for piece in chunk {
        let at = |record| Provenance {
            source: Arc::clone(source),
            file: Arc::clone(&piece.file),
            record,
        };
        match &piece.shape {
            Shape::Failed(why) => sheet.skip(&at(0), format!("cannot be read: {why}")),
            Shape::Note(text) => sheet.note(&at(0), text.as_str()),
            Shape::Lines(bytes, first) => {
                for (raw, line) in lines(bytes, *first) {
                    reader.record(raw, &at(line), known, &mut sheet);
                }
            }
            Shape::Document(bytes) => read_document(reader, bytes, &at, known, &mut sheet),
        }
    }
    sheet
}

/// Records of an array that one task reads.
const ELEMENTS_PER_TASK: usize = 512;

fn read_document(
    reader: &impl RecordReader,
    bytes: &[u8],
    at: &(impl Fn(u32) -> Provenance + Sync),
    known: &KnownLists,
    sheet: &mut Sheet,
) {
    let bytes = without_mark(bytes).trim_ascii();
    if bytes.is_empty() {
        return sheet.note(&at(0), EMPTY);
    }
    let records = match split(bytes) {
        Ok(records) if records.is_empty() => return sheet.note(&at(0), EMPTY),
        Ok(records) => records,
        Err(why) => return sheet.skip(&at(0), format!("is not JSON: {why}")),
    };
    let numbered: Vec<(&[u8], u32)> = records
        .into_iter()
        .filter_map(|(range, number)| Some((bytes.get(range)?, number)))
        .collect();
    let parts: Vec<Sheet> = numbered
        .par_chunks(ELEMENTS_PER_TASK)
        .map(|part| {
            let mut sheet = Sheet::default();
            for (raw, number) in part {
                reader.record(raw, &at(*number), known, &mut sheet);
            }
            sheet
        })
        .collect();
    let mut seen = KnownLists::default();
    for part in parts {
        let lists: Vec<_> = part.new_lists.keys().copied().collect();
        sheet.append(part, &mut seen);
        for digest in lists {
            if let Some(set) = seen.get(&digest) {
                sheet.new_lists.insert(digest, *set);
            }
        }
    }
}

/// The records of a document that is in memory: the elements of an array, one value, or lines.
fn split(bytes: &[u8]) -> Result<Vec<(Range<usize>, u32)>, String> {
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
fn lines(bytes: &[u8], first: u32) -> impl Iterator<Item = (&[u8], u32)> {
    let bytes = if first == 1 { without_mark(bytes) } else { bytes };
    let numbered = bytes.split(|byte| *byte == b'\n').enumerate();
    numbered
        .map(move |(at, line)| {
            (
                line.trim_ascii(),
                first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX)),
            )
        })
        .filter(|(line, _)| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads every record as it stands, into the notes.
    struct Echo;

    impl RecordReader for Echo {
        fn record(&self, raw: &[u8], at: &Provenance, _: &KnownLists, sheet: &mut Sheet) {
            sheet.read();
            sheet.note(at, String::from_utf8_lossy(raw));
        }
    }

    fn echo(files: &[(&str, &[u8])]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(p, b)| InputFile {
                path: (*p).into(),
                bytes: (*b).into(),
            })
            .collect();
        let batch = read_records(&Echo, crate::find("native").unwrap(), &"s".into(), &files);
        assert_eq!(
            batch.account.read + batch.account.skipped.len() as u64,
            batch.account.total
        );
        let skipped = batch
            .account
            .skipped
            .iter()
            .map(|s| format!("{}:{} skipped {}", s.file, s.record, s.reason));
        batch
            .account
            .notes
            .iter()
            .map(|s| format!("{}:{} {}", s.file, s.record, s.reason))
            .chain(skipped)
            .collect()
    }

    #[test]
    fn every_shape_of_document_gives_numbered_records() {
        assert_eq!(echo(&[("a.json", b" {\"x\":\n1} ")]), ["a.json:1 {\"x\":\n1}"]);
        assert_eq!(
            echo(&[("a.json", b"[1, [2],\n3]")]),
            ["a.json:1 1", "a.json:2 [2]", "a.json:3 3"]
        );
        assert_eq!(
            echo(&[("a.ndjson", b"\xef\xbb\xbf1\r\n\r\n 2\r\n")]),
            ["a.ndjson:1 1", "a.ndjson:3 2"]
        );
        assert_eq!(
            echo(&[("lines.json", b"{}\n{}")]),
            ["lines.json:1 {}", "lines.json:2 {}"]
        );
        assert_eq!(
            echo(&[("array.ndjson", b"[1,2]")]),
            ["array.ndjson:1 1", "array.ndjson:2 2"]
        );
        let packed = zstd::encode_all(b"1\n2\n".as_slice(), 1).unwrap();
        assert_eq!(
            echo(&[("a.ndjson.zst", &packed)]),
            ["a.ndjson.zst:1 1", "a.ndjson.zst:2 2"]
        );
    }

    #[test]
    fn files_are_read_in_order_of_their_paths_and_empty_ones_are_told() {
        let out = echo(&[
            ("b.json", b"1"),
            ("a.json", b""),
            ("c.ndjson", b"\n \n"),
            ("d.json", b"[]"),
        ]);
        assert_eq!(
            out,
            [
                "a.json:0 holds no records",
                "b.json:1 1",
                "c.ndjson:0 holds no records",
                "d.json:0 holds no records"
            ]
        );
    }

    #[test]
    fn faults_cost_only_what_they_touch() {
        let out = echo(&[("a.json", b"{"), ("b.zip", b"x"), ("c.json", b"1")]);
        assert_eq!(out[0], "c.json:1 1");
        assert!(out[1].starts_with("a.json:0 skipped is not JSON: EOF"), "{out:?}");
        assert!(out[2].starts_with("b.zip:0 skipped cannot be read: "), "{out:?}");
    }

    #[test]
    fn long_inputs_are_cut_at_lines_and_keep_their_numbers() {
        let line = format!("\"{}\"\n", "x".repeat(1000));
        let text = line.repeat(5000);
        let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
        for (name, bytes) in [("a.ndjson", text.as_bytes()), ("a.ndjson.zst", packed.as_slice())] {
            let out = echo(&[(name, bytes)]);
            assert_eq!(out.len(), 5000, "{name}");
            assert!(
                out[4999].starts_with(&format!("{name}:5000 \"xx")),
                "{}",
                &out[4999][..30]
            );
        }
    }
}
