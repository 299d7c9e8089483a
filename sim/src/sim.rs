//! A running stand-in: started, asked, and stopped by being dropped.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::log::Logs;
use crate::options::Options;
use crate::pipeline::Pipeline;
use crate::stats::Stats;
use crate::{api, server, workers};

/// A stand-in pipeline, serving on loopback from a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Sim {
    address: SocketAddr,
    logs: PathBuf,
    pipeline: Arc<Pipeline>,
    seed: u64,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Outlives the thread that writes into it, and removes the private log directory.
    _private: Option<TempDir>,
}

impl Sim {
    /// Binds `options.listen`, or a free port of 127.0.0.1, and starts to serve.
    ///
    /// Errors: the address is taken, or the log directory cannot be made; the message names which.
    pub fn start(options: Options) -> io::Result<Self> {
        let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
        let listener = server::bind(options.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))))?;
        let address = listener.local_addr()?;
        let (logs, private) = log_directory(options.logs.as_deref())?;
        let clock = Clock::new(options.faults.clock_offset);
        let writers = Logs::open(&logs, clock)?;
        let pipeline = Arc::new(Pipeline::new(options, writers, clock, seed));

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&pipeline);
        let thread = std::thread::Builder::new().name("pipeline-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                let tasks = run(served, listener);
                tokio::select! {
                    // Either a word or the end of the sender means stop.
                    _stop = stopped => {}
                    () = tasks => {}
                }
            });
        })?;
        Ok(Self { address, logs, pipeline, seed, stop: Some(stop), thread: Some(thread), _private: private })
    }

    /// Where the job API is: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The directory of the worker logs, one `<service>.log` per worker.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The seed in use, given or drawn: the same one repeats ids, times and faults.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What was seen so far.
    pub fn stats(&self) -> Stats {
        self.pipeline.stats()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            crate::complain("the serving thread panicked");
        }
    }
}

/// Serves and works until dropped. The workers go on after `--die-after`, as a broker's would.
async fn run(pipeline: Arc<Pipeline>, listener: TcpListener) {
    let router = api::router(Arc::clone(&pipeline));
    let serving = server::serve(listener, router, || pipeline.count(|counts| counts.connections += 1));
    tokio::join!(serving, workers::gpu(Arc::clone(&pipeline)), workers::io(Arc::clone(&pipeline)));
}

fn log_directory(asked: Option<&Path>) -> io::Result<(PathBuf, Option<TempDir>)> {
    let Some(dir) = asked else {
        let dir = tempfile::Builder::new().prefix("pipeline-sim-").tempdir()?;
        return Ok((dir.path().to_owned(), Some(dir)));
    };
    match std::fs::create_dir_all(dir).and_then(|()| dir.canonicalize()) {
        Ok(whole) => Ok((whole, None)),
        Err(error) => {
            let message = format!("--logs {}: {error}", dir.display());
            Err(io::Error::new(error.kind(), message))
        }
    }
}
