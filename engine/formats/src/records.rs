//! Files to records to one batch, on every core.
//!
//! One thread unfolds the files and cuts them into chunks of whole records ([`crate::cut`]); the chunks of a round are
//! read side by side and taken in, in order, before the next round begins.
//!
//! Invariant \[order\]: what comes out does not depend on the number of threads. A chunk sees only what rounds before
//! its own have found.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use patchwave_core::observe::{Batch, Provenance};
use rayon::prelude::*;

use crate::cut::{Chunk, EMPTY, Shape, lines, produce, split, without_mark};
use crate::sheet::{Known, Sheet, Whole};
use crate::{FormatEntry, InputFile};

/// Chunks that are read side by side before the next round begins: 32 MB, several tasks for every core of a large
/// machine. It must not depend on the machine, see \[order\].
const ROUND_CHUNKS: usize = 32;

/// How a format reads one record.
pub(crate) trait RecordReader: Sync {
    /// Reads the record `raw`, which is one JSON value, and counts it in `sheet` by `read` or `skip`. `known` is what
    /// earlier rounds have read.
    fn record(&self, raw: &[u8], at: &Provenance, known: &Known, sheet: &mut Sheet);
}

/// Reads every file, in order of their paths.
pub(crate) fn read_records(
    reader: &impl RecordReader,
    entry: &FormatEntry,
    source: &Arc<str>,
    files: &[InputFile<'_>],
) -> Batch {
    let mut whole = Whole::default();
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
            let mut sheet = Sheet::default();
            sheet.skip(&at, format!("no thread to unfold the files could be started: {error}"));
            whole.take_in(sheet);
        }
        loop {
            let round = next_round(&receiver);
            if round.is_empty() {
                break;
            }
            let read = |chunk: &Chunk<'_>| read_chunk(reader, source, chunk, &whole.known);
            let sheets: Vec<Sheet> = round.par_iter().map(read).collect();
            sheets.into_iter().for_each(|sheet| whole.take_in(sheet));
        }
    });
    whole.finish()
}

fn next_round<'a>(receiver: &Receiver<Chunk<'a>>) -> Vec<Chunk<'a>> {
    receiver.iter().take(ROUND_CHUNKS).collect()
}

fn read_chunk(reader: &impl RecordReader, source: &Arc<str>, chunk: &Chunk<'_>, known: &Known) -> Sheet {
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
            Shape::Records(records) => {
                for (raw, number) in records {
                    reader.record(raw, &at(*number), known, &mut sheet);
                }
            }
            Shape::Document(bytes) => read_document(reader, bytes, &at, known, &mut sheet),
        }
    }
    sheet
}

fn read_document(
    reader: &impl RecordReader,
    bytes: &[u8],
    at: &impl Fn(u32) -> Provenance,
    known: &Known,
    sheet: &mut Sheet,
) {
    let bytes = without_mark(bytes).trim_ascii();
    if bytes.is_empty() {
        return sheet.note(&at(0), EMPTY);
    }
    match split(bytes) {
        Ok(records) if records.is_empty() => sheet.note(&at(0), EMPTY),
        Ok(records) => {
            for (range, number) in records {
                reader.record(bytes.get(range).unwrap_or_default(), &at(number), known, sheet);
            }
        }
        Err(why) => sheet.skip(&at(0), format!("is not JSON: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads every record as it stands, into the notes.
    struct Echo;

    impl RecordReader for Echo {
        fn record(&self, raw: &[u8], at: &Provenance, _: &Known, sheet: &mut Sheet) {
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
        let utf16: Vec<u8> = "\u{feff}1\n2\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let packed = zstd::encode_all(utf16.as_slice(), 1).unwrap();
        for (name, bytes) in [("a.json", &utf16), ("a.ndjson", &utf16), ("a.ndjson.zst", &packed)] {
            assert_eq!(echo(&[(name, bytes)]), [format!("{name}:1 1"), format!("{name}:2 2")]);
        }
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
            assert!(out[4999].starts_with(&format!("{name}:5000 \"xx")), "{}", out[4999]);
        }
    }
}
