use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use super::*;
use crate::cli::Stop;
use crate::record::{Key, Kind};

const URL: &str = "http://h/jobs";

fn key(name: &str) -> Key {
    Key { kind: Kind::Job, run: "r".to_owned(), name: name.to_owned() }
}

fn headers(list: &[&str]) -> Vec<String> {
    list.iter().map(|header| (*header).to_owned()).collect()
}

fn now() -> Timestamp {
    Clock::system().now()
}

/// The time of an answer without a `Date`.
fn undated(now: Timestamp) -> AnsweredAt {
    AnsweredAt { now, date: None }
}

fn set(list: &[&str], url: &str) -> Vec<Cookie> {
    let mut cookies = Vec::new();
    take(&mut cookies, &headers(list), url, undated(now()));
    cookies
}

fn ended(names: &[&str]) -> HashSet<Key> {
    names.iter().map(|name| key(name)).collect()
}

fn sent(cookies: &[Cookie], url: &str) -> String {
    header(&for_url(cookies, url), &Clock::system()).map_or(String::new(), |value| String::from_utf8(value).unwrap())
}

/// What a new process reads of the job `name`.
fn saved(path: &Path, name: &str) -> String {
    let mut jar = CookieJar::new(path, &Stop::default());
    jar.read().unwrap();
    sent(jar.of(&key(name)), "http://h/jobs/1")
}

#[test]
fn cookies_are_kept_by_job_and_path_and_only_the_owner_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookies");
    let mut jar = CookieJar::new(&path, &Stop::default());
    jar.read().unwrap();
    assert_eq!((jar.of(&key("a")).len(), jar.why_none(&key("a"))), (0, Some("is missing")));
    let mut writer = CookieWriter::new(&path, &Stop::default()).unwrap();
    assert!(!path.exists(), "no cookie came");
    let given = set(&["LB=n1; Path=/; HttpOnly", "other=x; Path=/admin", "gone=1; Max-Age=0", "no pair"], URL);
    assert_eq!(names(&given), "LB, other");
    writer.keep(&key("a"), given).unwrap();
    writer.keep(&key("c"), set(&["s=1", "t=2"], "http://h/v1/tasks")).unwrap();
    jar.read().unwrap();
    assert_eq!(sent(jar.of(&key("a")), "http://h/jobs/1"), "LB=n1");
    assert_eq!(sent(jar.of(&key("c")), "http://h/v1/tasks/7?x"), "s=1; t=2");
    assert_eq!(sent(jar.of(&key("c")), "http://h/v12/7"), "");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((jar.why_none(&key("a")), jar.why_none(&key("d"))), (None, Some("does not hold them")));
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{before}{{\"run\":")).unwrap();
    let mut torn = CookieJar::new(&path, &Stop::default());
    torn.read().unwrap();
    assert_eq!(torn.why_none(&key("d")), Some("ends in a line that was cut off"));
    torn.delete(&ended(&["a", "c"])).unwrap();
    assert!(path.exists(), "the line that was cut off may be another job's");
    fs::write(&path, before).unwrap();
    let known = |names: &[&str]| {
        CookieJar::new(&path, &Stop::default()).delete(&ended(names)).unwrap();
        path.exists()
    };
    assert!(known(&[]) && known(&["a"]) && known(&["a", "b"]), "a job of it still runs");
    assert!(!known(&["a", "b", "c"]) && !known(&["a"]), "it is deleted, and no new one is made");
}

#[test]
fn a_file_that_was_there_is_closed_to_others_before_a_cookie_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookies");
    fs::write(&path, "").unwrap();
    for mode in [0o644, 0o660, 0o600] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        CookieWriter::new(&path, &Stop::default()).unwrap().keep(&key("a"), set(&["LB=n1"], URL)).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{mode:o}");
    }
}

#[test]
fn attributes_are_obeyed_and_the_last_of_a_name_counts() {
    let sent = |url: &str, headers: &[&str]| sent(&set(headers, url), url);
    let (plain, tls) = ("http://lb.example.org/jobs", "https://lb.example.org/jobs");
    assert_eq!(sent(plain, &["LB=1", "LB=2"]), "LB=2");
    assert_eq!(sent(plain, &["LB=1", "LB=2; Path=/jobs"]), "LB=2; LB=1", "the longer path comes first");
    assert_eq!(sent(plain, &["a=1", "b=1", "a=2"]), "a=2; b=1", "a new value keeps its place");
    assert_eq!(sent(plain, &["LB=1", "LB=; Max-Age=0"]), "");
    assert_eq!(sent(plain, &["LB=1", "LB=; Expires=Sun, 06 Nov 1994 08:49:37 GMT"]), "");
    assert_eq!((sent(plain, &["s=1; Secure"]), sent(tls, &["s=1; Secure"])), (String::new(), "s=1".to_owned()));
    assert_eq!(sent(plain, &["a=1; Domain=example.org", "b=1; Domain=.lb.example.org"]), "a=1; b=1");
    assert_eq!(sent(plain, &["a=1; Domain=ample.org", "b=1; Domain=other.org"]), "");
    assert_eq!(sent("http://127.0.0.1:1/jobs", &["a=1; Domain=example.org", "b=1; Domain=127.0.0.1"]), "b=1");
    assert_eq!(sent(plain, &["a=1; Max-Age=99999999999999"]), "a=1");
    assert_eq!(sent(plain, &["a=1", &format!("b={}", "x".repeat(17_000))]), "a=1");
    assert_eq!(sent(plain, &["a=1", "a=; Expires=Thu, 01-Jan-1970 00:00:00 GMT"]), "");
    assert_eq!(
        sent(plain, &["a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Expires=never"]),
        "",
        "what is no date is ignored"
    );
}

#[test]
fn blanks_around_a_name_and_a_value_are_not_part_of_them() {
    let given = set(&["\tnode =  n 1 ; Path = / ", "e=", " =x", "node= n 2; Path=/"], URL);
    assert_eq!((sent(&given, URL), names(&given)), ("node=n 2; e=".to_owned(), "node, e".to_owned()));
}

#[test]
fn a_cookie_is_sent_until_it_expires() {
    let clock = Clock::system();
    let mut cookies = set(&["a=1; Max-Age=60", "b=2"], URL);
    assert_eq!(header(&cookies, &clock).unwrap(), b"a=1; b=2");
    cookies[0].expires = Some(clock.now().shifted(-0.001));
    assert_eq!(header(&cookies, &clock).unwrap(), b"b=2");
}

#[test]
fn no_job_has_more_cookies_than_a_browser_would_keep() {
    let many: Vec<String> = (0..200).map(|number| format!("c{number}={number}")).collect();
    let mut cookies = Vec::new();
    many.chunks(7).for_each(|some| take(&mut cookies, some, URL, undated(now())));
    assert_eq!((cookies.len(), cookies[1].name(), cookies[179].name()), (180, "c21", "c199"));
    let why = why_unkept(&cookies).unwrap();
    assert!(why.contains("more than 180: ") && why.contains("c0"), "{why}");
    let header = header(&for_url(&cookies, URL), &Clock::system()).unwrap();
    assert!(header.starts_with(b"c21=21; c22=22"), "{}", String::from_utf8_lossy(&header));
    assert_eq!(why_unkept(&cookies[1..]), None);
}

#[test]
fn what_an_answer_to_a_poll_changes_is_in_the_file_and_what_it_repeats_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookies");
    let mut writer = CookieWriter::new(&path, &Stop::default()).unwrap();
    writer.keep(&key("a"), set(&["LB=n1; Path=/"], URL)).unwrap();
    let mut jar = CookieJar::new(&path, &Stop::default());
    jar.read().unwrap();
    let poll = "http://h/jobs/1";
    let update = |jar: &mut CookieJar, name: &str, header: &str, now: Timestamp| {
        let before = path.metadata().unwrap().len();
        let (is_changed, saved) = jar.update(&key(name), &headers(&[header]), poll, undated(now));
        saved.unwrap();
        (is_changed, path.metadata().unwrap().len() > before)
    };
    let at = now();
    assert_eq!(update(&mut jar, "a", "LB=n1; Path=/", at), (false, false));
    assert_eq!(update(&mut jar, "a", "LB=n2; Path=/", at), (true, true));
    assert_eq!(saved(&path, "a"), "LB=n2");
    // Of two with one name, a server takes the first.
    assert_eq!(update(&mut jar, "a", "LB=n3", at), (true, true));
    assert_eq!(saved(&path, "a"), "LB=n3; LB=n2");
    assert_eq!(update(&mut jar, "a", "LB=; Max-Age=0", at), (true, true));
    assert_eq!(update(&mut jar, "a", "LB=x; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", at), (true, true));
    assert_eq!((saved(&path, "a").as_str(), jar.why_none(&key("a"))), ("", None));
    // A time that every answer extends is written when half of it is over.
    let renewals: Vec<_> =
        (0..100).map(|second| update(&mut jar, "b", "s=1; Max-Age=60", at.shifted(f64::from(second)))).collect();
    assert!(renewals.iter().all(|(is_changed, _)| *is_changed));
    assert_eq!(renewals.iter().filter(|(_, is_written)| *is_written).count(), 4);
    assert_eq!(update(&mut jar, "b", "s=1; Max-Age=5", at.shifted(100.0)), (true, true), "a shorter time at once");
    // Both processes write to it, and each line is whole.
    writer.keep(&key("c"), set(&["LB=n7"], URL)).unwrap();
    jar.read().unwrap();
    assert_eq!((saved(&path, "c"), sent(jar.of(&key("c")), poll)), ("LB=n7".to_owned(), "LB=n7".to_owned()));
}

#[test]
fn a_new_cookie_with_every_poll_does_not_make_the_file_grow_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (dir.path().join("link"), dir.path().join("cookies"));
    fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut writer = CookieWriter::new(&link, &Stop::default()).unwrap();
    fs::write(&path, "no cookies\n").unwrap();
    let mut jar = CookieJar::new(&link, &Stop::default());
    jar.read().unwrap();
    let long = "x".repeat(4000);
    for number in 0..2000 {
        let header = format!("session={number}{long}");
        jar.update(&key(&format!("j{}", number % 3)), &[header], "http://h/jobs/1", undated(now())).1.unwrap();
        if number == 1000 {
            writer.keep(&key("submitted"), set(&["LB=n1"], URL)).unwrap();
        }
    }
    assert!(path.metadata().unwrap().len() < 2 << 20, "{}", path.metadata().unwrap().len());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&path).unwrap().starts_with("no cookies\n"), "a line that is not ours stays");
    assert!(link.is_symlink() && fs::read_dir(&dir).unwrap().count() == 2, "nothing else is left");
    // The file was replaced meanwhile: the next submission goes to the new one.
    writer.keep(&key("late"), set(&["LB=n2"], URL)).unwrap();
    assert_eq!((saved(&link, "submitted").as_str(), saved(&link, "late").as_str()), ("LB=n1", "LB=n2"));
    assert!(saved(&link, "j1").starts_with("session=1999x"), "{}", &saved(&link, "j1")[..20]);
}

#[test]
fn lines_that_hold_no_cookies_are_named_and_kept_and_the_others_count() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookies");
    CookieWriter::new(&path, &Stop::default()).unwrap().keep(&key("a"), set(&["LB=n1"], URL)).unwrap();
    let good = fs::read(&path).unwrap();
    for (bad, named) in [
        (&b"[1, 2]"[..], "line 2: not a line that submit-jobs or poll-jobs wrote"),
        (b"hello SECRET", "line 2: not JSON after 0 bytes"),
        (b"\x00\xff\xfe", "line 2: not JSON after 0 bytes"),
        (b"", "line 2: empty"),
        (&good[..30], "line 2: cut off"),
        (b"{", "line 2: cut off"),
        (b"{\"token\": \"SECRET", "line 2: not JSON after 16 bytes"),
    ] {
        fs::write(&path, [&good, bad, b"\n"].concat()).unwrap();
        let mut jar = CookieJar::new(&path, &Stop::default());
        jar.read().unwrap();
        assert_eq!(jar.take_foreign().as_deref(), Some(named));
        assert_eq!((jar.take_foreign(), jar.has_foreign_lines()), (None, true));
        assert_eq!(jar.why_none(&key("b")), Some("holds lines that are not cookies"));
        assert_eq!(saved(&path, "a"), "LB=n1");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let refused = CookieWriter::new(&path, &Stop::default()).unwrap_err();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644, "it may be anything");
        assert_eq!(refused.exit().code(), 65);
        assert!(refused.message().unwrap().contains(named), "{refused:?}");
        jar.delete(&ended(&["a"])).unwrap();
        assert!(path.exists(), "it is not all ours");
    }
    // Without a line end, the beginning of a line is left for its writer, and anything else is a line of its own.
    for (bad, is_foreign) in
        [(&good[..30], false), (b"{\"r", false), (b"\0\0\0", true), (b"# remark", true), (b"{\"x\":", true)]
    {
        fs::write(&path, [&good, bad].concat()).unwrap();
        let mut jar = CookieJar::new(&path, &Stop::default());
        jar.read().unwrap();
        jar.read().unwrap();
        assert_eq!(
            (jar.has_foreign_lines(), CookieWriter::new(&path, &Stop::default()).is_err()),
            (is_foreign, is_foreign),
            "{bad:?}"
        );
        assert_eq!(jar.take_foreign().is_some(), is_foreign);
        jar.update(&key("b"), &headers(&["LB=n2"]), URL, undated(now())).1.unwrap();
        let held = fs::read(&path).unwrap();
        let kept = if is_foreign { [bad, b"\n"].concat() } else { Vec::new() };
        assert!(held.starts_with(&[&good[..], &kept, b"{\"run\""].concat()), "{:?}", String::from_utf8_lossy(&held));
        assert_eq!((saved(&path, "a").as_str(), saved(&path, "b").as_str()), ("LB=n1", "LB=n2"));
        jar.delete(&ended(&["a", "b"])).unwrap();
        assert_eq!(path.exists(), is_foreign);
    }
}

#[test]
fn a_line_that_was_cut_off_gives_way_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookies");
    let mut writer = CookieWriter::new(&path, &Stop::default()).unwrap();
    writer.keep(&key("a"), set(&["LB=n1"], URL)).unwrap();
    let good = fs::read(&path).unwrap();
    fs::write(&path, [&good[..], &good[..20]].concat()).unwrap();
    let mut jar = CookieJar::new(&path, &Stop::default());
    jar.read().unwrap();
    assert_eq!(jar.why_none(&key("c")), Some("ends in a line that was cut off"));
    CookieWriter::new(&path, &Stop::default()).unwrap().keep(&key("b"), set(&["LB=n2"], URL)).unwrap();
    jar.read().unwrap();
    assert!(!jar.has_foreign_lines() && saved(&path, "a") == "LB=n1" && saved(&path, "b") == "LB=n2");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn an_expiry_is_by_the_clock_of_the_target() {
    let now = now();
    // The target's clock shows noon, whatever ours does.
    let noon = crate::clock::http_date("Sun, 08 Nov 2026 12:00:00 GMT").unwrap();
    let left = |age_seconds: Option<u32>, attributes: &str| {
        let mut cookies = set(&["LB=old"], URL);
        let at = AnsweredAt { now, date: Some(ServerDate { date: noon, age_seconds }) };
        take(&mut cookies, &headers(&[&format!("LB=new; {attributes}")]), URL, at);
        cookies.first().map(|cookie| cookie.expires.unwrap().since(now))
    };
    assert_eq!(left(None, "Expires=Sun, 08 Nov 2026 12:10:00 GMT"), Some(600.0));
    assert_eq!(left(Some(90), "Expires=Sun, 08 Nov 2026 12:10:00 GMT"), Some(510.0), "a cache held the answer");
    assert_eq!(left(None, "Expires=Sun, 08 Nov 2026 11:59:59 GMT"), None, "the cookie is deleted");
    assert_eq!(left(Some(1), "Expires=Sun, 08 Nov 2026 12:00:01 GMT"), None);
    assert_eq!(left(None, "Expires=Sun, 08 Nov 2026 11:00:00 GMT; Max-Age=30"), Some(30.0));
    assert_eq!(left(None, "Expires=Fri, 31 Dec 9999 23:59:59 GMT"), Some(FOR_EVER as f64));
    assert_eq!(left(None, "Expires=Thu, 01 Jan 1970 00:00:00 GMT"), None);
}

#[test]
fn a_locked_file_is_named_after_a_while_and_then_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookies");
    let mut jar = CookieJar::new(&path, &Stop::default());
    let mut update = |value: &str| jar.update(&key("a"), &headers(&[value]), URL, undated(now())).1;
    update("LB=n1").unwrap();
    let other = fs::File::open(&path).unwrap();
    other.lock().unwrap();
    let began = Instant::now();
    for value in ["LB=n2", "LB=n3", "LB=n4"] {
        let refused = update(value).unwrap_err();
        assert_eq!(refused.exit().code(), 74);
        let message = refused.message().unwrap();
        assert!(message.contains("cookies: another process keeps it locked: end that process"), "{message}");
    }
    assert!((5.0..9.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    let stop = Stop::default();
    let (mut interrupted, began) = (CookieJar::new(&path, &stop), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| stop.trigger(15));
        assert!(interrupted.update(&key("b"), &headers(&["LB=n9"]), URL, undated(now())).1.is_err());
    });
    assert!(began.elapsed().as_secs_f64() < 3.0, "a signal ends the wait: {:?}", began.elapsed());
    other.unlock().unwrap();
    update("LB=n5").unwrap();
    assert_eq!(saved(&path, "a"), "LB=n5");
}

#[test]
fn only_a_regular_file_that_is_not_the_journal_holds_cookies() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::write(at("file"), "").unwrap();
    fs::hard_link(at("file"), at("same")).unwrap();
    fs::write(at("other"), "").unwrap();
    std::os::unix::fs::symlink(at("socket"), at("link")).unwrap();
    let refused = |cookies: &str, journal: &str| {
        let failure = check_file(Some(&at(cookies)), Some(&dir.path().join(journal))).err()?;
        assert_eq!(failure.exit().code(), 2);
        failure.message().map(str::to_owned)
    };
    for odd in ["socket", "link", ""] {
        let message = refused(odd, "new").unwrap();
        assert!(message.contains(": not a regular file; name a file of cookies"), "{odd}: {message}");
    }
    for (cookies, journal) in [("file", "file"), ("file", "same"), ("new", "new"), ("new", "./new")] {
        let message = refused(cookies, journal).unwrap();
        assert!(message.contains("also the file of --journal; name two files"), "{cookies} {journal}: {message}");
    }
    for (cookies, journal) in [("file", "other"), ("new", "newer"), ("file", "new"), ("new", "file")] {
        assert_eq!(refused(cookies, journal), None, "{cookies} {journal}");
    }
    assert!(check_file(None, Some(&at("socket"))).is_ok() && at("socket").exists());
}
