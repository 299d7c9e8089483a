//! The signal that asks a tool for its end.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Exit;

/// Tells when a signal asked for the end. The first one is for the tool to obey in its own way; the second one quits.
#[derive(Clone, Default)]
pub struct Stop {
    inner: Arc<StopInner>,
}

#[derive(Default)]
struct StopInner {
    /// Set by the signal's handler itself: whoever looks after the signal came sees it, however late a thread wakes up.
    signal: Arc<AtomicUsize>,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    told: bool,
    all: Vec<Box<dyn Fn() + Send>>,
}

impl Stop {
    /// The signal that asked for the end.
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.inner.signal.load(Ordering::SeqCst)).ok().filter(|number| *number != 0)
    }

    /// Lets the arrival of the signal `number` show in [`Stop::signal`] at once.
    pub(super) fn mark_on(&self, number: i32) -> io::Result<()> {
        let mark = usize::try_from(number).map_err(io::Error::other)?;
        signal_hook::flag::register_usize(number, Arc::clone(&self.inner.signal), mark).map(drop)
    }

    /// Calls `listener` when the signal comes, from another thread; at once where it has come already.
    pub fn on_stop(&self, listener: impl Fn() + Send + 'static) {
        let mut listeners = self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.told {
            listener();
        }
        listeners.all.push(Box::new(listener));
    }

    /// Does what the arrival of `signal` does.
    pub fn trigger(&self, signal: i32) {
        let mut listeners = self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.signal.store(usize::try_from(signal).unwrap_or_default(), Ordering::SeqCst);
        listeners.told = true;
        for listener in &listeners.all {
            listener();
        }
    }

    /// The exit of a tool whose work ended with `otherwise`, unless a signal had asked for the end.
    pub fn exit_or(&self, otherwise: Exit) -> Exit {
        self.signal().map_or(otherwise, Exit::Signal)
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stop").field(&self.signal()).finish()
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
}
