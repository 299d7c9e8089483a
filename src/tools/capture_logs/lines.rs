//! Lines of a log of any size and content, read with bounded memory, and their text without what decorates it.

use std::io::{self, BufRead};

/// The longest piece of a line that is looked at as one. A longer line comes in several pieces.
const LONGEST: usize = 1024 * 1024;

/// What one call of [`next_piece`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line, or the first piece of a very long one.
    Start,
    /// More of the line before.
    Rest,
}

/// Reads lines in pieces of bounded size.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    input: R,
    within: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, within: false }
    }

    /// Puts the next piece into `bytes`, line end included; none at the end.
    pub(super) fn next(&mut self, bytes: &mut Vec<u8>) -> io::Result<Option<Piece>> {
        bytes.clear();
        let piece = if self.within { Piece::Rest } else { Piece::Start };
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let room = &buffer[..buffer.len().min(LONGEST - bytes.len())];
            let end = room.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(room.len(), |end| end + 1);
            bytes.extend_from_slice(&room[..taken]);
            let ended = buffer.is_empty();
            self.input.consume(taken);
            if end.is_some() || ended || bytes.len() == LONGEST {
                self.within = end.is_none() && !ended;
                return Ok((!bytes.is_empty()).then_some(piece));
            }
        }
    }
}

/// The text of a line: without its end, bytes that are not UTF-8 replaced, terminal sequences taken out.
pub(super) fn text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\x1b') { plain(&text) } else { text.into_owned() }
}

/// Takes out what ECMA-48 defines: control sequences (`ESC [` to a final byte), strings such as titles (`ESC ]` to BEL or
/// `ESC \`), and two-character escapes.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\x1b' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('[') => {
                characters.by_ref().find(|c| matches!(c, '\x40'..='\x7e'));
            }
            Some(']' | 'P' | 'X' | '^' | '_') => {
                let mut escaped = false;
                characters.by_ref().find(|c| {
                    let ends = *c == '\x07' || (escaped && *c == '\\');
                    escaped = *c == '\x1b';
                    ends
                });
            }
            _ => {}
        }
    }
    plain
}

/// What stands behind `container-name  | ` at the start of a line, as compose writes it.
pub(super) fn after_prefix(text: &str) -> Option<&str> {
    let name = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte)).count();
    let rest = text[name..].trim_start_matches(' ');
    let spaces = text.len() - name - rest.len();
    let behind = rest.strip_prefix('|').filter(|_| name > 0 && spaces > 0)?;
    Some(behind.strip_prefix(' ').unwrap_or(behind))
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
        assert_eq!(text(b"a\xFF\x00b"), "a\u{fffd}\u{0}b");
    }

    #[test]
    fn a_container_prefix_is_told_from_a_group_of_exceptions() {
        assert_eq!(after_prefix("autorag-gpu-worker-1  |   File x"), Some("  File x"));
        assert_eq!(after_prefix("worker  |"), Some(""));
        assert_eq!(after_prefix("  | Traceback"), None);
        assert_eq!(after_prefix("a|b"), None);
    }
}
