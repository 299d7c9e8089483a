//! The ids of jobs: which spellings name the same job.

use std::borrow::Cow;

/// Returns true if two spellings name the same job: equal ones, a whole number with and without a fraction of zeros, and UUIDs with and
/// without dashes, in either case, whatever path they end. Other ids are compared with their case: `xAb9` and `xaB9` are two jobs.
pub fn is_same_id(one: &str, other: &str) -> bool {
    one == other || number(one) == number(other) || uuid(one).is_some_and(|one| uuid(other) == Some(one))
}

/// A key that all spellings of one id have in common. Two ids may have the same key.
pub fn id_key(id: &str) -> String {
    let last = id.trim_end_matches('/').rsplit('/').next().unwrap_or(id);
    uuid(last).unwrap_or_else(|| number(last).to_owned())
}

/// The one spelling of an id by which equal ids of a target are found: a UUID without dashes in lower case, a whole number without a
/// fraction, and any other id as it is.
pub fn canonical_id(id: &str) -> Cow<'_, str> {
    uuid(id).map_or(Cow::Borrowed(number(id)), Cow::Owned)
}

fn uuid(id: &str) -> Option<String> {
    let digits = id.rsplit('/').next().unwrap_or(id).replace('-', "").to_ascii_lowercase();
    (digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
}

fn number(id: &str) -> &str {
    let whole = id.trim_end_matches('0').strip_suffix('.').filter(|whole| !whole.is_empty());
    whole.filter(|whole| whole.bytes().all(|digit| digit.is_ascii_digit())).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_id_share_a_key_and_other_ids_are_told_apart() {
        for (one, another) in
            [("11", "1"), ("1-1", "11"), ("xAb9", "xaB9"), ("job-a", "job-A"), ("07", "7"), ("/jobs/a", "a")]
        {
            assert!(!is_same_id(one, another) && canonical_id(one) != canonical_id(another), "{one} {another}");
        }
        let uuid = "379bb927-1671-4ee2-8d49-63d9f27a2bc5";
        for (one, another) in [("7.0", "7"), ("70", "70.00"), (uuid, "/j/379BB92716714EE28D4963D9F27A2BC5")] {
            assert!(is_same_id(one, another) && id_key(one) == id_key(another), "{one} {another}");
            assert_eq!(canonical_id(one), canonical_id(another), "{one} {another}");
        }
        assert!(["/jobs/xAb9", "jobs/xAb9/"].iter().all(|path| id_key(path) == "xAb9"));
    }
}
