//! Base URLs, checked before anything is sent to them.

use ureq::http::Uri;

use crate::cli::Failure;

/// A base URL: `http://host:port` or `https://…`, with a path prefix where the server has one; no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads `text`, which the flag `flag` gave.
    pub fn parse(text: &str, flag: &str) -> Result<Self, Failure> {
        let refused = |what: &str| Failure::usage(format!("{flag}: {what}; write it as http://HOST:PORT"));
        if text.contains('@') {
            // The text may hold a password, so the message does not repeat it.
            return Err(refused("a URL must not carry a user or a password (use --header-file)"));
        }
        let uri: Uri = text.trim().parse().map_err(|_| refused(&format!("`{text}` is not a URL")))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if !["http", "https"].contains(&scheme) || uri.host().is_none_or(str::is_empty) {
            return Err(refused(&format!("`{text}` is not an http or https URL")));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(refused("a base URL has no query and no fragment"));
        }
        Ok(Self(text.trim().trim_end_matches('/').to_owned()))
    }

    /// The URL of `path` below this base.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The base as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_checked_and_joined() {
        assert_eq!(BaseUrl::parse("http://h:1/p/", "--target").unwrap().join("/x"), "http://h:1/p/x");
        for bad in ["", "h:1", "ftp://h", "http://", "http://h?q=1", "http://h#f", "http://user:secret@h"] {
            let failure = BaseUrl::parse(bad, "--target").unwrap_err();
            assert!(failure.message().unwrap().starts_with("--target: "), "{bad}");
            assert!(!failure.message().unwrap().contains("secret"));
        }
    }
}
