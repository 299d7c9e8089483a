//! Redirects of a submission, where the profile lets them be followed.

use super::judge::refuses;
use super::waits::Waits;
use crate::clock::Clock;
use crate::cookies::Cookie;
use crate::http::{Answer, Client, Method, same_origin};
use crate::profile::{Profile, Request};

/// The longest chain of redirects that is followed.
const MOST_REDIRECTS: usize = 10;

/// Follows redirects of `request` to the answer that they lead to, with the `cookies` that they set on the way. If that answer cannot
/// be fetched, or refuses the job, the redirect itself is the answer, because the job may have been created before it; then what
/// came of following it is returned as well.
pub(super) fn follow(
    request: &Request,
    mut answer: Answer,
    cookies: &mut Vec<Cookie>,
    profile: &Profile,
    client: &Client,
    clock: &Clock,
    waits: &Waits,
) -> (Answer, Option<String>) {
    let mut request = request.clone();
    for _ in 0..MOST_REDIRECTS {
        match answer.status {
            307 | 308 => {}
            301..=303 => (request.method, request.body) = (Method::GET, None),
            _ => return (answer, None),
        }
        let location = answer.head.location.as_deref();
        let Some(to) = location.and_then(|location| same_origin(&request.url, location)) else { return (answer, None) };
        request.url = to;
        let place = request.place();
        match waits.send(&place, || request.send_with(Some(cookies), client, clock)) {
            Ok(Ok(next)) if refuses(&next, profile) || request.method == Method::GET && next.status >= 400 => {
                return (answer, Some(format!("{place}: {}", next.summary())));
            }
            Ok(Ok(next)) => answer = next,
            Ok(Err(error)) => return (answer, Some(format!("{place}: {error}"))),
            Err(limit) => return (answer, Some(limit)),
        }
    }
    (answer, None)
}
