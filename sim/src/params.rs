//! Request parameters of the two query APIs: from the query string, and from a form body.

use axum::http::{HeaderMap, Uri, header};

/// Parameters in order, the body's before the query string's, as Go's servers read them.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// A body counts only as `application/x-www-form-urlencoded`: JSON is read as no parameters.
    pub(crate) fn read(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let body = if form { body } else { b"" };
        let query = uri.query().unwrap_or_default().as_bytes();
        let pairs = form_urlencoded::parse(body).chain(form_urlencoded::parse(query));
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The first value of a name; empty if it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_goes_before_the_query_and_json_is_no_form() {
        let uri: Uri = "/x?a=1&b=x%2By+z&match[]=p&match%5B%5D=q".parse().unwrap();
        let mut headers = HeaderMap::new();
        let params = Params::read(&uri, &headers, b"a=2");
        assert_eq!((params.get("a"), params.get("b"), params.get("c")), ("1", "x+y z", ""));
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        assert_eq!(Params::read(&uri, &headers, b"a=2").get("a"), "2");
    }
}
