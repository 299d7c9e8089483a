//! Lines of a log of any size and content, read with bounded memory, and their text without terminal sequences.

use std::io::{self, BufRead};

use anstream::adapter::strip_str;

/// The longest piece of a line that is looked at as one. A longer line comes in several pieces.
const LONGEST: usize = 1024 * 1024;

/// The place of a piece in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line, or its beginning.
    Start,
    /// A text that overwrites the one before it, behind a carriage return.
    Overwrite,
    /// More of a text that is too long to be looked at as one.
    Rest,
}

/// Reads lines in pieces of bounded size.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    input: R,
    next: Piece,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, next: Piece::Start }
    }

    /// Puts the next piece into `bytes`, line end included; none at the end.
    pub(super) fn next(&mut self, bytes: &mut Vec<u8>) -> io::Result<Option<Piece>> {
        bytes.clear();
        let piece = self.next;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                self.next = Piece::Start;
                return Ok((!bytes.is_empty()).then_some(piece));
            }
            // A carriage return ends a text unless a line feed follows, which the next byte tells.
            let is_overwritten = bytes.last() == Some(&b'\r') && buffer[0] != b'\r';
            if is_overwritten && buffer[0] != b'\n' {
                self.next = Piece::Overwrite;
                return Ok(Some(piece));
            }
            let room = &buffer[..buffer.len().min(LONGEST - bytes.len())];
            let end = room.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let taken = end.map_or(room.len(), |end| end + 1);
            bytes.extend_from_slice(&room[..taken]);
            self.input.consume(taken);
            if bytes.last() == Some(&b'\n') {
                self.next = Piece::Start;
                return Ok(Some(piece));
            }
            if bytes.len() == LONGEST {
                self.next = if bytes.last() == Some(&b'\r') { Piece::Overwrite } else { Piece::Rest };
                return Ok(Some(piece));
            }
        }
    }
}

/// The text of a line: without its end, bytes that are not UTF-8 replaced, terminal sequences and what stands before the text
/// without being seen taken out.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
    let text = String::from_utf8_lossy(&bytes[..end]);
    let plain = if text.contains('\x1b') { strip_str(&text).to_string() } else { text.into_owned() };
    let is_unseen = |c: char| (c.is_control() && c != '\t') || c == '\u{feff}';
    plain.trim_start_matches(is_unseen).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn pieces(bytes: &[u8]) -> Vec<(Piece, usize)> {
        let mut pieces = Pieces::new(BufReader::with_capacity(7, bytes));
        let (mut all, mut piece) = (Vec::new(), Vec::new());
        while let Some(kind) = pieces.next(&mut piece).unwrap() {
            all.push((kind, piece.len()));
        }
        all
    }

    #[test]
    fn a_line_is_one_piece_and_a_huge_one_is_several() {
        assert_eq!(
            pieces(b"abc\n\nlonger than seven\nend"),
            [(Piece::Start, 4), (Piece::Start, 1), (Piece::Start, 18), (Piece::Start, 3)]
        );
        assert_eq!(
            pieces(b"50%\r100%\rdone\r\nab\r\r\nlast\r"),
            [(Piece::Start, 4), (Piece::Overwrite, 5), (Piece::Overwrite, 6), (Piece::Start, 5), (Piece::Start, 5)]
        );
        let mut huge = vec![b'x'; 2 * LONGEST + 5];
        huge.extend_from_slice(b"\nnext\n");
        assert_eq!(
            pieces(&huge),
            [(Piece::Start, LONGEST), (Piece::Rest, LONGEST), (Piece::Rest, 6), (Piece::Start, 5)]
        );
    }

    #[test]
    fn colours_titles_and_broken_bytes_do_not_hide_the_text() {
        assert_eq!(text(b"\x1b[31;1mERROR\x1b[0m x\r\n"), "ERROR x");
        assert_eq!(text(b"\x1b]0;title\x07a\x1b]8;;u\x1b\\b\x1bcd\x1b[3"), "abd");
        assert_eq!(text(b"\xEF\xBB\xBF\x00\x08a\xFF\x00b"), "a\u{fffd}\u{0}b");
    }
}
