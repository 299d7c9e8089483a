//! Requests that tell the states of many jobs at once: a list of jobs, or the jobs whose ids the request names.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::is_error;
use super::payload::{self, Encoding};
use super::place::{Document, Place, spelled};
use super::request::{Request, RequestTemplate};
use super::rules::Condition;
use super::template::{self, Scope, TemplateValues};
use crate::escape;
use crate::http::{BaseUrl, same_origin, shown};
use crate::record::raw;

/// The word for the place where the next page begins, as the answer before it told.
const NEXT: &str = "next";

/// A request that tells the states of many jobs, page by page.
#[apply(table!)]
pub struct List {
    /// The HTTP method.
    #[serde_inline_default("GET".to_owned())]
    pub method: String,
    /// Path below the base URL; a template.
    pub path: String,
    /// Headers; values are templates.
    pub headers: BTreeMap<String, String>,
    /// The body; strings in it are templates. None sends no body.
    #[serde(deserialize_with = "payload::from_toml")]
    pub body: Option<Value>,
    /// The form in which the body is sent.
    pub encoding: Encoding,
    /// The places of the list: an array, or an object whose keys are the ids. With `*`, each of several lists.
    #[serde_with(skip_apply)]
    pub at: Vec<Place>,
    /// The places of a job's id in its entry; by default those of a poll's answer, and an object's keys.
    pub id: Option<Vec<Place>>,
    /// The places of what tells that there is another page, and where.
    pub next: Vec<Place>,
    /// The places of a value that is false, or empty, on the last page.
    pub more: Vec<Place>,
    /// The places of the number of jobs on all pages.
    pub total: Vec<Place>,
    /// The conditions without which an answer is no page of the list.
    pub when: Vec<Condition>,
    /// The most ids in one request.
    #[serde_inline_default(100)]
    pub batch: usize,
    /// The number of the first page.
    #[serde_inline_default(1)]
    pub first_page: u64,
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<'d> {
    /// The ids of the jobs on it, with their entries.
    pub entries: Vec<(String, &'d RawValue)>,
    /// The entries without an id.
    pub nameless: Vec<&'d RawValue>,
    /// The value at `next`, unless it says that there is no other page.
    pub next: Option<Value>,
    /// The value at `more` says that there is no other page.
    pub is_last: bool,
    /// The value at `total`.
    pub total: Option<u64>,
}

impl Page<'_> {
    /// The number of its entries.
    pub fn len(&self) -> usize {
        self.entries.len() + self.nameless.len()
    }

    /// Returns true if it has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The position of a page in its list.
#[derive(Clone, Debug, Default)]
pub struct PagePosition {
    /// The number of pages before it.
    pub pages: u64,
    /// The number of entries on them.
    pub entries: u64,
    /// The URL of the page before it, and what that told at `next`.
    pub link: Option<(String, Value)>,
}

impl List {
    /// Returns true if its requests name the jobs.
    pub fn names_jobs(&self) -> bool {
        self.request().has_word("ids")
    }

    /// The request for the page at `position`, about the jobs with these `ids`. The error says what cannot be filled in, or that
    /// the page is on another server.
    pub fn page_request(
        &self,
        base: &BaseUrl,
        values: &TemplateValues,
        ids: &[&str],
        position: &PagePosition,
    ) -> Result<Request, String> {
        let values = values
            .clone()
            .with("ids", ids)
            .with("offset", position.entries)
            .with("page", self.first_page + position.pages);
        match &position.link {
            Some((_, next)) if self.request().has_word(NEXT) => {
                self.request().fill(base, &values.with(NEXT, next.clone()))
            }
            Some((from, next)) if !self.counts_pages() => {
                let link = next.as_str().unwrap_or_default();
                let url = same_origin(from, link).ok_or_else(|| {
                    let shown = next.as_str().map_or_else(|| escape::start(&next.to_string(), 200), shown);
                    format!("the next page, {shown}, is not on {}: nothing is sent to another server", base.as_str())
                })?;
                self.request().fill_for(url, &values)
            }
            _ => self.first_request(base, &values),
        }
    }

    /// A request without the parts that say where the next page begins.
    fn first_request(&self, base: &BaseUrl, values: &TemplateValues) -> Result<Request, String> {
        let has_next = |text: &str| template::has_word(text, NEXT);
        let path = match self.path.split_once('?') {
            Some((path, query)) => {
                let kept: Vec<&str> = query.split('&').filter(|part| !has_next(part)).collect();
                if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
            }
            None => self.path.clone(),
        };
        let headers = self.headers.iter().filter(|(_, value)| !has_next(value));
        let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        let body = self.body.clone().map(without_next);
        let first = RequestTemplate::new(&self.method, &path, &headers, body.as_ref(), self.encoding);
        first.fill(base, values)
    }

    /// Returns true if its requests count the pages or the entries.
    fn counts_pages(&self) -> bool {
        ["offset", "page"].into_iter().any(|word| self.request().has_word(word))
    }

    /// Reads a page. `ids` are the places of a job's id in the answer to a poll. The error says why it is none.
    pub fn page<'d>(&self, document: &'d Document<'_>, ids: &[Place]) -> Result<Page<'d>, String> {
        let json = document.json().map_err(str::to_owned)?;
        if let Some(condition) = self.when.iter().find(|condition| !condition.holds(document)) {
            let place = condition.place();
            return Err(format!(
                "the condition on {place} in poll.list.when does not hold: this is no page of the list"
            ));
        }
        let is_tested =
            |name: &str| self.when.iter().any(|condition| condition.place().split('/').nth(1) == Some(name));
        if let Some((name, error)) = error_member(json).filter(|(name, _)| !is_tested(name)) {
            return Err(format!("the answer names an error, `{name}`: {}", escape::start(error, 200)));
        }
        let total = document.scalar(&self.total).and_then(|total| total.parse().ok());
        let lists = self.at.iter().map(|place| raw::pointers(json, place.as_str())).find(|found| !found.is_empty());
        let missing = || format!("nothing at {}: correct poll.list.at in the profile", spelled(&self.at));
        let (mut entries, mut nameless) = (Vec::new(), Vec::new());
        for list in lists.ok_or_else(missing)? {
            if let Some(members) = raw::members(list) {
                for (key, entry) in members {
                    let own = self.id.as_ref().and_then(|id| Document::part(entry).scalar(id));
                    entries.push((own.unwrap_or(key), entry));
                }
            } else if let Some(elements) = raw::elements(list) {
                let id = self.id.as_deref().unwrap_or(ids);
                for entry in elements {
                    let own = Document::part(entry).scalar(id).filter(|own| !own.is_empty());
                    match own {
                        Some(own) => entries.push((own, entry)),
                        None => nameless.push(entry),
                    }
                }
            } else if list.get() != "null" || !(total == Some(0) || self.total.is_empty() && !self.when.is_empty()) {
                let found = escape::start(list.get(), 60);
                return Err(format!("{found} at {} is neither a list nor an object of jobs", spelled(&self.at)));
            }
        }
        let next = document.value(&self.next).filter(|next| !is_end(next));
        let is_last = !self.more.is_empty() && document.value(&self.more).is_none_or(|more| is_end(&more));
        Ok(Page { entries, nameless, next, is_last, total })
    }

    /// Returns true if there is a page after `page`, before which there were `position.entries` entries, those of `page`
    /// among them.
    pub fn has_more(&self, page: &Page<'_>, position: &PagePosition) -> bool {
        if page.is_last {
            return false;
        }
        if !self.next.is_empty() {
            return page.next.is_some();
        }
        let is_last = page.is_empty() || page.total.is_some_and(|total| position.entries >= total);
        self.counts_pages() && !is_last
    }

    /// Checks it; the error names the key.
    pub(super) fn check(&self, ids: &[Place]) -> Result<(), String> {
        let key = "poll.list";
        if !self.path.starts_with('/') {
            return Err(format!("{key}.path = \"{}\": a path begins with `/`", self.path));
        }
        template::check(&self.path, Scope::List).map_err(|error| format!("{key}.path: {error}"))?;
        self.request().check(key, Scope::List)?;
        if let Some(place) = self.at.iter().find(|place| !place.is_in_json() || place.has_pattern()) {
            return Err(format!("{key}.at: \"{}\" is not a JSON pointer, which begins with `/`", place.as_str()));
        }
        self.when.iter().try_for_each(|condition| condition.check("poll.list.when"))?;
        let is_named = |text: &str| if self.next.is_empty() { Err(text.to_owned()) } else { Ok(()) };
        if self.request().has_word(NEXT) {
            is_named(
                "poll.list: {next} without `next`: name the places of the value that says where the next page begins",
            )?;
        }
        if !(self.total.is_empty() && self.more.is_empty()) && self.next.is_empty() && !self.counts_pages() {
            return Err("poll.list.total, poll.list.more: without `next`, and without {offset} or {page} in the request, there is no \
                        other page"
                .to_owned());
        }
        if self.batch == 0 {
            return Err("poll.list.batch = 0: a request names at least one job".to_owned());
        }
        if self.at.is_empty() {
            return Err("poll.list.at is empty: give a JSON pointer to the list of jobs".to_owned());
        }
        if self.id.as_deref().unwrap_or(ids).is_empty() {
            return Err("poll.list.id: give a JSON pointer to the id in a job's entry".to_owned());
        }
        Ok(())
    }
}

/// A body without the members and elements that say where the next page begins.
fn without_next(body: Value) -> Value {
    let stays = |value: &Value| !value.as_str().is_some_and(|text| template::has_word(text, NEXT));
    match body {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| stays(value))
                .map(|(key, value)| (key, without_next(value)))
                .collect(),
        ),
        Value::Array(elements) => Value::Array(elements.into_iter().filter(stays).map(without_next).collect()),
        other => other,
    }
}

/// The member of an answer that names an error, with its value.
fn error_member(json: &str) -> Option<(&'static str, &str)> {
    let found = |name: &'static str| Some((name, raw::pointer(json, &format!("/{name}"))?));
    let mut members = ["error", "errors"].into_iter().filter_map(found);
    members.find(|(_, error)| is_error(error)).map(|(name, error)| (name, error.get()))
}

/// Returns true if a value at `next` says that there is no other page.
fn is_end(next: &Value) -> bool {
    match next {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
