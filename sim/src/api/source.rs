//! Finding the file behind a source, as the workers would.

use std::fs;
use std::path::{Component, Path};

use axum::http::StatusCode;

use crate::options::Options;

/// The status and the reason with which a source is refused.
pub(super) type Refusal = (StatusCode, String);

/// The size in bytes of the file that a worker would open for this source.
///
/// 422 for a source that lies outside the worker root, lexically or through a symlink; 404 for one that is not a file there.
pub(super) fn locate(options: &Options, source: &str) -> Result<u64, Refusal> {
    let outside = || {
        let root = &options.worker_root;
        (StatusCode::UNPROCESSABLE_ENTITY, format!("source is not a path under {root}"))
    };
    let missing = || (StatusCode::NOT_FOUND, "source not found".to_owned());

    let below = Path::new(source).strip_prefix(&options.worker_root).map_err(|_| outside())?;
    if !below.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(outside());
    }
    // Local metadata takes microseconds, less than handing it to another thread would.
    let root = options.data.canonicalize().map_err(|_| missing())?;
    let file = root.join(below).canonicalize().map_err(|_| missing())?;
    if !file.starts_with(&root) {
        return Err(outside());
    }
    match fs::metadata(&file) {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_files_below_the_root_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("fixtures")).unwrap();
        fs::write(data.join("fixtures/a.webm"), b"12345").unwrap();
        fs::write(dir.path().join("secret"), b"x").unwrap();
        std::os::unix::fs::symlink("../secret", data.join("link")).unwrap();
        let options = Options { data, ..Options::default() };
        let status = |source: &str| locate(&options, source).map_err(|(status, _)| status.as_u16());

        assert_eq!(status("/data/fixtures/a.webm"), Ok(5));
        for source in ["/data/fixtures/b.webm", "/data/fixtures", "/data", "/data/fixtures/a.webm/x", "/data/a\0b"] {
            assert_eq!(status(source), Err(404), "{source:?}");
        }
        for source in ["/data/../secret", "/data/link", "/etc/passwd", "data/fixtures/a.webm", "", "https://a/b.webm"] {
            assert_eq!(status(source), Err(422), "{source:?}");
        }
    }
}
