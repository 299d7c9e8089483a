//! The waiting: both witnesses are asked again and again until neither has anything to say against beginning.

use std::os::fd::BorrowedFd;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Args;
use super::jobs::Jobs;
use super::queues::Queues;
use crate::cli::{Console, Failure, Io, Stop};
use crate::clock::{Clock, OffsetBounds, micro};
use crate::health;
use crate::http::{BaseUrl, Connections, Exchange};
use crate::profile::Profile;
use crate::record::Idle;
use crate::units;

/// The next look is due after this part of the time that was waited so far, within the two bounds.
const SHARE: u32 = 4;
const OFTEN: Duration = Duration::from_millis(100);
const SELDOM: Duration = Duration::from_secs(1);

/// What a witness says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing is left to be done.
    Clear,
    /// This is.
    Busy(String),
    /// Not known yet, and another look may tell.
    Pending(String),
    /// Not known, and no look will tell.
    Unseen(String),
}

/// What is needed to wait.
pub(super) struct Watch<'a> {
    profile: Profile,
    base: BaseUrl,
    exchange: Exchange,
    jobs: Jobs,
    queues: Result<Queues, String>,
    limit: Duration,
    console: Console,
    stop: Stop,
    stdout: Option<BorrowedFd<'a>>,
}

impl Watch<'_> {
    /// Reads what the arguments name.
    pub(super) fn of(args: &Args, io: &Io<'_>) -> Result<Self, Failure> {
        let profile = args.target.profile()?;
        let base = args.target.base_url_or(&profile)?;
        Ok(Self {
            jobs: Jobs::of(&args.earlier, &io.console)?,
            queues: Queues::of(args, &profile, io)?,
            exchange: args.target.http.client(Connections::Kept)?.exchange(),
            profile,
            base,
            limit: args.limit,
            console: io.console.clone(),
            stop: io.stop.clone(),
            stdout: io.stdout_fd,
        })
    }

    /// Waits until the target is idle, the limit is over or a signal comes. The error is a reader of standard output that
    /// has gone.
    pub(super) fn wait(mut self, clock: &Clock) -> Result<Idle, Failure> {
        let (began, since) = (Instant::now(), clock.now());
        // Where the target is not well nothing will be submitted, and nothing is to be waited for. `submit-jobs` says what to do.
        let well = health::ask(&self.exchange, &self.base, &self.profile, clock, &mut OffsetBounds::default());
        if let Err(unwell) = well {
            let unseen = Some(format!("the target is not well: {}", unwell.message));
            return Ok(Idle { unseen, waited_seconds: waited(began), ..Idle::default() });
        }
        let (wake, woken) = mpsc::channel();
        self.stop.on_stop(move || {
            // The receiver is gone once the waiting has ended, and that is fine.
            let _ = wake.send(());
        });
        let mut told = false;
        loop {
            let looks = [
                self.jobs.look(&self.profile, &self.base, &self.exchange, clock, || {
                    self.stop.signal().is_some() || began.elapsed() >= self.limit
                }),
                match &mut self.queues {
                    Ok(queues) => queues.look(clock, since),
                    Err(why) => Look::Unseen(why.clone()),
                },
            ];
            let left = self.limit.saturating_sub(began.elapsed());
            let hopeful = looks.iter().any(|look| matches!(look, Look::Busy(_) | Look::Pending(_)));
            let stopped = hopeful && self.stop.signal().is_some();
            if !hopeful || left.is_zero() || stopped {
                self.console.clear_progress();
                let idle = judged(&looks, began, stopped);
                self.tell(&idle, told);
                return Ok(idle);
            }
            if is_gone(self.stdout)? {
                return Err(Failure::output("stdout", &std::io::ErrorKind::BrokenPipe.into()));
            }
            if let (Some(busy), false) = (said(&looks, true), told) {
                let limit = units::seconds(self.limit.as_secs_f64());
                self.console.say(&format!("waiting for the target to be idle, {limit} at the most: {busy}"));
                told = true;
            }
            self.console.progress(|| {
                let what = said(&looks, true).or_else(|| said(&looks, false)).unwrap_or_default();
                format!("waiting for the target to be idle, {} left: {what}", units::whole(left))
            });
            let pause = (began.elapsed() / SHARE).clamp(OFTEN, SELDOM).min(left);
            // Woken early by a signal, in vain by the time that is over; both are looked at above.
            let _ = woken.recv_timeout(pause);
        }
    }

    fn tell(&self, idle: &Idle, told: bool) {
        let waited = units::seconds(idle.waited_seconds);
        match idle {
            Idle { idle: Some(true), .. } if told => self.console.say(&format!("the target is idle, after {waited}")),
            Idle { idle: Some(true), .. } => {}
            Idle { busy: Some(busy), .. } => {
                self.console.say(&format!("the target is not idle after {waited}: {busy}; going on"));
            }
            Idle { unseen, .. } => {
                let why = unseen.as_deref().unwrap_or_default();
                self.console.say(&format!("whether the target is idle is not known: {why}"));
            }
        }
    }
}

fn waited(began: Instant) -> f64 {
    micro(began.elapsed().as_secs_f64())
}

/// What the looks say together: idle only where every witness said that nothing is left.
fn judged(looks: &[Look], began: Instant, stopped: bool) -> Idle {
    let busy = said(looks, true);
    let unseen = said(looks, false);
    let unseen = match unseen {
        Some(unseen) if stopped => Some(format!("a signal ended the waiting: {unseen}")),
        None if stopped => Some("a signal ended the waiting".to_owned()),
        unseen => unseen,
    };
    let idle = match (&busy, &unseen) {
        (None, None) => Some(true),
        (Some(_), _) if !stopped => Some(false),
        _ => None,
    };
    Idle { idle, waited_seconds: waited(began), busy, unseen }
}

/// What is busy, or what is not known.
fn said(looks: &[Look], busy: bool) -> Option<String> {
    let texts = looks.iter().filter_map(|look| match look {
        Look::Busy(text) if busy => Some(text.as_str()),
        Look::Pending(text) | Look::Unseen(text) if !busy => Some(text.as_str()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// Whether nobody reads what would be written to `output`.
fn is_gone(output: Option<BorrowedFd<'_>>) -> Result<bool, Failure> {
    const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let Some(output) = output else { return Ok(false) };
    let mut watched = [PollFd::from_borrowed_fd(output, PollFlags::empty())];
    match poll(&mut watched, Some(&AT_ONCE)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)),
        Err(error) => Err(Failure::io("stdout", &error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_witness_saw_is_idle() {
        let busy = || Look::Busy("b".into());
        let unseen = || Look::Unseen("u".into());
        let pending = || Look::Pending("p".into());
        for (looks, idle) in [
            ([Look::Clear, Look::Clear], Some(true)),
            ([Look::Clear, unseen()], None),
            ([Look::Clear, pending()], None),
            ([busy(), unseen()], Some(false)),
            ([pending(), busy()], Some(false)),
        ] {
            assert_eq!(judged(&looks, Instant::now(), false).idle, idle, "{looks:?}");
        }
        let stopped = judged(&[busy(), Look::Clear], Instant::now(), true);
        assert_eq!((stopped.idle, stopped.busy.as_deref()), (None, Some("b")));
        assert_eq!(stopped.unseen.as_deref(), Some("a signal ended the waiting"));
    }

    #[test]
    fn a_reader_that_has_gone_is_seen() {
        use std::os::fd::AsFd;
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        assert!(!is_gone(Some(writer.as_fd())).unwrap());
        drop(reader);
        assert!(is_gone(Some(writer.as_fd())).unwrap());
    }
}
