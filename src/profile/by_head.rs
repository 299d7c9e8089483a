//! The meaning of an answer of which only the head came whole: it counts if the body could not change it.

use super::Profile;
use super::answer::PollAnswer;
use super::place::{Document, Place};
use super::rules::{self, SubmitMeaning};
use crate::http::{Answer, HttpError};

impl Profile {
    /// Returns true if the head of an answer to a submission tells what it means: whether the job was accepted and, if so, its id.
    pub fn is_judged_by_head(&self, answer: &Answer) -> bool {
        rules::places(&self.submit.rules).all(Place::is_in_head)
            && (self.submit_meaning(answer) != Some(SubmitMeaning::Accepted) || self.has_id_in_head(answer))
    }

    /// The job's id in the head of an answer to a submission, if the body could not give another one.
    pub fn id_in_head(&self, answer: &Answer) -> Option<String> {
        self.job_id(answer).filter(|_| self.has_id_in_head(answer))
    }

    /// Returns true if no place in the body comes before the first one that has an id.
    fn has_id_in_head(&self, answer: &Answer) -> bool {
        let document = Document::of(answer);
        let mut first = self.submit.id.iter().filter(|place| !place.is_in_head() || !place.find(&document).is_empty());
        first.next().is_none_or(Place::is_in_head)
    }

    /// The answer to a poll, if its body did not come whole and the profile reads nothing of it, because of the answer's status if not of
    /// the places; otherwise `error`.
    pub fn told_by_head(&self, error: HttpError) -> Result<Answer, HttpError> {
        match error {
            HttpError::Truncated { part, .. } if self.is_told_by_head(&part) => Ok(*part),
            error => Err(error),
        }
    }

    fn is_told_by_head(&self, answer: &Answer) -> bool {
        let places =
            self.places().into_iter().filter(|(key, _)| key.starts_with("poll.") && !key.starts_with("poll.list."));
        let mut read = places.map(|(_, place)| place).chain(self.poll_ids());
        rules::places(&self.poll.rules).all(Place::is_in_head)
            && (read.all(Place::is_in_head)
                || matches!(self.poll_answer(&Document::of(answer)), PollAnswer::Unknown | PollAnswer::Other))
    }
}
