//! Worker logs, written as Python's logging module writes them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::clock::{Clock, python};
use crate::stage::Worker;

/// The two workers' log files.
#[derive(Debug)]
pub(crate) struct Logs {
    clock: Clock,
    /// By worker.
    files: [LogFile; 2],
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    /// None after a write failed: the failure was said, and the worker goes on without its log.
    file: Mutex<Option<File>>,
}

impl Logs {
    /// Opens `<service>.log` for both workers, appending as a restarted worker would.
    pub(crate) fn open(dir: &Path, clock: Clock) -> io::Result<Self> {
        let open = |worker: Worker| {
            let path = dir.join(format!("{}.log", worker.service().name()));
            let file = OpenOptions::new().create(true).append(true).open(&path);
            match file {
                Ok(file) => Ok(LogFile { path, file: Mutex::new(Some(file)) }),
                Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
            }
        };
        Ok(Self { clock, files: [open(Worker::Gpu)?, open(Worker::Io)?] })
    }

    pub(crate) fn info(&self, worker: Worker, message: &str) {
        self.write(worker, "INFO", message, "");
    }

    /// An ERROR line and the traceback that `logger.exception` puts under it.
    pub(crate) fn exception(&self, worker: Worker, message: &str, error: &str) {
        let traceback = format!(
            "Traceback (most recent call last):\n  \
               File \"/app/src/autorag/worker/consumer.py\", line 118, in handle\n    \
                 result = await self.stage.run(payload)\n             \
                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  \
               File \"/app/src/autorag/worker/stages.py\", line 64, in run\n    \
                 raise RuntimeError(reason)\n\
             RuntimeError: {error}\n"
        );
        self.write(worker, "ERROR", message, &traceback);
    }

    fn write(&self, worker: Worker, level: &str, message: &str, below: &str) {
        let log = &self.files[worker as usize];
        let text = format!("{} {level} autorag.worker {message}\n{below}", python(self.clock.now()));
        let mut file = log.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = file.as_mut().map(|file| file.write_all(text.as_bytes())) {
            *file = None;
            crate::complain(&format!("{}: {error}: nothing more is logged there", log.path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_lines_and_tracebacks_to_the_workers_own_file() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::open(dir.path(), Clock::new(chrono::TimeDelta::zero())).unwrap();
        logs.info(Worker::Io, "job=a stage=persist attempt=1 done in 0.2s");
        logs.exception(Worker::Gpu, "job=b stage=l2 attempt=3 failed", "out of memory");
        let io = std::fs::read_to_string(dir.path().join("autorag-io-worker.log")).unwrap();
        assert_eq!(&io[23..], " INFO autorag.worker job=a stage=persist attempt=1 done in 0.2s\n");
        let gpu = std::fs::read_to_string(dir.path().join("autorag-gpu-worker.log")).unwrap();
        let lines: Vec<&str> = gpu.lines().collect();
        assert!(lines[0].ends_with(" ERROR autorag.worker job=b stage=l2 attempt=3 failed"), "{gpu}");
        assert_eq!(lines[1], "Traceback (most recent call last):");
        assert!(lines[2].starts_with("  File ") && lines[3].starts_with("    result"), "{gpu}");
        assert_eq!(lines.last(), Some(&"RuntimeError: out of memory"));
    }
}
