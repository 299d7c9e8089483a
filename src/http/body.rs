//! The bodies of requests: texts, and files that are read while they are sent.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::stream::FORM;
use crate::clock::Clock;
use crate::record::Timestamp;

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// A text and its content type.
    Text {
        /// The content type, unless a header gives one.
        content_type: &'static str,
        /// The text.
        text: String,
    },
    /// A file as it is.
    File(PathBuf),
    /// A multipart form (RFC 7578).
    Multipart(Vec<Part>),
}

/// A field of a multipart form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A text.
    Text {
        /// The field's name.
        name: String,
        /// Its value.
        text: String,
    },
    /// A file, under the last part of its path.
    File {
        /// The field's name.
        name: String,
        /// The file.
        path: PathBuf,
    },
}

impl Body {
    /// A JSON text.
    pub fn json(text: String) -> Self {
        Self::Text { content_type: "application/json", text }
    }

    /// The text of a form.
    pub fn form(text: String) -> Self {
        Self::Text { content_type: FORM, text }
    }

    /// A plain text.
    pub fn text(text: String) -> Self {
        Self::Text { content_type: "text/plain; charset=utf-8", text }
    }

    /// The content type; `boundary` separates the fields of a multipart form.
    pub(super) fn content_type(&self, boundary: &str) -> String {
        match self {
            Self::Text { content_type, .. } => (*content_type).to_owned(),
            Self::File(_) => "application/octet-stream".to_owned(),
            Self::Multipart(_) => format!("multipart/form-data; boundary={boundary}"),
        }
    }

    /// True if it reads a file.
    pub(super) fn reads_files(&self) -> bool {
        match self {
            Self::Text { .. } => false,
            Self::File(_) => true,
            Self::Multipart(parts) => parts.iter().any(|part| matches!(part, Part::File { .. })),
        }
    }

    /// The whole of a body that reads no file.
    pub(super) fn read(&self, boundary: &str) -> Result<String, String> {
        let mut text = String::new();
        let (mut reader, _) = self.open(boundary)?;
        reader.read_to_string(&mut text).map(|_| text).map_err(|error| error.to_string())
    }

    /// Opens its files. Returns what is to be sent, and its length in bytes. The error names a file.
    pub(super) fn open(&self, boundary: &str) -> Result<(Box<dyn Read + Send + Sync>, u64), String> {
        let mut pieces: Vec<Piece> = Vec::new();
        match self {
            Self::Text { text, .. } => pieces.push(Piece::text(text.clone())),
            Self::File(path) => pieces.push(Piece::file(path)?),
            Self::Multipart(parts) => {
                for part in parts {
                    match part {
                        Part::Text { name, text } => {
                            let head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(name));
                            pieces.push(Piece::text(format!("--{boundary}\r\n{head}\r\n\r\n{text}\r\n")));
                        }
                        Part::File { name, path } => {
                            let file = path.file_name().unwrap_or_default().to_string_lossy();
                            pieces.push(Piece::text(format!(
                                "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n\
                                 Content-Type: application/octet-stream\r\n\r\n",
                                quoted(name),
                                quoted(&file)
                            )));
                            pieces.push(Piece::file(path)?);
                            pieces.push(Piece::text("\r\n".to_owned()));
                        }
                    }
                }
                pieces.push(Piece::text(format!("--{boundary}--\r\n")));
            }
        }
        let length = pieces.iter().map(|piece| piece.length).sum();
        let empty: Box<dyn Read + Send + Sync> = Box::new(io::empty());
        let reader = pieces.into_iter().fold(empty, |before, piece| Box::new(before.chain(piece.reader)));
        Ok((reader, length))
    }
}

/// A name in the quotes of a `Content-Disposition`, as browsers write it (HTML, multipart form data).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

struct Piece {
    reader: Box<dyn Read + Send + Sync>,
    length: u64,
}

impl Piece {
    fn text(text: String) -> Self {
        Self { length: text.len() as u64, reader: Box::new(Cursor::new(text)) }
    }

    fn file(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        // A file that grows meanwhile must not send more than was announced.
        Ok(Self { reader: Box::new(file.take(length)), length })
    }
}

/// A body that notes when its last byte was taken.
pub(super) struct Timed<R> {
    pub(super) reader: R,
    pub(super) left: u64,
    pub(super) clock: Clock,
    pub(super) ended_at: Arc<Mutex<Option<Timestamp>>>,
}

impl<R: Read> Read for Timed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let was_over = self.left == 0;
        self.left = self.left.saturating_sub(count as u64);
        if self.left == 0 && (!was_over || count == 0) {
            let mut ended_at = self.ended_at.lock().unwrap_or_else(PoisonError::into_inner);
            ended_at.get_or_insert(self.clock.now());
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multipart_form_has_its_fields_in_order_and_tells_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a\"b.webm");
        std::fs::write(&path, "bytes").unwrap();
        let parts = vec![
            Part::Text { name: "lang".into(), text: "en".into() },
            Part::File { name: "file".into(), path: path.clone() },
        ];
        let (mut reader, length) = Body::Multipart(parts).open("B").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(
            text,
            "--B\r\nContent-Disposition: form-data; name=\"lang\"\r\n\r\nen\r\n--B\r\nContent-Disposition: form-data; \
             name=\"file\"; filename=\"a%22b.webm\"\r\nContent-Type: application/octet-stream\r\n\r\nbytes\r\n--B--\r\n"
        );
        assert_eq!(length, text.len() as u64);
        std::fs::remove_file(&path).unwrap();
        assert!(Body::File(path).open("B").err().unwrap().contains("b.webm: No such file"));
    }
}
