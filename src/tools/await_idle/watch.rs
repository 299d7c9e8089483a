//! The waiting: checks both sources again and again until both report an idle target.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Args;
use super::earlier_jobs::EarlierJobs;
use super::queues::Queues;
use super::state::{IdleState, Target};
use crate::cli::{Console, Failure, Io, Stop};
use crate::clock::{Clock, micro};
use crate::health;
use crate::http::Connections;
use crate::record::{Idle, Reason};
use crate::units;

/// The next check is due after this part of the time waited so far, within the two bounds.
const CHECKS_PER_WAIT: u32 = 4;
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The time after which a wait is announced in which the target was not seen to be busy.
const UNSEEN: Duration = Duration::from_secs(5);
/// The shortest timeout of a request, however short the limit is.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything needed to wait.
pub(super) struct Watch<'a> {
    target: Target,
    earlier: EarlierJobs,
    queues: Result<Queues, String>,
    limit: Duration,
    console: Console,
    stop: Stop,
    stdout: Option<BorrowedFd<'a>>,
}

impl Watch<'_> {
    /// Reads the profile and the files that the arguments name.
    pub(super) fn from_args(args: &Args, io: &Io<'_>) -> Result<Self, Failure> {
        let profile = args.target.profile()?;
        let base = args.target.base_url_or(&profile)?;
        // A scenario checks its pipe before it makes the run's directory.
        let earlier = if args.check { &[] } else { args.earlier.as_slice() };
        let mut target = args.target.clone();
        // A request that hangs must not outlast the limit by much.
        target.http.timeout = target.http.timeout.min(args.limit.max(MIN_TIMEOUT));
        Ok(Self {
            earlier: EarlierJobs::load(earlier, &args.target.set, &io.console)?,
            queues: Queues::from_args(args, &profile, io)?,
            target: Target {
                client: target.clients(&profile, Some(&base), Connections::Kept, &io.console)?.factory.client(),
                profile: profile.into(),
                base,
            },
            limit: args.limit,
            console: io.console.clone(),
            stop: io.stop.clone(),
            stdout: io.stdout_fd,
        })
    }

    /// Waits until the target is idle, the limit is over or a signal comes. It fails if nobody reads standard output any more.
    pub(super) fn wait(mut self, clock: &Clock) -> Result<Idle, Failure> {
        let (began, since) = (Instant::now(), clock.now());
        // Nothing will be submitted to an unhealthy target, so there is no reason to wait; `submit-jobs` says what to do.
        let Target { profile, base, client } = &self.target;
        let health = health::probe(client, base, profile, clock, &mut |_, _, _| None, &self.console, &self.stop);
        if let Err(unhealthy) = health {
            let what = match unhealthy.reason {
                Reason::OwnLimit => "the target's health is not known, because of a limit of this host",
                _ => "the target is not healthy",
            };
            let unseen = Some(format!("{what}: {}", unhealthy.message));
            return Ok(Idle { unseen, waited_seconds: waited(began), ..Idle::default() });
        }
        let mut announced = false;
        loop {
            let states = [
                self.earlier
                    .check(&self.target, clock, || self.stop.signal().is_some() || began.elapsed() >= self.limit),
                match &mut self.queues {
                    Ok(queues) => queues.check(clock, since),
                    Err(why) => IdleState::Unknown(why.clone()),
                },
            ];
            let left = self.limit.saturating_sub(began.elapsed());
            let may_change = states.iter().any(|state| matches!(state, IdleState::Busy(_) | IdleState::Pending(_)));
            let stopped = may_change && self.stop.signal().is_some();
            if !may_change || left.is_zero() || stopped {
                self.console.clear_progress();
                let idle = combine(&states, began, stopped);
                self.report(&idle, announced);
                return Ok(idle);
            }
            if is_gone(self.stdout)? {
                return Err(Failure::output("stdout", &std::io::ErrorKind::BrokenPipe.into()));
            }
            let unseen = || unknown_text(&states).filter(|_| began.elapsed() >= UNSEEN);
            if let (false, Some(cause)) = (announced, busy_text(&states).or_else(unseen)) {
                let limit = units::seconds(self.limit.as_secs_f64());
                self.console.say(&format!("waiting for the target to be idle, at most {limit}: {cause}"));
                announced = true;
            }
            self.console.progress(|| {
                let cause = busy_text(&states).or_else(|| unknown_text(&states)).unwrap_or_default();
                format!("waiting for the target to be idle, {} left: {cause}", units::whole(left))
            });
            let pause = (began.elapsed() / CHECKS_PER_WAIT).clamp(MIN_PAUSE, MAX_PAUSE).min(left);
            // The loop checks the signal above, with the time.
            self.stop.wait(pause);
        }
    }

    fn report(&self, idle: &Idle, announced: bool) {
        let waited = units::seconds(idle.waited_seconds);
        match idle {
            Idle { idle: Some(true), .. } if announced => {
                self.console.say(&format!("the target is idle after {waited}"));
            }
            Idle { idle: Some(true), .. } => {}
            Idle { busy: Some(busy), .. } => {
                self.console.say(&format!("the target is not idle after {waited}: {busy}; continuing"));
            }
            Idle { unseen, .. } => {
                let why = unseen.as_deref().unwrap_or_default();
                self.console.say(&format!("cannot tell whether the target is idle: {why}"));
            }
        }
    }
}

fn waited(began: Instant) -> f64 {
    micro(began.elapsed().as_secs_f64())
}

/// The verdict of all sources: idle only if every source reports idle.
fn combine(states: &[IdleState], began: Instant, stopped: bool) -> Idle {
    let busy = busy_text(states);
    let unseen = match unknown_text(states) {
        Some(unseen) if stopped => Some(format!("a signal ended the wait: {unseen}")),
        None if stopped => Some("a signal ended the wait".to_owned()),
        unseen => unseen,
    };
    let idle = match (&busy, &unseen) {
        (None, None) => Some(true),
        (Some(_), _) if !stopped => Some(false),
        _ => None,
    };
    Idle { idle, waited_seconds: waited(began), busy, unseen }
}

fn busy_text(states: &[IdleState]) -> Option<String> {
    joined(states.iter().filter_map(|state| if let IdleState::Busy(text) = state { Some(text.as_str()) } else { None }))
}

fn unknown_text(states: &[IdleState]) -> Option<String> {
    joined(states.iter().filter_map(|state| match state {
        IdleState::Pending(text) | IdleState::Unknown(text) => Some(text.as_str()),
        IdleState::Idle | IdleState::Busy(_) => None,
    }))
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let texts: Vec<&str> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// Returns true if nobody reads `output` any more.
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
    fn only_what_every_source_reports_is_idle() {
        let busy = || IdleState::Busy("b".into());
        let unseen = || IdleState::Unknown("u".into());
        let pending = || IdleState::Pending("p".into());
        for (states, idle) in [
            ([IdleState::Idle, IdleState::Idle], Some(true)),
            ([IdleState::Idle, unseen()], None),
            ([IdleState::Idle, pending()], None),
            ([busy(), unseen()], Some(false)),
            ([pending(), busy()], Some(false)),
        ] {
            assert_eq!(combine(&states, Instant::now(), false).idle, idle, "{states:?}");
        }
        let stopped = combine(&[busy(), IdleState::Idle], Instant::now(), true);
        assert_eq!((stopped.idle, stopped.busy.as_deref()), (None, Some("b")));
        assert_eq!(stopped.unseen.as_deref(), Some("a signal ended the wait"));
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
