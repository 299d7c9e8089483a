//! A server behind a proxy that lets GET pass and forbids POST.

use std::collections::BTreeMap;

use crate::server::{Reply, Request, Server};
use crate::{JOB, ONE, bare, envelope, healthy};

/// The parameters of a query by GET.
fn parameters(request: &Request) -> BTreeMap<String, String> {
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn page(request: &Request) -> &str {
    request.path.split('?').next().unwrap()
}

/// A healthy server with [`ONE`] for every query, whose proxy answers `post` to each POST and `get` to queries by GET, if
/// that is not what the server answers.
fn behind(post: Reply, get: Option<Reply>) -> Server {
    Server::new(move |request| match (&*request.method, page(request)) {
        ("POST", _) => post.clone(),
        (_, "/api/v1/query_range" | "/api/v1/query") => {
            get.clone().unwrap_or_else(|| match &*parameters(request)["query"] {
                "up" => Reply::json(envelope(ONE).replace("matrix", "vector")),
                _ => Reply::json(envelope(ONE)),
            })
        }
        _ => healthy(request),
    })
}

fn asked(server: &Server, method: &str) -> usize {
    let is_query = |request: &&Request| page(request).starts_with("/api/v1/query") && request.method == method;
    server.requests().iter().filter(is_query).count()
}

#[test]
fn queries_go_on_by_get_where_post_is_forbidden() {
    let forbidden =
        Reply::new(403, r#"{"kind":"Status","reason":"Forbidden","message":"cannot create services/proxy"}"#);
    let not_allowed = Reply::Whole(405, vec![("Allow", "GET, HEAD".to_owned())], String::new());
    for post in [forbidden, not_allowed, Reply::new(501, "Unsupported method ('POST')")] {
        let server = behind(post.clone(), None);
        let query = r#"b={__name__=~"a.*", x="ü &+%?#"}"#;
        let flags = ["--prometheus", &server.url(), "--query", "a=a", "--query", query];
        let done = bare(&flags, JOB);
        for name in ["a", "b"] {
            assert_eq!(done.result(name), ("ok", ""), "{}", done.stderr);
            assert_eq!(done.file(&format!("prometheus/{name}.json")), envelope(ONE));
        }
        // The server's time; a range, its samples, and a look back for each query: a single sample does not tell how often it is
        // scraped.
        assert_eq!((asked(&server, "POST"), asked(&server, "GET")), (1, 7), "{post:?}");
        let seen = server.requests();
        let last = seen.iter().rfind(|request| page(request).ends_with("_range")).unwrap();
        let sent = parameters(last);
        assert_eq!((&*sent["query"], &*sent["step"], &*sent["dedup"]), (query.split_once('=').unwrap().1, "5", "true"));
        assert_eq!(done.stderr.matches("using GET from now on").count(), 1, "{}", done.stderr);
        assert!(!done.stderr.contains("login"), "GET works without one: {}", done.stderr);
        let message = done.status("b", "message").as_str().unwrap().to_owned();
        assert!(message.contains("refused POST (HTTP ") && message.ends_with("sent by GET"), "{message}");
    }
}

#[test]
fn a_front_end_that_knows_a_query_by_its_text_is_asked_in_other_words() {
    // The answer to the range query `up` is that of an instant query.
    let server = behind(Reply::new(403, "no"), None);
    let done = bare(&["--prometheus", &server.url(), "--query", "alive=up"], JOB);
    assert_eq!(done.result("alive"), ("ok", ""), "{}", done.stderr);
    assert_eq!(done.file("prometheus/alive.json"), envelope(ONE));
    assert!(done.stderr.contains("vector came instead of a matrix; asking for up{}"), "{}", done.stderr);
}

#[test]
fn a_login_is_not_mistaken_for_a_forbidden_method() {
    for (post, get, reason) in [
        (Reply::new(403, "no"), Reply::new(403, "no"), "Unauthorized"),
        (Reply::new(405, ""), Reply::new(401, "who are you?"), "Refused"),
        (Reply::new(401, "who are you?"), Reply::json(envelope(ONE)), "Unauthorized"),
    ] {
        let server = behind(post.clone(), Some(get));
        let done = bare(&["--prometheus", &server.url(), "--query", "a=a", "--query", "b=b"], JOB);
        for name in ["a", "b"] {
            assert_eq!(done.result(name), ("error", reason), "{post:?}: {}", done.stderr);
        }
        assert!(asked(&server, "GET") <= 1, "GET is tried once at the most");
    }
}

#[test]
fn the_servers_own_refusal_by_get_is_the_querys() {
    let bad = Reply::new(400, r#"{"status":"error","errorType":"bad_data","error":"parse error: unclosed"}"#);
    let server = behind(Reply::new(405, ""), Some(bad));
    let done = bare(&["--prometheus", &server.url(), "--query", "a=a("], JOB);
    assert_eq!(done.result("a"), ("error", "BadQuery"), "{}", done.stderr);
    assert!(done.message("a").contains("parse error: unclosed"), "{}", done.message("a"));
}

#[test]
fn a_query_that_is_too_long_for_get_fails_alone() {
    let server = behind(Reply::new(403, "Forbidden"), None);
    let long = format!("long={{x=~\"{}\"}}", "a|".repeat(5000));
    for flags in [[&*long, "short=up_"], ["short=up_", &*long]] {
        let done = bare(&["--prometheus", &server.url(), "--query", flags[0], "--query", flags[1]], JOB);
        assert_eq!(done.result("short"), ("ok", ""), "{}", done.stderr);
        let message = done.message("long");
        assert_eq!(done.result("long").0, "error", "{message}");
        assert!(message.contains("too long") && message.contains("GET"), "{message}");
    }
}
