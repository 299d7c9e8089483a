//! The ids of jobs in answers: which job an answer is about, and by which id it is polled next.

use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::Profile;
use super::place::{Document, Place};
use super::rules;
use crate::escape;
use crate::http::{same_origin, shown};
use crate::record::is_same_id;

/// Number of characters that a message quotes of an id in another form.
const SHOWN: usize = 60;

impl Profile {
    /// The id of another job, if the answer to a poll of `url` is about none of `ids`: the job's own, and the one that the poll asked
    /// for. An id that is neither a text nor a number names another job too.
    pub fn other_job(&self, document: &Document<'_>, ids: [&str; 2], url: &str) -> Option<String> {
        let places = self.poll_ids();
        if let Some(found) = document.scalar(places).filter(|found| !found.is_empty()) {
            return Some(found.clone()).filter(|_| !ids.into_iter().any(|id| is_id_of(&found, id, url)));
        }
        let is_other = |raw: &RawValue| !["null", "\"\""].contains(&raw.get());
        let ids = places.iter().filter(|place| !self.holds_answer(place)).flat_map(|place| place.find(document));
        let other = ids.into_iter().find(|raw| is_other(raw))?;
        Some(format!("{}, which is neither a text nor a number", escape::start(other.get(), SHOWN)))
    }

    /// Returns true if the profile reads something else of a poll's answer at `place` or below it, as in `result` of JSON-RPC, which is an
    /// id in one answer and an object in the next.
    fn holds_answer(&self, place: &Place) -> bool {
        let is_at_or_below = |other: &Place| {
            other.as_str().strip_prefix(place.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // Places in a list's entry or in a stage do not begin at the answer.
        let is_within = |key: &str| ["poll.list.", "poll.stages."].iter().any(|start| key.starts_with(start));
        let is_read =
            |key: &str| key == "poll.stages.at" || key.starts_with("poll.") && key != "poll.id" && !is_within(key);
        let read = self.places().into_iter().filter(|(key, _)| is_read(key)).map(|(_, other)| other);
        read.chain(rules::places(&self.poll.rules)).any(is_at_or_below)
    }

    /// The id by which a job is polled after this answer to its poll at `url`; none if it tells no other one than `id`. The error says
    /// that it is a URL on another server.
    pub fn next_id(&self, document: &Document<'_>, url: &str, id: &str) -> Option<Result<String, String>> {
        let found = document.scalar(&self.poll.next).filter(|found| !found.is_empty())?;
        let next = if self.polls_url() {
            same_origin(url, &found).ok_or_else(|| {
                format!(
                    "the job's next URL, {}, is not on the target's own server: nothing is sent to another one",
                    shown(&found)
                )
            })
        } else {
            Ok(found)
        };
        Some(next).filter(|next| next.as_deref() != Ok(id))
    }

    /// The places of a job's id in the answer to a poll. A header of the submission's answer says nothing about a poll's, a URL is no
    /// id, and a place of the next id holds another one.
    pub fn poll_ids(&self) -> &[Place] {
        let is_next = |place: &Place| self.poll.next.iter().any(|next| next.as_str() == place.as_str());
        let is_shared = !self.polls_url() && self.submit.id.iter().all(|place| place.is_in_json() && !is_next(place));
        self.poll.id.as_deref().unwrap_or(if is_shared { &self.submit.id } else { &[] })
    }
}

/// Returns true if `found`, the id in an answer from `url`, is that of the job `id`. If one of the two has a path before the other, that
/// belongs to the id and may be another job's, such as `team-b/9` for `9`, unless something explains it: `id` is a URL or an absolute path,
/// or the path stands before the id in `url`.
pub fn is_id_of(found: &str, id: &str, url: &str) -> bool {
    let (found, id) = (found.trim_end_matches('/'), id.trim_end_matches('/'));
    let is_end_of = |path: &str, end: &str| path.strip_suffix(end).is_some_and(|before| before.ends_with('/'));
    let tail = found.trim_start_matches('/');
    if is_same_id(found, id) || tail == id {
        return true;
    }
    if tail.is_empty() || id.is_empty() {
        return false;
    }
    if is_url(id) && is_end_of(id, tail) {
        return true;
    }
    let asked = path_to(id, url).zip(path_of(found, url));
    asked.is_some_and(|(asked, found)| is_end_of(&asked, &found) && is_end_of(&found, id.trim_start_matches('/')))
}

fn is_url(id: &str) -> bool {
    id.starts_with('/') || id.contains("://")
}

/// The decoded path of `url` up to its last segments that are `id`.
fn path_to(id: &str, url: &str) -> Option<String> {
    let path = format!("{}/", decoded(url::Url::parse(url).ok()?.path().trim_end_matches('/')));
    let id = format!("/{}", id.trim_start_matches('/'));
    let end = path.rfind(&format!("{id}/"))? + id.len();
    Some(path[..end].to_owned())
}

/// The decoded path of `id`, without the slash at its beginning, as an answer from `url` means it; none if it leads to another server.
fn path_of(id: &str, url: &str) -> Option<String> {
    let path = if is_url(id) { url::Url::parse(&same_origin(url, id)?).ok()?.path().to_owned() } else { id.to_owned() };
    Some(decoded(path.trim_matches('/')))
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_about_another_job_is_recognised() {
        let mut profile = Profile::load(None).unwrap();
        let id = "379bb927-1671-4ee2-8d49-63d9f27a2bc5";
        let url = "http://h:1/builds/7/api/json";
        let other =
            |profile: &Profile, body: &str| profile.other_job(&Document::of_body(body), [id, "/builds/7/"], url);
        assert_eq!(other(&profile, r#"{"job_id":"j1"}"#).as_deref(), Some("j1"));
        for same in [
            r#"{"job_id":"379bb927-1671-4ee2-8d49-63d9f27a2bc5"}"#,
            r#"{"job_id":"379BB92716714EE28D4963D9F27A2BC5"}"#,
            r#"{"job_id":"379BB927-1671-4EE2-8D49-63D9F27A2BC5"}"#,
            r#"{"job_id":"/jobs/379bb927-1671-4ee2-8d49-63d9f27a2bc5"}"#,
            r#"{"job_id":"/jobs/379bb92716714ee28d4963d9f27a2bc5"}"#,
            r#"{"job_id":7}"#,
            r#"{"job_id":"/builds/7/"}"#,
            r#"{"status":"done"}"#,
            r#"{"job_id":null}"#,
            r#"{"job_id":""}"#,
            r#"{"job_id":["7"],"id":7}"#,
            "no JSON",
        ] {
            assert_eq!(other(&profile, same), None, "{same}");
        }
        for form in [r#"["7"]"#, r#"{"$oid":"7"}"#, "true", "false", "[]"] {
            let told = other(&profile, &format!(r#"{{"job_id":{form}}}"#));
            assert_eq!(told, Some(format!("{form}, which is neither a text nor a number")));
        }
        profile.poll.message.push(Place::parse("/job_id/error").unwrap());
        assert_eq!(other(&profile, r#"{"job_id":{"status":"done"}}"#), None, "the answer itself, as in JSON-RPC");
        assert_eq!(other(&profile, r#"{"job_id":"j1"}"#).as_deref(), Some("j1"));
        profile.poll.id = Some(vec![]);
        assert_eq!(other(&profile, r#"{"job_id":"j1"}"#), None, "an empty poll.id turns the check off");
    }

    #[test]
    fn a_path_before_an_id_is_part_of_it_unless_the_url_explains_it() {
        let asked = "http://h:1/api/jobs/9?wait=1";
        for (found, id, url) in [
            ("9", "9", asked),
            ("9.0", "9", asked),
            ("9/", "9", asked),
            ("jobs/9", "9", asked),
            ("/jobs/9", "9", asked),
            ("/api/jobs/9/", "9", asked),
            ("http://h:1/api/jobs/9?sig=x", "9", asked),
            ("http://H:1/jobs/9", "9", asked),
            ("/jobs/9", "jobs/9", "http://h:1/graphql"),
            ("projects/p/jobs/9", "projects/p/jobs/9", "http://h:1/v1/projects/p/jobs/9:wait"),
            ("jobs/run 7", "run 7", "http://h:1/jobs/run%207/status"),
            ("/jobs/run%207", "run 7", "http://h:1/jobs/run%207/status"),
            ("9", "http://h:1/operations/9", "http://h:1/operations/9"),
            ("/operations/9", "https://h.example/operations/9", "http://h:1/operations/9"),
            ("9", "/job/x/9/", "http://h:1/job/x/9/api/json"),
        ] {
            assert!(is_id_of(found, id, url), "{found} {id} {url}");
        }
        for (found, id, url) in [
            ("team-b/9", "9", asked),
            ("projects/p/jobs/9", "9", asked),
            ("xjobs/9", "9", asked),
            ("http://elsewhere/jobs/9", "9", asked),
            ("9?x=1", "9", asked),
            ("jobs/9/logs", "9", asked),
            ("team-b/9", "team-a/9", "http://h:1/team-a/9"),
            ("tasks/9", "jobs/9", "http://h:1/jobs/9"),
            ("1", "jobs/9/attempts/1", "http://h:1/jobs/9/attempts/1"),
            ("attempts/1", "jobs/9/attempts/1", "http://h:1/jobs/9/attempts/1"),
            ("jobs/8/attempts/1", "jobs/9/attempts/1", "http://h:1/jobs/9/attempts/1"),
            ("tenants/1", "1", "http://h:1/tenants/1/jobs/1"),
            ("9", "projects/p/jobs/9", "http://h:1/projects/p/jobs/9"),
            ("/", "9", asked),
        ] {
            assert!(!is_id_of(found, id, url), "{found} {id} {url}");
        }
    }

    #[test]
    fn the_place_of_the_next_id_holds_no_id_of_this_job() {
        let mut profile = Profile::load(None).unwrap();
        assert_eq!(profile.poll_ids().len(), profile.submit.id.len());
        profile.poll.next = vec![Place::parse("/build").unwrap()];
        assert_eq!(profile.poll_ids().len(), profile.submit.id.len(), "another place");
        profile.poll.next.push(profile.submit.id[0].clone());
        assert!(profile.poll_ids().is_empty());
    }
}
