//! The headers that a person may give: not those of the client itself, and secrets only where no process list shows them.

/// Headers whose values are secrets; a process list would show them.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"];

/// Headers that frame a message or belong to a connection (RFC 9110, sections 7.6.1, 7.8, 10.1.1 and 10.1.4; RFC 9112, section 6).
const OWN_HEADERS: [&str; 9] = [
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
    "keep-alive",
    "proxy-connection",
];

/// Returns true if the value of the header `name` is a secret that must not be shown.
pub fn is_secret(name: &str) -> bool {
    SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str())
}

/// The reason why the header `name` with this value cannot be given: it is the HTTP client's own. A wrong length would keep a server
/// waiting for the rest. The reason does not repeat the value, which may be a secret.
pub fn why_not_given(name: &str, value: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    if name == "connection" && !["close", "keep-alive"].iter().any(|known| value.eq_ignore_ascii_case(known)) {
        return Some("connection can only be `close` or `keep-alive`".to_owned());
    }
    let what = || format!("{name} belongs to the connection and is set for each request as needed: leave it out");
    OWN_HEADERS.contains(&name.as_str()).then(what)
}
