//! The signal that asks a tool for its end.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Exit;

/// The time for which a tool may still begin work of its own after a signal: a capture fetches as much as it can of an
/// interrupted run, but does not keep the user who pressed Ctrl-C waiting for as long as a whole capture may take.
pub const GRACE: Duration = Duration::from_secs(10);

/// The time that an answer may still take after a signal.
const MOMENT: Duration = Duration::from_secs(1);

/// Tells when a signal asked for the end. The first one is for the tool to obey in its own way; the second one quits.
#[derive(derive_more::Debug, Clone, Default)]
#[debug("Stop({:?})", self.signal())]
pub struct Stop {
    inner: Arc<StopInner>,
}

struct StopInner {
    /// Set by the signal's handler itself: whoever looks after the signal came sees it, however late a thread wakes up.
    signal: Arc<AtomicUsize>,
    listeners: Mutex<Listeners>,
    /// Woken when the listeners are told.
    told: Condvar,
    grace: Duration,
}

impl Default for StopInner {
    fn default() -> Self {
        Self { signal: Arc::default(), listeners: Mutex::default(), told: Condvar::new(), grace: GRACE }
    }
}

#[derive(Default)]
struct Listeners {
    /// The time at which the listeners were told of the first signal.
    told: Option<Instant>,
    all: Vec<Box<dyn Fn() + Send>>,
}

impl Stop {
    /// One whose [`Grace`] lasts this long.
    pub fn with_grace(grace: Duration) -> Self {
        Self { inner: Arc::new(StopInner { grace, ..StopInner::default() }) }
    }

    /// The signal that asked for the end.
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.inner.signal.load(Ordering::SeqCst)).ok().filter(|number| *number != 0)
    }

    /// Lets the arrival of the signal `number` show in [`Stop::signal`] at once.
    pub(super) fn mark_on(&self, number: i32) -> io::Result<()> {
        let mark = usize::try_from(number).map_err(io::Error::other)?;
        signal_hook::flag::register_usize(number, Arc::clone(&self.inner.signal), mark).map(drop)
    }

    /// Does `work` in another thread, and returns its result. None if it takes longer than a moment after the signal: then it is left
    /// alone.
    pub fn unless_signalled<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        let (done, result) = channel();
        let stopped = done.clone();
        std::thread::Builder::new().name("patient".to_owned()).spawn(move || {
            // Some time after a signal nobody waits for the result.
            let _ = done.send(Some(work()));
        })?;
        self.on_stop(move || drop(stopped.send(None)));
        if let Ok(Some(worked)) = result.recv() {
            return Ok(Some(worked));
        }
        // The signal may come again: that does not shorten the moment.
        let until = Instant::now() + MOMENT;
        while let Ok(message) = result.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// Calls `listener` when the signal comes, from another thread; at once where it has come already.
    pub fn on_stop(&self, listener: impl Fn() + Send + 'static) {
        let mut listeners = self.listeners();
        if listeners.told.is_some() {
            listener();
        }
        listeners.all.push(Box::new(listener));
    }

    /// Waits until the signal comes, for `most` at the most. Returns true if it has come.
    pub fn wait(&self, most: Duration) -> bool {
        let silent = |listeners: &mut Listeners| listeners.told.is_none() && self.signal().is_none();
        // A poisoned lock guards a moment and a list, and both are as good as before.
        drop(
            self.inner.told.wait_timeout_while(self.listeners(), most, silent).unwrap_or_else(PoisonError::into_inner),
        );
        self.signal().is_some()
    }

    /// The time that a tool has from the signal on, and at the earliest from now on, where it came before.
    pub fn grace(&self) -> Grace {
        Grace { stop: self.clone(), since: Instant::now() }
    }

    /// Does what the arrival of `signal` does.
    pub fn trigger(&self, signal: i32) {
        let mut listeners = self.listeners();
        // The handler may have marked another signal, which came from a user, before this thread woke up.
        let mark = usize::try_from(signal).unwrap_or_default();
        let _ = self.inner.signal.compare_exchange(0, mark, Ordering::SeqCst, Ordering::SeqCst);
        listeners.told.get_or_insert_with(Instant::now);
        for listener in &listeners.all {
            listener();
        }
        self.inner.told.notify_all();
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exit of a tool whose work ended with `otherwise`, unless a signal had asked for the end.
    pub fn exit_or(&self, otherwise: Exit) -> Exit {
        self.signal().map_or(otherwise, Exit::Signal)
    }
}

/// The time in which a tool may still begin something after a signal; without a signal it has no end.
#[derive(Clone, Debug)]
pub struct Grace {
    stop: Stop,
    since: Instant,
}

impl Grace {
    /// Returns the time that is left; none without a signal.
    pub fn left(&self) -> Option<Duration> {
        self.stop.signal()?;
        // Between the signal's handler and its thread the moment is not known yet, and nothing of the time is used up.
        let told = self.stop.listeners().told;
        let spent = told.map_or(Duration::ZERO, |told| told.max(self.since).elapsed());
        Some(self.stop.inner.grace.saturating_sub(spent))
    }

    /// The time that is left for the last words, with a fifth of the whole kept for the tools that have yet to read them; none
    /// without a signal.
    pub fn left_for_last_words(&self) -> Option<Duration> {
        self.left().map(|left| left.saturating_sub(self.stop.inner.grace / 5))
    }

    /// Returns true if nothing more may be begun.
    pub fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// `source`, which is not read any more once the time is over: then reading is an error.
    pub fn bound<R: Read>(&self, source: R) -> Bound<'_, R> {
        Bound { grace: self, source }
    }
}

/// The explanation for work that was not begun, or not finished.
pub const STOPPED: &str = "stopped by a signal";

/// A reader that ends with the grace; see [`Grace::bound`].
#[derive(Debug)]
pub struct Bound<'a, R> {
    grace: &'a Grace,
    source: R,
}

impl<R: Read> Read for Bound<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.grace.is_over() { Err(io::Error::other(STOPPED)) } else { self.source.read(buffer) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI32;

    use signal_hook::consts::SIGINT;

    use super::*;

    #[test]
    fn a_listener_that_comes_late_is_called_all_the_same() {
        let (stop, heard) = (Stop::default(), Arc::new(AtomicI32::new(0)));
        stop.trigger(SIGINT);
        let count = heard.clone();
        stop.on_stop(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!((stop.signal(), heard.load(Ordering::SeqCst)), (Some(SIGINT), 1));
        assert_eq!(stop.exit_or(Exit::Done).code(), 130);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_signal_at_once() {
        let (stop, hour) = (Stop::default(), Duration::from_secs(3600));
        assert!(!stop.wait(Duration::from_millis(1)), "nothing came");
        let began = Instant::now();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| stop.wait(hour))).collect();
            stop.trigger(SIGINT);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
        });
        assert!(stop.wait(hour), "it has come already");
        assert!(began.elapsed() < hour);
    }

    #[test]
    fn work_that_hangs_is_left_when_the_signal_comes() {
        let stop = Stop::default();
        assert_eq!(stop.unless_signalled(|| 7).unwrap(), Some(7));
        let (_never, hangs) = channel::<()>();
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| stop.unless_signalled(move || hangs.recv().is_ok()).unwrap());
            stop.trigger(SIGINT);
            waiting.join().unwrap()
        });
        assert_eq!(waiting, None);
        let again = stop.clone();
        let answers_late = move || {
            again.trigger(SIGINT);
            again.trigger(SIGINT);
            7
        };
        assert_eq!(stop.unless_signalled(answers_late).unwrap(), Some(7), "within a moment of the signal");
        assert_eq!(Stop::with_grace(Duration::from_secs(10)).grace().left_for_last_words(), None);
        assert!(stop.grace().left_for_last_words().unwrap() <= GRACE * 4 / 5);
    }

    #[test]
    fn the_grace_begins_with_the_signal_and_is_not_used_up_before_the_work_begins() {
        let hour = Duration::from_secs(3600);
        let (stop, hasty) = (Stop::with_grace(hour), Stop::with_grace(Duration::ZERO));
        let (grace, none) = (stop.grace(), hasty.grace());
        assert_eq!((grace.left(), none.left()), (None, None), "without a signal it does not end");
        assert!(!none.is_over());
        stop.trigger(SIGINT);
        hasty.trigger(SIGINT);
        assert!(grace.left().is_some_and(|left| left > Duration::ZERO) && !grace.is_over());
        assert!(none.is_over());
        assert!(stop.grace().left() >= grace.left(), "what begins later has as much time");
        let mut text = String::new();
        grace.bound(&b"ab"[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "ab");
        assert_eq!(none.bound(&b"ab"[..]).read_to_string(&mut text).unwrap_err().to_string(), STOPPED);
    }
}
