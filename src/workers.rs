//! A pool of threads that block on HTTP, each with its own state, fed one task at a time.
//!
//! The pool grows only when a task is there and nobody is idle, so its size follows the number of requests that are under
//! way at once (rate times latency, by Little's law). Each worker waits on a channel of its own: a hundred threads that
//! wait on one would all wake for each task. The worker that was idle last is used first, so few connections stay warm.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Enough for an HTTP exchange with TLS; ten thousand of these are address space, not memory.
const STACK: usize = 256 * 1024;

/// Makes what a worker does with each task; called once in each worker's thread.
pub type MakeWork<T, R> = dyn Fn() -> Box<dyn FnMut(T) -> R> + Send + Sync;
/// Takes a result away, with the number of the worker that made it.
pub type Deliver<R> = dyn Fn(usize, R) + Send + Sync;

/// The pool.
pub struct Workers<T, R> {
    make: Arc<MakeWork<T, R>>,
    deliver: Arc<Deliver<R>>,
    tasks: Vec<Sender<T>>,
    idle: Vec<usize>,
    limit: usize,
}

impl<T: Send + 'static, R: 'static> Workers<T, R> {
    /// A pool of at most `limit` threads, none of them started.
    pub fn new(limit: usize, make: Arc<MakeWork<T, R>>, deliver: Arc<Deliver<R>>) -> Self {
        Self { make, deliver, tasks: Vec::new(), idle: Vec::new(), limit }
    }

    /// Gives `task` to an idle worker or to a new one. Gives it back where the limit is reached, or where the system has
    /// no thread left.
    pub fn give(&mut self, task: T) -> io::Result<Option<T>> {
        let worker = match self.idle.pop() {
            Some(worker) => worker,
            None if self.tasks.len() >= self.limit => return Ok(Some(task)),
            None => match self.start() {
                Ok(worker) => worker,
                Err(_) => return Ok(Some(task)),
            },
        };
        self.tasks[worker].send(task).map_err(|_| io::Error::other("a worker thread has died"))?;
        Ok(None)
    }

    /// Makes sure that `count` tasks would be taken now, and returns false if there are not that many threads to be had.
    pub fn reserve(&mut self, count: usize) -> bool {
        while self.idle.len() < count && self.tasks.len() < self.limit {
            match self.start() {
                Ok(worker) => self.idle.push(worker),
                Err(_) => break,
            }
        }
        self.idle.len() >= count
    }

    /// Takes note that `worker` has delivered its result.
    pub fn done(&mut self, worker: usize) {
        self.idle.push(worker);
    }

    /// Returns the number of threads that were started.
    pub fn threads(&self) -> usize {
        self.tasks.len()
    }

    fn start(&mut self) -> io::Result<usize> {
        let (sender, receiver): (Sender<T>, Receiver<T>) = channel();
        let (make, deliver, number) = (self.make.clone(), self.deliver.clone(), self.tasks.len());
        let thread = std::thread::Builder::new().name(format!("http-{number}")).stack_size(STACK);
        let started = thread.spawn(move || {
            let mut work = make();
            for task in receiver {
                deliver(number, work(task));
            }
        });
        if let Err(error) = started {
            // If some threads are running, the pool goes on with those and asks for no more.
            self.limit = if number > 0 { number } else { self.limit };
            return Err(error);
        }
        self.tasks.push(sender);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_only_while_all_are_busy_and_stops_at_the_limit() {
        let (results, finished) = channel();
        let (release, gate) = channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let make = Arc::new(move || -> Box<dyn FnMut(u32) -> u32> {
            let gate = gate.clone();
            Box::new(move |task| {
                gate.lock().unwrap().recv().unwrap();
                task * 2
            })
        });
        let deliver = Arc::new(move |worker: usize, result: u32| results.send((worker, result)).unwrap());
        let mut workers = Workers::new(2, make, deliver);
        assert_eq!(workers.give(1).unwrap(), None);
        assert_eq!(workers.give(2).unwrap(), None);
        assert_eq!(workers.give(3).unwrap(), Some(3));
        assert!(!workers.reserve(1));
        release.send(()).unwrap();
        let (worker, result) = finished.recv().unwrap();
        assert!([2, 4].contains(&result));
        workers.done(worker);
        assert_eq!(workers.give(4).unwrap(), None);
        assert_eq!(workers.threads(), 2);
        release.send(()).unwrap();
        release.send(()).unwrap();
        let mut rest = [finished.recv().unwrap().1, finished.recv().unwrap().1, result];
        rest.sort_unstable();
        assert_eq!(rest, [2, 4, 8]);
    }
}
