//! Content codings that the HTTP client does not know by the name that the server gives them.

use std::io::{self, ErrorKind, Read};

use flate2::read::MultiGzDecoder;
use ureq::BodyReader;
use ureq::http::HeaderMap;

/// The names of gzip (RFC 9110, section 8.4.1: letter case does not count).
const GZIP: [&str; 2] = ["gzip", "x-gzip"];

/// The coding of a body that is left to decode, in lower case. ureq takes the header away where it decodes itself.
fn coding(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("content-encoding")?.to_str().ok()?;
    Some(value.trim().to_ascii_lowercase()).filter(|coding| !["", "identity"].contains(&coding.as_str()))
}

/// The coding of a body as the server spells it, where it cannot be decoded.
pub(super) fn unknown(headers: &HeaderMap) -> Option<String> {
    coding(headers).filter(|coding| !GZIP.contains(&coding.as_str()))?;
    Some(String::from_utf8_lossy(headers.get("content-encoding")?.as_bytes()).into_owned())
}

/// Reads `body` without its coding, where that is known.
pub(super) fn decoded(headers: &HeaderMap, body: BodyReader<'static>) -> Decoded {
    match coding(headers) {
        Some(coding) if GZIP.contains(&coding.as_str()) => Decoded::Gzip(Box::new(MultiGzDecoder::new(body))),
        _ => Decoded::Plain(body),
    }
}

/// The body of an answer.
pub(super) enum Decoded {
    Plain(BodyReader<'static>),
    Gzip(Box<MultiGzDecoder<BodyReader<'static>>>),
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(body) => body.read(buffer),
            Self::Gzip(body) => body.read(buffer).map_err(|error| match error.kind() {
                ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                    io::Error::other(ureq::Error::Decompress("gzip", error))
                }
                _ => error,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_coding_that_changes_the_body_is_unknown() {
        let of = |value: &'static str| {
            unknown(&[("content-encoding".parse().unwrap(), HeaderValue::from_static(value))].into_iter().collect())
        };
        for known in ["gzip", "GZIP", " Gzip ", "X-GZip", "identity", "Identity", ""] {
            assert_eq!(of(known), None, "{known}");
        }
        assert_eq!((of("Zstd").as_deref(), of("utf-8").as_deref()), (Some("Zstd"), Some("utf-8")));
        assert_eq!(unknown(&HeaderMap::new()), None);
    }
}
