//! The look-up of one job in the list.

use super::{Absence, Listing, Missing, Progress};
use crate::clock::Clock;
use crate::http::{Answer, Client, HttpError};
use crate::profile::Request;

/// The list's answer about one job.
#[derive(Debug)]
pub enum Sight {
    /// Its entry, as the answer to a poll of its own.
    Told(Box<Answer>),
    /// Two whole lists, one of which skipped nothing, or an answer about this job alone, lack it.
    Missing,
}

/// The reason why the list told nothing of a job.
#[derive(Debug)]
pub enum LookUpError {
    /// A request cannot be made, or a page cannot be read.
    Page(String),
    /// No answer came from this place.
    Http(String, HttpError),
}

/// The most passes of a look-up: the third tells whether the second skipped anything.
const PASSES: usize = 3;

/// Looks one job up, in a few passes. Calls `watch` with each request and its answer.
pub fn look_up(
    mut listing: Listing,
    id: &str,
    client: &Client,
    clock: &Clock,
    watch: &mut dyn FnMut(&Request, &Answer),
) -> Result<Sight, LookUpError> {
    listing.add(0, id);
    let (mut missed, mut is_proven) = (0, false);
    for _ in 0..PASSES {
        listing.begin().map_err(LookUpError::Page)?;
        while let Some(request) = listing.next_request().cloned() {
            let answer = request.send(client, clock);
            let answer = answer.map_err(|error| LookUpError::Http(request.place(), error))?;
            watch(&request, &answer);
            let failed = |why: String| LookUpError::Page(format!("{}: {why}", request.place()));
            let mut unknown = Progress::default();
            if listing.take_unknown(&answer, &mut unknown) && !unknown.missing.is_empty() {
                return Ok(Sight::Missing);
            }
            if !(200..300).contains(&answer.status) {
                return Err(failed(answer.summary()));
            }
            let Progress { mut entries, missing, failure, .. } = listing.take(&answer);
            match (entries.pop(), missing.first(), failure) {
                (Some((_, Ok(body))), ..) => return Ok(Sight::Told(Box::new(Answer { body, ..answer }))),
                (Some((_, Err(why))), ..) | (None, _, Some((why, _))) => return Err(failed(why)),
                (None, Some(Missing { absence: Absence::Direct, .. }), None) => return Ok(Sight::Missing),
                (None, ..) => {
                    missed += missing.len();
                    is_proven |= missing.iter().any(|missing| missing.absence == Absence::Proven);
                }
            }
        }
        if missed >= 2 && is_proven {
            return Ok(Sight::Missing);
        }
    }
    Err(LookUpError::Page(match missed {
        0 => "a cache answered for the target".to_owned(),
        _ => "the list lacks it, but may have skipped it: entries left the list while it was read".to_owned(),
    }))
}
