//! Files to whole documents, one after the other: for formats whose documents are no JSON values, or speak of
//! themselves only in their names.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use patchwave_core::observe::{Batch, Provenance};

use crate::container::{Body, Documents, Limits, unfold};
use crate::sheet::{Sheet, Whole};
use crate::{FormatEntry, InputFile};

/// How a format reads one document: its bytes, and where it stands (record 0, the document as a whole). It counts the
/// records in the sheet.
pub(crate) type DocumentReader<'r> = &'r dyn Fn(&[u8], &Provenance, &mut Sheet);

/// Reads every document of every file, in order of the paths.
pub(crate) fn read_documents(
    entry: &FormatEntry,
    source: &Arc<str>,
    files: &[InputFile<'_>],
    reader: DocumentReader<'_>,
) -> Batch {
    let mut files: Vec<&InputFile<'_>> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut whole = Whole::default();
    for file in files {
        let mut found = Found {
            entry,
            source,
            reader,
            sheet: Sheet::default(),
            seen: false,
        };
        unfold(&file.path, &file.bytes, &Limits::default(), &mut found);
        if !found.seen {
            let at = found.at(&file.path);
            found.sheet.note(&at, "no document of this format is in it");
        }
        whole.take_in(found.sheet);
    }
    whole.finish()
}

/// Where the documents of a file go.
struct Found<'e> {
    entry: &'e FormatEntry,
    source: &'e Arc<str>,
    reader: DocumentReader<'e>,
    sheet: Sheet,
    seen: bool,
}

impl Found<'_> {
    fn at(&self, name: &str) -> Provenance {
        Provenance {
            source: Arc::clone(self.source),
            file: name.into(),
            record: 0,
        }
    }
}

impl<'a> Documents<'a> for Found<'_> {
    fn wants(&self, name: &str) -> bool {
        self.entry.accepts_document(name)
    }

    fn document(&mut self, name: &str, body: Body<'_, 'a>) -> io::Result<()> {
        self.seen = true;
        let bytes: Cow<'_, [u8]> = body.whole(Limits::default().document_bytes)?;
        let at = self.at(name);
        (self.reader)(&bytes, &at, &mut self.sheet);
        Ok(())
    }

    fn failed(&mut self, name: &str, why: String) {
        self.seen = true;
        let at = self.at(name);
        self.sheet.skip(&at, format!("cannot be read: {why}"));
    }

    fn left_out(&mut self, name: &str, count: u64, first: &str) {
        self.seen = true;
        let at = self.at(name);
        self.sheet.note(
            &at,
            format!("{count} members were left out because of their names, `{first}` first"),
        );
    }
}
