//! Containers: bytes of a file to the documents inside, by the extensions of its name.
//!
//! `facts.ndjson.zst` is one document; `advisories.tar.zst` and `all.zip` are many, each named
//! `archive.tar.zst!member`. Documents are handed on in the order in which they stand in the container, and nothing
//! larger than one document is ever held: line-wise documents are handed on as streams.
//!
//! Invariant \[bounded\]: whatever the bytes are, at most [`Limits`] of work is done and memory used.

use std::borrow::Cow;
use std::io::{self, BufReader, Cursor, Read};

/// How much a file may unfold to. A container that holds more is refused at that point; what stood before is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that all members of one file may unfold to, at least.
    pub unfolded_bytes: u64,
    /// Bytes that one byte of the file may unfold to, where that allows for more.
    pub unfolded_per_byte: u64,
    /// Bytes of one document that has to be held whole (JSON that is not line-wise, an archive inside an archive).
    pub document_bytes: u64,
    /// Members of one file, those of archives inside it included.
    pub members: u64,
    /// Containers inside containers.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A tar of every OSV record of every ecosystem is about 3 GB.
            unfolded_bytes: 4 << 30,
            // Package lists pack by 8 (measured: 497 MB to 63 MB); a fleet of equal machines by some hundreds, because
            // every line repeats the one before. Bombs aim at a hundred thousand.
            unfolded_per_byte: 1_000,
            // The largest single documents seen are catalogues of some hundred MB. Above that, NDJSON is the answer.
            document_bytes: 1 << 30,
            // OSV's `all.zip` holds some 300,000 records.
            members: 2_000_000,
            // `feeds.tar.zst!debian/all.zip!DSA-1.json` is four deep: zstd, tar, zip, document.
            depth: 6,
        }
    }
}

/// The bytes of one document.
pub(crate) enum Body<'r, 'a> {
    /// They stand in the input, uncompressed.
    Slice(&'a [u8]),
    /// They are being unfolded. An error while reading is the document's fault and ends the container.
    Stream(&'r mut dyn Read),
}

/// The bytes of a document that begins with the mark of UTF-16 (what PowerShell 5.1 writes with `>` and `Out-File`) as
/// UTF-8; any other as it is. Halves of pairs that stand alone become U+FFFD.
fn as_utf8(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let unit: fn([u8; 2]) -> u16 = match bytes.as_ref() {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return bytes,
    };
    let (units, _) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().skip(1).map(|pair| unit(*pair)));
    let text: String = text.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Cow::Owned(text.into_bytes())
}

/// Whether a document begins with the mark of UTF-16, so that its lines cannot be cut by bytes.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
}

impl<'a> Body<'_, 'a> {
    /// All bytes, if they are no more than `limit`, as UTF-8.
    pub(crate) fn whole(self, limit: u64) -> io::Result<Cow<'a, [u8]>> {
        self.all(limit).map(as_utf8)
    }

    fn all(self, limit: u64) -> io::Result<Cow<'a, [u8]>> {
        match self {
            Self::Slice(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Stream(stream) => {
                let mut bytes = Vec::new();
                stream.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > limit {
                    return Err(io::Error::other(format!(
                        "larger than {limit} bytes; give it as NDJSON, or split it"
                    )));
                }
                Ok(Cow::Owned(bytes))
            }
        }
    }
}

/// What is made of the documents of a file.
pub(crate) trait Documents<'a> {
    /// Whether a member of an archive with this name is wanted.
    fn wants(&self, name: &str) -> bool;
    /// Takes the document called `name`; an error ends the container it stands in.
    fn document(&mut self, name: &str, body: Body<'_, 'a>) -> io::Result<()>;
    /// Is told that `name` (a member, or the file itself) cannot be read, and why.
    fn failed(&mut self, name: &str, why: String);
    /// Is told that `count` members of the archive `name` were left out because of their names; `first` is one.
    fn left_out(&mut self, name: &str, count: u64, first: &str);
}

/// Hands every document of the file called `name` to `documents`, in order.
pub(crate) fn unfold<'a>(name: &str, bytes: &'a [u8], limits: &Limits, documents: &mut dyn Documents<'a>) {
    let allowance = (bytes.len() as u64)
        .saturating_mul(limits.unfolded_per_byte)
        .max(limits.unfolded_bytes);
    let mut walk = Walk {
        limits,
        bytes_left: allowance,
        members_left: limits.members,
        documents,
    };
    if let Err(error) = walk.open(name, base_name(name), Body::Slice(bytes), 0) {
        walk.documents.failed(name, error.to_string());
    }
}

/// The extensions that are containers, as [`Layer::of`] peels them off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Gzip,
    Zstd,
    Tar,
    Zip,
    Unsupported(&'static str),
    Document,
}

impl Layer {
    /// The outermost layer of a name, and the name of what is inside.
    fn of(name: &str) -> (Self, Cow<'_, str>) {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        match extension.to_ascii_lowercase().as_str() {
            "gz" => (Self::Gzip, stem.into()),
            "zst" => (Self::Zstd, stem.into()),
            "tgz" => (Self::Gzip, format!("{stem}.tar").into()),
            "tzst" => (Self::Zstd, format!("{stem}.tar").into()),
            "tar" => (Self::Tar, stem.into()),
            "zip" => (Self::Zip, stem.into()),
            "xz" | "txz" => (Self::Unsupported("xz"), stem.into()),
            "bz2" | "tbz2" => (Self::Unsupported("bzip2"), stem.into()),
            "7z" => (Self::Unsupported("7-Zip"), stem.into()),
            _ => (Self::Document, name.into()),
        }
    }
}

/// The name without its compressions, or none for an archive: what the extension of the document is judged by.
pub(crate) fn document_name(name: &str) -> Option<String> {
    let (layer, inner) = Layer::of(base_name(name));
    match layer {
        Layer::Document => Some(inner.into_owned()),
        Layer::Gzip | Layer::Zstd => document_name(&inner),
        Layer::Tar | Layer::Zip | Layer::Unsupported(_) => None,
    }
}

/// Whether the name is that of an archive that [`unfold`] can open, compressed or not.
pub(crate) fn is_archive(name: &str) -> bool {
    let (layer, inner) = Layer::of(base_name(name));
    match layer {
        Layer::Tar | Layer::Zip => true,
        Layer::Gzip | Layer::Zstd => is_archive(&inner),
        Layer::Document | Layer::Unsupported(_) => false,
    }
}

fn base_name(name: &str) -> &str {
    name.rsplit(['/', '!']).next().unwrap_or(name)
}

struct Walk<'w, 'a> {
    limits: &'w Limits,
    bytes_left: u64,
    members_left: u64,
    documents: &'w mut dyn Documents<'a>,
}

impl<'a> Walk<'_, 'a> {
    /// Opens what is called `name`; `base` is that name as far as its layers are not peeled off yet.
    fn open(&mut self, name: &str, base: &str, body: Body<'_, 'a>, depth: u32) -> io::Result<()> {
        if depth > self.limits.depth {
            return Err(io::Error::other(format!(
                "containers nested more than {} deep",
                self.limits.depth
            )));
        }
        let (layer, inner) = Layer::of(base);
        match (layer, body) {
            (Layer::Document, body) => self.documents.document(name, body),
            (Layer::Unsupported(method), _) => Err(io::Error::other(format!(
                "{method} is not supported; recompress it with zstd or gzip"
            ))),
            (Layer::Gzip, Body::Slice(bytes)) => self.gzip(name, &inner, bytes, depth),
            (Layer::Gzip, Body::Stream(stream)) => self.gzip(name, &inner, stream, depth),
            (Layer::Zstd, Body::Slice(bytes)) => self.zstd(name, &inner, bytes, depth),
            (Layer::Zstd, Body::Stream(stream)) => self.zstd(name, &inner, stream, depth),
            (Layer::Tar, Body::Slice(mut bytes)) => self.tar(name, &mut bytes, depth),
            (Layer::Tar, Body::Stream(stream)) => self.tar(name, stream, depth),
            (Layer::Zip, body) => {
                let bytes = body.all(self.limits.document_bytes)?;
                self.zip(name, &bytes, depth)
            }
        }
    }

    fn gzip(&mut self, name: &str, inner: &str, packed: impl Read, depth: u32) -> io::Result<()> {
        let decoder = flate2::bufread::MultiGzDecoder::new(BufReader::new(packed));
        self.stream(name, inner, decoder, depth)
    }

    fn zstd(&mut self, name: &str, inner: &str, packed: impl Read, depth: u32) -> io::Result<()> {
        let decoder = zstd::stream::read::Decoder::new(packed)?;
        self.stream(name, inner, decoder, depth)
    }

    /// Goes on with an unfolding stream, counting what it gives against the allowance.
    fn stream(&mut self, name: &str, inner: &str, decoder: impl Read, depth: u32) -> io::Result<()> {
        let mut bounded = Bounded {
            inner: decoder,
            left: self.bytes_left,
        };
        let outcome = self.open(name, inner, Body::Stream(&mut bounded), depth + 1);
        self.bytes_left = self.bytes_left.min(bounded.left);
        outcome
    }

    fn tar(&mut self, name: &str, stream: &mut dyn Read, depth: u32) -> io::Result<()> {
        let mut archive = tar::Archive::new(stream);
        let mut others = LeftOut::default();
        let outcome = (|| {
            for entry in archive.entries()? {
                let mut entry = entry?;
                if !entry.header().entry_type().is_file() {
                    continue;
                }
                let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                self.member(name, &member, &mut entry, depth, &mut others)?;
            }
            Ok(())
        })();
        others.report(name, self.documents);
        outcome
    }

    fn zip(&mut self, name: &str, bytes: &[u8], depth: u32) -> io::Result<()> {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(io::Error::other)?;
        let mut others = LeftOut::default();
        let outcome = (|| {
            for index in 0..archive.len() {
                let member = archive.name_for_index(index).unwrap_or_default().to_owned();
                if member.ends_with('/') {
                    continue;
                }
                match archive.by_index(index) {
                    Ok(mut entry) => self.member(name, &member, &mut entry, depth, &mut others)?,
                    Err(error) => self.documents.failed(&format!("{name}!{member}"), error.to_string()),
                }
            }
            Ok(())
        })();
        others.report(name, self.documents);
        outcome
    }

    /// Goes on with one member of an archive. Faults inside it are its own; only running out of the allowance ends
    /// the archive.
    fn member(
        &mut self,
        archive: &str,
        member: &str,
        entry: &mut dyn Read,
        depth: u32,
        others: &mut LeftOut,
    ) -> io::Result<()> {
        self.members_left = self
            .members_left
            .checked_sub(1)
            .ok_or_else(|| io::Error::other(format!("more than {} members", self.limits.members)))?;
        if !self.documents.wants(member) && !is_archive(member) {
            others.add(member);
            return Ok(());
        }
        let name = format!("{archive}!{member}");
        if let Err(error) = self.stream(&name, base_name(member), entry, depth) {
            self.documents.failed(&name, error.to_string());
        }
        if self.bytes_left == 0 {
            Err(Bounded::<&[u8]>::exhausted())
        } else {
            Ok(())
        }
    }
}

/// Members whose names the format does not want.
#[derive(Default)]
struct LeftOut {
    count: u64,
    first: String,
}

impl LeftOut {
    fn add(&mut self, member: &str) {
        if self.count == 0 {
            self.first = member.to_owned();
        }
        self.count += 1;
    }

    fn report(&self, archive: &str, documents: &mut dyn Documents<'_>) {
        if self.count > 0 {
            documents.left_out(archive, self.count, &self.first);
        }
    }
}

/// A stream that gives at most `left` bytes and fails beyond, which upholds \[bounded\].
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    fn exhausted() -> io::Error {
        io::Error::other("unfolds to more than is sensible for its size; unpack it and point the source at the folder")
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            // One byte more tells the end of the data from the end of the allowance.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(Self::exhausted()),
            };
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(buffer.get_mut(..room).unwrap_or_default())?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl<'a> Documents<'a> for Seen {
        fn wants(&self, name: &str) -> bool {
            document_name(name).is_some_and(|n| n.ends_with(".json"))
        }
        fn document(&mut self, name: &str, body: Body<'_, 'a>) -> io::Result<()> {
            let bytes = body.whole(1000)?;
            self.0.push(format!("{name} = {}", String::from_utf8_lossy(&bytes)));
            Ok(())
        }
        fn failed(&mut self, name: &str, why: String) {
            self.0.push(format!("{name} failed: {why}"));
        }
        fn left_out(&mut self, name: &str, count: u64, first: &str) {
            self.0.push(format!("{name} without {count}: {first}"));
        }
    }

    fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            writer
                .start_file(*name, zip::write::SimpleFileOptions::default())
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn gzip_of(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn seen(name: &str, bytes: &[u8], limits: Limits) -> Vec<String> {
        let mut seen = Seen::default();
        unfold(name, bytes, &limits, &mut seen);
        seen.0
    }

    #[test]
    fn nested_containers_are_unfolded_and_named() {
        let zip = zip_of(&[("all/a.json", b"1"), ("all/b.json", b"2")]);
        let tar = tar_of(&[
            ("x/readme.txt", b"no"),
            ("x/all.zip", &zip),
            ("x/c.json.gz", &gzip_of(b"3")),
        ]);
        let packed = zstd::encode_all(tar.as_slice(), 1).unwrap();
        assert_eq!(
            seen("feeds/f.tar.zst", &packed, Limits::default()),
            [
                "feeds/f.tar.zst!x/all.zip!all/a.json = 1",
                "feeds/f.tar.zst!x/all.zip!all/b.json = 2",
                "feeds/f.tar.zst!x/c.json.gz = 3",
                "feeds/f.tar.zst without 1: x/readme.txt",
            ]
        );
        assert_eq!(
            seen("plain.txt", b"4", Limits::default()),
            ["plain.txt = 4"],
            "a file named by hand is read"
        );
    }

    #[test]
    fn what_unfolds_beyond_the_allowance_is_refused() {
        let limits = Limits {
            unfolded_bytes: 2000,
            unfolded_per_byte: 1,
            ..Limits::default()
        };
        let bomb = zstd::encode_all([b'0'; 100_000].as_slice(), 1).unwrap();
        let tar = tar_of(&[("a.json", b"1"), ("b.json.zst", &bomb), ("c.json", b"2")]);
        let out = seen("t.tar", &tar, limits).join("\n");
        assert!(
            out.contains("a.json = 1") && out.contains("b.json.zst failed: larger than"),
            "{out}"
        );

        let out = seen(
            "b.json.zst",
            &bomb,
            Limits {
                unfolded_bytes: 10,
                unfolded_per_byte: 1,
                ..limits
            },
        )
        .join("\n");
        assert!(
            out.contains("b.json.zst failed: unfolds to more than is sensible"),
            "{out}"
        );

        let few = Limits {
            members: 1,
            ..Limits::default()
        };
        let out = seen("t.tar", &tar_of(&[("a.json", b"1"), ("b.json", b"2")]), few).join("\n");
        assert_eq!(out, "t.tar!a.json = 1\nt.tar failed: more than 1 members");
    }

    #[test]
    fn broken_containers_are_faults_of_their_own() {
        let tar = tar_of(&[("a.json.gz", b"not gzip"), ("b.json", b"2")]);
        let out = seen("t.tar", &tar, Limits::default());
        assert!(out[0].starts_with("t.tar!a.json.gz failed: "), "{out:?}");
        assert_eq!(out[1], "t.tar!b.json = 2");
        for name in ["x.zip", "x.json.zst", "x.json.gz", "x.tar.gz", "x.json.xz"] {
            let out = seen(name, b"garbage, not a container at all", Limits::default());
            assert!(out.len() == 1 && out[0].contains(" failed: "), "{out:?}");
        }
    }
}
