//! Credentials that expire, shared by the tools of a pipe, and client certificates.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use stress_suite::clock::Clock;
use stress_suite::tools::{poll_jobs, submit_jobs};

use crate::server::{Reply, Request, Server};
use crate::support::{Ran, tool};

/// The client's secret: no test may change the environment, and this variable is always there.
const SECRET: &str = "PATH";

const PROFILE: &str = r#"
name = "guarded"
target = "http://localhost:9"
[health]
path = "/health"
[token]
path = "{TOKEN_URL}"
encoding = "form"
body = { grant_type = "client_credentials", client_id = "{set.client}", client_secret = "{env.PATH}" }
[submit]
path = "/jobs"
id = ["/id"]
[poll]
path = "/jobs/{id}"
status = ["/state"]
[poll.words]
running = ["running"]
done = ["done"]
"#;

/// What the target and its authorization server know.
#[derive(Default)]
struct Issuer {
    /// The tokens with the times at which they were issued; the last one alone is good.
    issued: Vec<(String, Instant)>,
    issued_at: Vec<String>,
    refused: Vec<String>,
    /// The time after which a token is refused.
    lifetime: Option<Duration>,
    /// The `expires_in` of answers.
    expires_in: Option<f64>,
    /// The time that an answer takes.
    delay: Duration,
    /// The number of tokens after which no more are issued.
    at_most: Option<usize>,
    /// Tokens are refused whatever they are.
    is_closed: bool,
}

struct Rig {
    dir: tempfile::TempDir,
    server: Server,
    issuer: Arc<Mutex<Issuer>>,
}

impl Rig {
    fn new(issuer: Issuer, runs_for: Duration) -> Self {
        let (dir, issuer) = (tempfile::tempdir().unwrap(), Arc::new(Mutex::new(issuer)));
        let (shared, began) = (issuer.clone(), Mutex::new(None::<Instant>));
        let server = Server::new(move |request| match (&*request.method, &*request.path) {
            (_, "/token") => issue(&shared, request),
            _ if !is_good(&shared, request) => Reply::new(401, r#"{"detail":"no"}"#),
            (_, "/health") => Reply::json("{}"),
            ("POST", _) => Reply::json(r#"{"id":7}"#),
            _ => {
                let began = *began.lock().unwrap().get_or_insert_with(Instant::now);
                let state = if began.elapsed() > runs_for { "done" } else { "running" };
                Reply::json(json!({"id": 7, "state": state}).to_string())
            }
        });
        let rig = Self { dir, server, issuer };
        rig.write_profile("/token");
        rig
    }

    fn write_profile(&self, token_url: &str) {
        std::fs::write(self.dir.path().join("p.toml"), PROFILE.replace("{TOKEN_URL}", token_url)).unwrap();
    }

    fn token_file(&self) -> PathBuf {
        self.dir.path().join("token")
    }

    fn argv(&self, argv: &[&str]) -> Vec<String> {
        let (profile, token) = (self.dir.path().join("p.toml"), self.token_file());
        let (url, profile, token) = (self.server.url(), profile.display().to_string(), token.display().to_string());
        let fixed = ["--target", &url, "--profile", &profile];
        let defaults = [("--set", "client=c1"), ("--token-file", &token)];
        let defaults =
            defaults.into_iter().filter(|(flag, _)| !argv.contains(flag)).flat_map(|(flag, value)| [flag, value]);
        let fixed = fixed.into_iter().chain(defaults).map(str::to_owned);
        fixed.chain(argv.iter().map(|&word| word.to_owned())).collect()
    }

    fn submit(&self, argv: &[&str]) -> Ran {
        let argv = self.argv(argv);
        let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "j", "run": "r1"}, "status": {"phase": "Staged"}});
        clean(tool(submit_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), &format!("{job}\n")))
    }

    fn poll(&self, records: &str, argv: &[&str]) -> Ran {
        let argv = self.argv(&[&["--min-interval", "20ms", "--max-interval", "50ms"], argv].concat());
        let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "run", "run": "r1"}, "spec": {"jobs": 1}});
        let records = format!("{run}\n{records}");
        clean(tool(poll_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), &records))
    }

    fn issued(&self) -> usize {
        self.issuer.lock().unwrap().issued.len()
    }
}

/// Checks that nothing which a tool printed is a secret.
fn clean(ran: Ran) -> Ran {
    let secret = std::env::var(SECRET).unwrap();
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(&secret) && !text.contains("t0ken-"), "{text}");
    }
    ran
}

fn issue(issuer: &Mutex<Issuer>, request: &Request) -> Reply {
    let mut issuer = issuer.lock().unwrap();
    let good = ["c1", "c2"].contains(&request.value("client_id"))
        && request.value("client_secret") == std::env::var(SECRET).unwrap();
    if !good || request.value("grant_type") != "client_credentials" {
        return Reply::new(
            400,
            format!(r#"{{"error":"invalid_client","error_description":"{}"}}"#, request.value("client_secret")),
        );
    }
    if issuer.at_most.is_some_and(|most| issuer.issued.len() >= most) {
        return Reply::new(503, r#"{"error":"temporarily_unavailable"}"#);
    }
    std::thread::sleep(issuer.delay);
    let token = format!("t0ken-{}", issuer.issued.len() + 1);
    issuer.issued.push((token.clone(), Instant::now()));
    issuer.issued_at.push(Clock::system().now().to_string());
    let mut answer = json!({"access_token": token, "token_type": "Bearer"});
    if let Some(seconds) = issuer.expires_in {
        answer["expires_in"] = json!(seconds);
    }
    Reply::json(answer.to_string())
}

fn is_good(issuer: &Mutex<Issuer>, request: &Request) -> bool {
    let mut issuer = issuer.lock().unwrap();
    let sent = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let lifetime = issuer.lifetime.unwrap_or(Duration::MAX);
    let good = issuer.issued.last().filter(|(_, at)| at.elapsed() < lifetime).map(|(token, _)| token.as_str());
    let is_good = sent.is_some() && sent == good && !issuer.is_closed;
    if !is_good {
        let refused = format!("{} {} {sent:?}", request.method, request.path);
        issuer.refused.push(refused);
    }
    is_good
}

/// Makes the token in the file look as old as a minute.
fn age_token(rig: &Rig) {
    let mut held: Value = serde_json::from_str(&std::fs::read_to_string(rig.token_file()).unwrap()).unwrap();
    held["obtained"] = json!(Clock::system().now().shifted(-60.0).to_string());
    std::fs::write(rig.token_file(), held.to_string()).unwrap();
}

#[test]
fn the_tools_of_a_pipe_share_one_token_in_a_file_that_only_its_owner_reads() {
    let rig = Rig::new(Issuer::default(), Duration::ZERO);
    std::fs::write(rig.token_file(), "").unwrap();
    std::fs::set_permissions(rig.token_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let submitted = rig.submit(&[]);
    assert_eq!(submitted.last("j")["status"]["phase"], "Submitted", "{}", submitted.stderr);
    assert_eq!(rig.token_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let polled = rig.poll(&submitted.stdout, &[]);
    assert_eq!(polled.last("j")["status"]["phase"], "Succeeded", "{}", polled.stderr);
    assert_eq!((rig.issued(), rig.issuer.lock().unwrap().refused.len()), (1, 0));
    assert!(!rig.token_file().exists(), "the last tool that needs it deletes it");
}

#[test]
fn two_processes_that_need_a_token_at_once_request_one() {
    let rig = Rig::new(Issuer { delay: Duration::from_millis(200), ..Issuer::default() }, Duration::from_millis(500));
    let argv = rig.argv(&["--min-interval", "20ms", "--max-interval", "50ms"]);
    let now = Clock::system().now().to_string();
    let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "j", "run": "r1"}, "status": {"phase": "Submitted", "jobId": "7", "submittedAt": now}});
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let (argv, job) = (argv.clone(), job.clone());
            std::thread::spawn(move || {
                tool(poll_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), &format!("{job}\n"))
            })
        })
        .collect();
    for run in runs {
        let ran = clean(run.join().unwrap());
        assert_eq!(ran.last("j")["status"]["phase"], "Succeeded", "{}", ran.stderr);
    }
    assert_eq!((rig.issued(), rig.issuer.lock().unwrap().refused.len()), (1, 0));
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let issuer = Issuer { lifetime: Some(Duration::from_secs(1)), expires_in: Some(1.0), ..Issuer::default() };
    let rig = Rig::new(issuer, Duration::from_millis(2500));
    let polled = rig.poll(&rig.submit(&[]).stdout, &[]);
    assert_eq!(polled.last("j")["status"]["phase"], "Succeeded", "{}", polled.stderr);
    let issuer = rig.issuer.lock().unwrap();
    assert!((3..=5).contains(&issuer.issued.len()), "{:?}", issuer.issued);
    assert_eq!(issuer.refused, [""; 0], "no request went out with a token that had expired");
}

#[test]
fn a_renewal_ahead_of_time_that_fails_is_told_and_the_old_token_is_used() {
    let issuer = Issuer { expires_in: Some(3.0), at_most: Some(1), ..Issuer::default() };
    let rig = Rig::new(issuer, Duration::from_millis(2600));
    let polled = rig.poll(&rig.submit(&[]).stdout, &[]);
    assert_eq!(polled.last("j")["status"]["phase"], "Succeeded", "{}", polled.stderr);
    let told: Vec<_> = polled.stderr.lines().filter(|line| line.contains("ahead of time")).collect();
    assert!(told.len() == 1 && told[0].contains("HTTP 503: temporarily_unavailable"), "{}", polled.stderr);
    assert_eq!(rig.issuer.lock().unwrap().refused, [""; 0]);
}

#[test]
fn a_file_of_other_credentials_or_of_another_target_is_not_used() {
    let (one, other) = (Rig::new(Issuer::default(), Duration::ZERO), Rig::new(Issuer::default(), Duration::ZERO));
    let (client, file) = (["--set", "client=c2"], one.token_file().display().to_string());
    assert_eq!(one.submit(&[]).last("j")["status"]["phase"], "Submitted");
    assert_eq!(one.submit(&client).last("j")["status"]["phase"], "Submitted");
    assert_eq!(one.issued(), 2, "the other client has a token of its own");
    assert_eq!(one.submit(&client).last("j")["status"]["phase"], "Submitted");
    assert_eq!(one.issued(), 2, "and keeps it");
    assert_eq!(other.submit(&["--token-file", &file]).last("j")["status"]["phase"], "Submitted");
    assert_eq!(other.issuer.lock().unwrap().refused, [""; 0], "no target sees a token of another");
}

#[test]
fn a_resumption_requests_a_token_and_deletes_it() {
    let rig = Rig::new(Issuer::default(), Duration::ZERO);
    let submitted = rig.submit(&[]);
    std::fs::remove_file(rig.token_file()).unwrap();
    let resumed = rig.poll(&submitted.stdout, &["--resume"]);
    assert_eq!(resumed.last("j")["status"]["phase"], "Succeeded", "{}", resumed.stderr);
    assert_eq!(rig.issued(), 2);
    assert!(!rig.token_file().exists());
}

#[test]
fn a_refused_token_is_renewed_once_and_neither_counts_nor_costs_the_job_time() {
    let rig = Rig::new(Issuer { delay: Duration::from_millis(300), ..Issuer::default() }, Duration::ZERO);
    assert_eq!(rig.submit(&["--explain"]).code, 0);
    // Another client got a token meanwhile, and this one is refused from now on.
    age_token(&rig);
    rig.issuer.lock().unwrap().issued.push(("other".to_owned(), Instant::now()));
    let submitted = rig.submit(&[]);
    let status = submitted.last("j")["status"].clone();
    assert_eq!(status["phase"], "Submitted", "{status}");
    let refused = rig.issuer.lock().unwrap().refused.clone();
    assert_eq!(refused.len(), 1, "the health check met it: {refused:?}");

    age_token(&rig);
    rig.issuer.lock().unwrap().issued.push(("other".to_owned(), Instant::now()));
    let polled = rig.poll(&submitted.stdout, &[]);
    let (status, polling) = (polled.last("j")["status"].clone(), polled.last("run")["status"]["polling"].clone());
    assert_eq!(
        (&status["phase"], &status["polls"]),
        (&json!("Succeeded"), &json!({"sent": 1, "failed": 0})),
        "{status}"
    );
    assert_eq!((&polling["sent"], &polling["failures"]), (&json!(1), &Value::Null), "{polling}");
    assert_eq!(rig.issuer.lock().unwrap().refused.len(), 2);
    let renewed = rig.issuer.lock().unwrap().issued_at.last().unwrap().clone();
    let ended = status["endedAt"].as_str().unwrap();
    assert!(ended > renewed.as_str(), "{ended} {renewed}");
}

#[test]
fn a_submission_whose_token_is_refused_is_submitted_when_it_is_sent_again() {
    // The health check needs no token, so that the submission is the first to meet the refusal.
    let issuer = Arc::new(Mutex::new(Issuer { delay: Duration::from_millis(300), ..Issuer::default() }));
    let shared = issuer.clone();
    let server = Server::new(move |request| match &*request.path {
        "/health" => Reply::json("{}"),
        "/token" => issue(&shared, request),
        _ if is_good(&shared, request) => Reply::json(r#"{"id":7}"#),
        _ => Reply::new(401, ""),
    });
    let rig = Rig { server, issuer, ..Rig::new(Issuer::default(), Duration::ZERO) };
    assert_eq!(rig.submit(&[]).last("j")["status"]["phase"], "Submitted");
    age_token(&rig);
    rig.issuer.lock().unwrap().issued.push(("other".to_owned(), Instant::now()));
    let status = rig.submit(&[]).last("j")["status"].clone();
    let issuer = rig.issuer.lock().unwrap();
    assert_eq!((&status["phase"], issuer.refused.len()), (&json!("Submitted"), 1), "{status}");
    let renewed = issuer.issued_at.last().unwrap();
    assert!(status["submittedAt"].as_str().unwrap() >= renewed.as_str(), "{renewed} {status}");
    drop(issuer);

    rig.issuer.lock().unwrap().is_closed = true;
    age_token(&rig);
    let before = rig.issued();
    let status = rig.submit(&[]).last("j")["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Rejected"), &json!("Refused")), "{status}");
    assert!(status["message"].as_str().unwrap().contains("HTTP 401"), "{status}");
    assert_eq!(rig.issued(), before + 1, "one new token, and no more");
}

#[test]
fn a_token_that_cannot_be_had_is_named_without_its_secrets() {
    let rig = Rig::new(Issuer::default(), Duration::ZERO);
    let refused = rig.submit(&["--set", "client=other"]);
    assert_eq!(
        (refused.code, refused.last("j")["status"]["phase"].clone()),
        (69, json!("Staged")),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("/token: HTTP 400: invalid_client"), "{}", refused.stderr);
    let explained = rig.submit(&["--set", "client=other", "--explain"]);
    assert!(explained.code == 69 && explained.stderr.contains("invalid_client"), "{}", explained.stderr);
    for (from, to, code, part) in [
        ("{env.PATH}", "{env.NO_SUCH_VARIABLE}", 2, "the environment variable NO_SUCH_VARIABLE is not set"),
        ("{env.PATH}", "{data.x}", 2, "the variables are {null}, {set.NAME}, {env.NAME}"),
        ("encoding = \"form\"", "encoding = \"form\"\ntoken = [\"/tok\"]", 69, "no token at /tok"),
        (
            "encoding = \"form\"",
            "encoding = \"form\"\nsend = { X-Key = \"tok\" }",
            2,
            "token.send.X-Key: it does not contain {token}",
        ),
        ("path = \"/token\"", "path = \"token\"", 2, "token.path = \"token\""),
    ] {
        rig.write_profile("/token");
        let file = rig.dir.path().join("p.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let ran = rig.submit(&[]);
        assert!(ran.code == code && ran.stderr.contains(part), "{part}: {} {}", ran.code, ran.stderr);
    }
}

#[test]
fn explain_and_dry_run_show_no_token() {
    let rig = Rig::new(Issuer { expires_in: Some(300.0), ..Issuer::default() }, Duration::ZERO);
    let explained = rig.submit(&["--explain"]);
    assert!(
        explained.code == 0 && explained.stdout.contains("token: POST /token: (secret), expires in 5 m 00 s"),
        "{}",
        explained.stdout
    );
    let dry = rig.submit(&["--dry-run"]);
    assert!(
        dry.stdout.contains("# first the token: POST /token")
            && dry.stdout.contains("-H \"Authorization: Bearer ${TOKEN}\""),
        "{}",
        dry.stdout
    );
    let polled =
        clean(tool(poll_jobs::run, &rig.argv(&["--explain", "7"]).iter().map(String::as_str).collect::<Vec<_>>(), ""));
    assert_eq!(polled.code, 0, "{}{}", polled.stdout, polled.stderr);
}

#[test]
fn an_authorization_server_and_other_servers_get_no_secret_that_is_not_theirs() {
    let issuer = Arc::new(Mutex::new(Issuer::default()));
    let shared = issuer.clone();
    let login = Server::new(move |request| issue(&shared, request));
    let uploads = Server::new(|_| Reply::new(201, ""));
    let mut rig = Rig::new(Issuer::default(), Duration::ZERO);
    let shared = issuer.clone();
    rig.server = Server::new(
        move |request| if is_good(&shared, request) { Reply::json(r#"{"id":7}"#) } else { Reply::new(401, "") },
    );
    rig.write_profile(&format!("{}/token", login.url()));
    let step =
        format!("\n[[steps]]\nname = \"put\"\nwhen = \"job\"\nmethod = \"PUT\"\npath = \"{}/x\"\n", uploads.url());
    let file = rig.dir.path().join("p.toml");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + &step).unwrap();
    let headers = rig.dir.path().join("headers");
    std::fs::write(&headers, "X-Own: k3y\n").unwrap();
    let ran = rig.submit(&["--header-file", headers.to_str().unwrap()]);
    assert_eq!(ran.last("j")["status"]["phase"], "Submitted", "{}{}", ran.stdout, ran.stderr);
    let carries =
        |request: &Request| (request.headers.contains_key("authorization"), request.headers.contains_key("x-own"));
    assert!(rig.server.requests().iter().all(|request| carries(request) == (true, true)));
    assert!(login.requests().iter().chain(&uploads.requests()).all(|request| carries(request) == (false, false)));
    assert_eq!((login.requests().len(), uploads.requests().len()), (1, 1));
}

#[test]
fn a_stream_cannot_choose_who_gets_the_token() {
    let rig = Rig::new(Issuer::default(), Duration::ZERO);
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "run", "run": "r1"}, "spec": {"target": rig.server.url()}});
    let argv = rig.argv(&[]);
    let argv: Vec<&str> = argv.iter().skip(2).map(String::as_str).collect();
    let ran = tool(poll_jobs::run, &argv, &format!("{run}\n"));
    assert!(ran.code == 2 && ran.stderr.contains("confirm it with --target"), "{}", ran.stderr);
    assert_eq!(rig.issued(), 0);
}

#[test]
fn values_of_set_may_be_json() {
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let shared = seen.clone();
    let mut rig = Rig::new(Issuer::default(), Duration::ZERO);
    rig.server = Server::new(move |request| {
        shared.lock().unwrap().insert(request.path.clone(), request.body.clone());
        Reply::json(r#"{"id":7}"#)
    });
    let profile = PROFILE.split("[token]").next().unwrap().to_owned()
        + "[submit]\npath = \"/jobs/{set.n}\"\nid = [\"/id\"]\nbody = { n = \"{set.n}\", s = \"{set.s}\", l = \"{set.l}\", t = \"n={set.n}\" }\n[poll]"
        + PROFILE.split("[poll]").nth(1).unwrap();
    std::fs::write(rig.dir.path().join("p.toml"), profile).unwrap();
    let ran = rig.submit(&["--set", "n:=7", "--set", "s=7", "--set", "l:=[1,{\"a\":null}]"]);
    assert_eq!(ran.last("j")["status"]["phase"], "Submitted", "{}", ran.stderr);
    let sent: Value = serde_json::from_str(&seen.lock().unwrap()["/jobs/7"]).unwrap();
    assert_eq!(sent, json!({"n": 7, "s": "7", "l": [1, {"a": null}], "t": "n=7"}));
    for (set, part) in [("n:=seven", "is not JSON"), ("n", "is not NAME=VALUE"), (":=1", "no name before")] {
        let error = submit_jobs::Args::try_parse_from(["submit-jobs", "--set", set]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

mod tls {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::support::root;

    fn data(name: &str) -> PathBuf {
        root().join("tests/data/tls").join(name)
    }

    /// A healthy HTTPS target that lets in who has the certificate `client`; returns its port.
    fn serve() -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(data("client.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let chain = vec![CertificateDer::from_pem_file(data("named.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(data("named.key.pem")).unwrap();
        let config = Arc::new(config.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), socket);
                // Who is not let in is told so, and leaves; that is the test's business.
                if stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"status\":\"done\"}");
                }
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        port
    }

    fn explain(port: u16, argv: &[&str]) -> Ran {
        let (url, trusted) = (format!("https://127.0.0.1:{port}"), data("named.pem"));
        let trust = ["--cacert", trusted.to_str().unwrap()];
        let trust = if argv.contains(&"--insecure") { &[][..] } else { &trust[..] };
        let fixed = ["--target", &url, "--timeout", "5s", "--explain", "j-1"];
        tool(poll_jobs::run, &[&fixed[..], trust, argv].concat(), "")
    }

    #[test]
    fn a_client_certificate_is_presented_and_mistakes_are_named() {
        let (port, dir) = (serve(), tempfile::tempdir().unwrap());
        let private = |name: &str, text: String, mode: u32| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let read = |name: &str| std::fs::read_to_string(data(name)).unwrap();
        let (cert, key) = (private("cert", read("client.pem"), 0o644), private("key", read("client.key.pem"), 0o640));
        let both = private("both", read("client.key.pem") + &read("client.pem"), 0o600);
        for argv in [&["--cert", &cert, "--key", &key][..], &["--cert", &both], &["--cert", &both, "--insecure"]] {
            let ran = explain(port, argv);
            assert!(ran.code == 0 && ran.stdout.contains("which means Done"), "{argv:?}: {}{}", ran.stdout, ran.stderr);
        }
        let open = private("open", read("client.key.pem"), 0o644);
        let other = private("wrong", read("named.key.pem"), 0o600);
        let locked = private(
            "locked",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned(),
            0o600,
        );
        let stranger = private("stranger", read("named.key.pem") + &read("named.pem"), 0o600);
        for (argv, code, part) in [
            (&[][..], 69, "asks for a client certificate: name it with --cert and --key"),
            (&["--cert", &stranger], 69, "the server refused the client certificate"),
            (&["--cert", &cert], 2, "it has no PEM private key: name the key's file with --key"),
            (&["--cert", &cert, "--key", &open], 2, "every user can read this key (mode 0644): `chmod o= FILE`"),
            (&["--cert", &cert, "--key", &other], 2, "this is not the key of the certificate"),
            (&["--cert", &cert, "--key", &locked], 2, "the key is encrypted: decrypt it with `openssl pkey"),
            (&["--cert", &key], 2, "no PEM certificate"),
            (&["--cert", &cert, "--key", &cert], 2, "it has no private key in PEM form"),
            (&["--cert", &cert, "--key", "/no/such"], 2, "--key /no/such: No such file"),
        ] {
            let ran = explain(port, argv);
            assert!(ran.code == code && ran.stderr.contains(part), "{part}: {} {}{}", ran.code, ran.stdout, ran.stderr);
            assert!(ran.stderr.lines().count() == 1 && !ran.stderr.contains("BEGIN PRIVATE"), "{}", ran.stderr);
        }
    }
}
