//! Redirects of a submission, where the profile lets them be followed.

use super::judge::refuses;
use super::waits::Waits;
use crate::clock::Clock;
use crate::cookies::Cookie;
use crate::http::{Answer, Client, Method, same_origin, shown};
use crate::profile::{Profile, Request};

/// The longest chain of redirects that is followed.
const MOST_REDIRECTS: usize = 10;

/// Follows redirects of `request` to the answer that they lead to, with the `cookies` that they set on the way. If that answer cannot
/// be fetched, or refuses the job, the redirect itself is the answer, because the job may have been created before it; then what
/// came of following it, or why it is not followed, is returned as well.
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
    let mut visited = Vec::new();
    loop {
        let from = place(&request);
        visited.push((request.method.clone(), request.url.clone()));
        match answer.status {
            307 | 308 => {}
            301..=303 => (request.method, request.body) = (Method::GET, None),
            _ => return (answer, None),
        }
        let Some(location) = answer.head.location.as_deref() else {
            return (answer, Some(format!("the redirect from {from} has no Location")));
        };
        let Some(to) = same_origin(&request.url, location) else {
            let what = "the URL is on another origin, or names a user";
            return (answer, Some(format!("the redirect from {from} is not followed: {what}")));
        };
        request.url = to;
        let place = place(&request);
        if visited.len() > MOST_REDIRECTS {
            let is_circle = visited.contains(&(request.method, request.url));
            let what = if is_circle { "they lead in a circle" } else { "no more are followed" };
            return (
                answer,
                Some(format!("{MOST_REDIRECTS} redirects were followed, and {from} leads to {place}: {what}")),
            );
        }
        match waits.send(&place, || request.send_with(Some(cookies), client, clock)) {
            Ok(Ok(next)) if refuses(&next, profile) || request.method == Method::GET && next.status >= 400 => {
                return (answer, Some(format!("{place}: {}", next.summary())));
            }
            Ok(Ok(next)) => answer = next,
            Ok(Err(error)) => return (answer, Some(format!("{place}: {error}"))),
            Err(limit) => return (answer, Some(limit)),
        }
    }
}

/// The place of `request`, whose URL may be the target's.
fn place(request: &Request) -> String {
    format!("{} {}", request.method, shown(&request.url))
}
