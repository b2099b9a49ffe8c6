//! Places as editors count them. LSP counts lines from 0 and columns in UTF-16 code units, unless client and server agree
//! on UTF-8; the engine counts lines and characters from 1, and its parsers bytes.

use lsp_types::{Position, PositionEncodingKind, Range};
use patchwave_core::source::Location;

/// How columns are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units: what every client can.
    #[default]
    Utf16,
}

impl Encoding {
    /// UTF-8 where it is offered (no counting is needed for it), else UTF-16.
    pub fn agreed(offered: Option<&[PositionEncodingKind]>) -> Self {
        match offered {
            Some(offered) if offered.contains(&PositionEncodingKind::UTF8) => Self::Utf8,
            _ => Self::Utf16,
        }
    }

    /// The name of it in the protocol.
    pub const fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    fn units(self, text: &str) -> u32 {
        let count = match self {
            Self::Utf8 => text.len(),
            Self::Utf16 => text.encode_utf16().count(),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// A text with its line starts.
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    encoding: Encoding,
}

impl<'a> Lines<'a> {
    /// Indexes the lines of a text.
    pub fn new(text: &'a str, encoding: Encoding) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(starts).collect(),
            encoding,
        }
    }

    fn line(&self, line: usize) -> (usize, &'a str) {
        let start = self.starts.get(line).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        (start, rest.split('\n').next().unwrap_or_default())
    }

    /// The byte of a position; one behind the end of its line is the end, as the protocol says.
    pub fn byte(&self, position: Position) -> usize {
        let (start, line) = self.line(position.line as usize);
        let mut units = 0;
        for (at, c) in line.char_indices() {
            if units >= position.character {
                return start + at;
            }
            units += self.encoding.units(c.encode_utf8(&mut [0; 4]));
        }
        start + line.len()
    }

    /// The position of a byte.
    pub fn position(&self, byte: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..byte).unwrap_or_default();
        Position::new(u32::try_from(line).unwrap_or(u32::MAX), self.encoding.units(before))
    }

    /// The range of a stretch of bytes.
    pub fn range(&self, bytes: std::ops::Range<usize>) -> Range {
        Range::new(self.position(bytes.start), self.position(bytes.end))
    }

    /// The whole text.
    pub fn whole(&self) -> Range {
        self.range(0..self.text.len())
    }

    /// The bytes of a location of the engine.
    pub fn bytes_of(&self, at: &Location) -> std::ops::Range<usize> {
        let byte = |line: u32, column: u32| {
            let (start, text) = self.line(line.saturating_sub(1) as usize);
            // The engine does not count a byte order mark.
            let mark = if text.starts_with('\u{feff}') { 1 } else { 0 };
            let characters = column.saturating_sub(1) as usize + mark;
            start + text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
        };
        byte(at.line, at.column)..byte(at.end_line, at.end_column)
    }

    /// The range of a location of the engine.
    pub fn range_of(&self, at: &Location) -> Range {
        self.range(self.bytes_of(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_as_agreed() {
        let text = "a: 🦀ü x\nb: 1";
        let at = text.find('x').unwrap();
        let (utf16, utf8) = (Lines::new(text, Encoding::Utf16), Lines::new(text, Encoding::Utf8));
        assert_eq!(utf16.position(at), Position::new(0, 7));
        assert_eq!(utf8.position(at), Position::new(0, 10));
        assert_eq!(utf16.byte(Position::new(0, 7)), at);
        assert_eq!(utf8.byte(Position::new(0, 10)), at);
        assert_eq!(utf16.byte(Position::new(0, 99)), text.find('\n').unwrap());
        assert_eq!(utf16.byte(Position::new(9, 9)), text.len());
        let place = Location {
            file: "x".into(),
            line: 1,
            column: 7,
            end_line: 1,
            end_column: 8,
        };
        assert_eq!(
            utf16.range_of(&place),
            Range::new(Position::new(0, 7), Position::new(0, 8))
        );
    }

    #[test]
    fn utf8_is_taken_where_it_is_offered() {
        let both = [PositionEncodingKind::UTF16, PositionEncodingKind::UTF8];
        assert_eq!(Encoding::agreed(Some(&both)), Encoding::Utf8);
        assert_eq!(Encoding::agreed(None), Encoding::Utf16);
    }
}
