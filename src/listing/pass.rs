//! A pass over the pages of a list.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::escape;
use crate::profile::{Page, PagePosition, Request};

/// The most pages of one list; a server that never ends it is not followed for ever.
const MOST_PAGES: u64 = 10_000;
/// The most pages in a row without a new entry. An empty page may come before others; one that repeats entries may have shifted.
const MOST_EMPTY: u64 = 100;
const MOST_REPEATED: u64 = 3;

/// A pass over the list, or over one batch of ids after the other.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    /// The batches that are still to be asked for, after this one.
    pub(super) waiting: VecDeque<Vec<usize>>,
    /// The jobs that this batch asks for.
    pub(super) asked: Vec<usize>,
    pub(super) seen: HashSet<usize>,
    /// The hashes of all entries.
    pub(super) entries: HashSet<u64>,
    /// The number of entries on the pages before the last one that was read.
    pub(super) earlier: u64,
    /// The number of pages in a row without a new entry.
    pub(super) without_news: u64,
    /// The number of entries without an id, and the first of them.
    pub(super) nameless: Option<(u64, String)>,
    pub(super) position: PagePosition,
    pub(super) request: Arc<Request>,
    /// The requests of this batch, to notice pages that lead in a circle.
    pub(super) sent: HashSet<String>,
    /// Every page of this batch came from the target itself.
    pub(super) is_fresh: bool,
}

impl Pass {
    /// A pass that begins with `request`, about the jobs `asked`.
    pub(super) fn new(
        waiting: VecDeque<Vec<usize>>,
        asked: Vec<usize>,
        position: PagePosition,
        request: Arc<Request>,
        sent: HashSet<String>,
    ) -> Self {
        Self {
            waiting,
            asked,
            seen: HashSet::new(),
            entries: HashSet::new(),
            earlier: 0,
            without_news: 0,
            nameless: None,
            position,
            request,
            sent,
            is_fresh: true,
        }
    }

    /// Checks that pages bring something new, and that `page`, which is not the last one, is not one too many.
    pub(super) fn check_progress(&self, page: &Page<'_>) -> Result<(), String> {
        let pages = self.without_news;
        if pages >= if page.is_empty() { MOST_EMPTY } else { MOST_REPEATED } {
            return Err(format!("the last {pages} pages brought no new entry: the list has no end"));
        }
        if self.position.pages >= MOST_PAGES {
            return Err(format!("the list has more than {MOST_PAGES} pages"));
        }
        Ok(())
    }

    /// Counts a page and its entries.
    pub(super) fn count(&mut self, page: &Page<'_>, hasher: &RandomState) {
        let ids = page.entries.iter().map(|(id, _)| id.as_str());
        let keys = ids.chain(page.nameless.iter().map(|entry| entry.get())).map(|key| hasher.hash_one(key));
        let known = self.entries.len();
        self.entries.extend(keys);
        self.without_news = if self.entries.len() > known { 0 } else { self.without_news + 1 };
        if let Some(entry) = page.nameless.first() {
            let (count, _) = self.nameless.get_or_insert_with(|| (0, escape::start(entry.get(), 60)));
            *count += page.nameless.len() as u64;
        }
        self.earlier = self.position.entries;
        self.position.pages += 1;
        self.position.entries += page.len() as u64;
    }
}
