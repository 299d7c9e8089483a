//! Base URLs, checked before anything is sent to them, and the URLs that a target sends, as they may be shown.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use ureq::http::Uri;

use crate::cli::Failure;
use crate::escape;

/// The part of a target's URL that a message has, in bytes.
const LONGEST_SHOWN: usize = 200;

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

/// A URL that a target sent, or a reference to one, for a message.
pub fn shown(url: &str) -> String {
    escape::start(&without_secrets(url), LONGEST_SHOWN)
}

/// The rest of a sentence about an answer with this `Location`; nothing without one.
pub fn redirection(location: Option<&str>) -> String {
    location.map(|to| format!(" to {}", shown(to))).unwrap_or_default()
}

/// `body` of a redirect to `location`, which it may repeat, without the secrets in that.
pub fn redirect_body<'b>(body: &'b str, location: Option<&str>) -> Cow<'b, str> {
    let Some(location) = location else { return Cow::Borrowed(body) };
    let struck = without_secrets(location);
    // As it is, in HTML, and in JSON as some servers escape it.
    let spellings = [("&", "&"), ("&", "&amp;"), ("&", "\\u0026"), ("/", "\\/")];
    let spellings = spellings.map(|(plain, escaped)| location.replace(plain, escaped));
    let mut told = spellings.iter().filter(|spelling| struck != location && body.contains(*spelling)).peekable();
    if told.peek().is_none() {
        return Cow::Borrowed(body);
    }
    Cow::Owned(told.fold(body.to_owned(), |body, spelling| body.replace(spelling, &struck)))
}

/// Compiles a pattern that is part of this program.
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern is valid")
}

/// A URL, or a reference to one, without a user and a password, and without the values of its query, of parameters in its path (such as
/// `;jsessionid=…`) and of its fragment: they may be secrets.
fn without_secrets(url: &str) -> String {
    static IN_PATH: LazyLock<Regex> = LazyLock::new(|| regex(r"(;[^=;/]*=)[^;/]+"));
    static BEHIND_PATH: LazyLock<Regex> = LazyLock::new(|| regex(r"([?&;#](?:[^=&;#]*=)?)[^&;#]+"));
    // Browsers take any number of slashes behind `http:`, a backslash for a slash, and a host without a scheme behind two slashes.
    static USER: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^((?:[A-Za-z][A-Za-z0-9+.-]*:[/\\]*|[/\\]{2,}))[^/\\?#]*@"));
    let url = USER.replace(url.trim(), "$1");
    let (path, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    format!("{}{}", IN_PATH.replace_all(path, "$1…"), BEHIND_PATH.replace_all(rest, "$1…"))
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
    fn a_url_of_the_target_is_shown_without_what_may_be_secret() {
        for (url, expected) in [
            ("/jobs/7", "/jobs/7"),
            ("/login?next=%2Fjobs&token=T0K", "/login?next=…&token=…"),
            ("../in?T0K", "../in?…"),
            ("/in;jsessionid=T0K/x;v?a=/b/?c#access_token=T0K&s=T0K", "/in;jsessionid=…/x;v?a=…#access_token=…&s=…"),
            ("https://me:T0K@h:1/x@y?a=1@2", "https://h:1/x@y?a=…"),
            ("//T0K@h/x", "//h/x"),
            ("http:\\\\u:T0K@x@h\\a@b", "http:\\\\h\\a@b"),
            ("/u:p@x", "/u:p@x"),
            ("?T0K&b", "?…&…"),
        ] {
            assert_eq!(shown(url), expected, "{url}");
        }
        let body = |body: &'static str| redirect_body(body, Some("/in?a=1&t=T0K")).into_owned();
        assert_eq!(body("to /in?a=1&t=T0K!"), "to /in?a=…&t=…!");
        assert_eq!(body("<a href=\"/in?a=1&amp;t=T0K\">"), "<a href=\"/in?a=…&t=…\">");
        assert_eq!(body(r#"{"to":"/in?a=1\u0026t=T0K"}"#), r#"{"to":"/in?a=…&t=…"}"#);
        assert_eq!(redirect_body(r"to http:\/\/h\/?T0K", Some("http://h/?T0K")), "to http://h/?…");
        assert_eq!(redirect_body("/x is not /x?", Some("/x")), "/x is not /x?");
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
