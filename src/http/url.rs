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
            return Err(refused("a URL must not contain a user or a password (use --header-file)"));
        }
        let uri: Uri = text.trim().parse().map_err(|_| refused(&format!("`{text}` is not a URL")))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if !["http", "https"].contains(&scheme) || uri.host().is_none_or(str::is_empty) {
            return Err(refused(&format!("`{text}` is not an http or https URL")));
        }
        // The parser takes any port, and a connection would go to another one.
        let port = uri.authority().and_then(|authority| authority.as_str().rsplit_once(':')).map(|(_, port)| port);
        if let Some(port) = port.filter(|port| !port.ends_with(']') && !port.parse::<u16>().is_ok_and(|port| port > 0))
        {
            return Err(refused(&format!("`{port}` is not a port from 1 to 65535")));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(refused("a base URL must not have a query or a fragment"));
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

    /// The base URL `url` of a record, as it may be shown, if it is not this one; none if it is.
    pub fn other(&self, url: &str) -> Option<String> {
        if self.0 == url {
            return None;
        }
        let theirs = plain(url);
        (theirs != plain(&self.0)).then_some(theirs)
    }
}

/// A base URL without a user, a password, a query, its scheme's port and a slash at the end.
fn plain(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return "an address that cannot be read".to_owned() };
    // Only a URL without a host refuses, and that has neither.
    let _ = (parsed.set_username(""), parsed.set_password(None));
    parsed.set_query(None);
    parsed.set_fragment(None);
    parsed.as_str().trim_end_matches('/').to_owned()
}

/// The URL that `location` means in an answer from `from` (RFC 9110, section 10.2.2); none on another origin, where this
/// request's secrets must not go.
pub fn same_origin(from: &str, location: &str) -> Option<String> {
    let from = url::Url::parse(from).ok()?;
    let mut to = from.join(location).ok()?;
    to.set_fragment(None);
    (to.origin() == from.origin() && to.username().is_empty() && to.password().is_none()).then(|| to.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_followed_on_its_own_origin_alone() {
        let from = "http://h:1/a/jobs?x=1";
        for (location, to) in [
            ("/jobs/7", Some("http://h:1/jobs/7")),
            ("7", Some("http://h:1/a/7")),
            ("jobs/", Some("http://h:1/a/jobs/")),
            ("http://h:1/j#end", Some("http://h:1/j")),
            ("//h:1/j", Some("http://h:1/j")),
            ("https://h:1/j", None),
            ("http://h:2/j", None),
            ("//evil/j", None),
            ("http://u:p@h:1/j", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(same_origin(from, location).as_deref(), to, "{location}");
        }
    }

    #[test]
    fn another_base_url_is_told_from_another_spelling_and_shown_without_secrets() {
        let base = BaseUrl::parse("http://Host:80/p/", "--target").unwrap();
        for same in
            ["http://Host:80/p", "http://host/p", "HTTP://host:80/p//", "http://user:secret@host/p?key=secret#x"]
        {
            assert_eq!(base.other(same), None, "{same}");
        }
        for (other, shown) in [
            ("http://host:81/p", "http://host:81/p"),
            ("https://host/p", "https://host/p"),
            ("http://host", "http://host"),
            ("http://user:secret@other/p?key=secret", "http://other/p"),
            ("secret", "an address that cannot be read"),
        ] {
            assert_eq!(base.other(other).as_deref(), Some(shown), "{other}");
        }
    }

    #[test]
    fn base_urls_are_checked_and_joined() {
        assert_eq!(BaseUrl::parse("http://h:1/p/", "--target").unwrap().join("/x"), "http://h:1/p/x");
        assert!(["http://[::1]", "http://[::1]:65535"].iter().all(|url| BaseUrl::parse(url, "--target").is_ok()));
        for bad in [
            "",
            "h:1",
            "ftp://h",
            "http://",
            "http://h?q=1",
            "http://h#f",
            "http://user:secret@h",
            "http://h:99999",
            "http://h:",
            "http://h:0",
        ] {
            let failure = BaseUrl::parse(bad, "--target").unwrap_err();
            assert!(failure.message().unwrap().starts_with("--target: "), "{bad}");
            assert!(!failure.message().unwrap().contains("secret"));
        }
    }
}
