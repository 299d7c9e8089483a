//! The errors of the query API.

/// An error, as the API's error envelope says it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueryError {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// The error of a query or a parameter that cannot be read.
pub(super) fn bad_data(text: impl Into<String>) -> QueryError {
    QueryError { status: 400, kind: "bad_data", text: text.into() }
}
