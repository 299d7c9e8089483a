//! The HTTP flags that the tools share, and the clients that they configure.

use std::path::PathBuf;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::addresses::LookedUp;
use super::buffers;
use super::connect::WorkingAddresses;
use super::given::{is_secret, why_not_given};
use super::identity::Identity;
use super::pem::certificates;
use super::tls::{TlsConnector, Trust};
use super::{ClientFactory, Connections};
use crate::cli::Failure;
use crate::heartbeat::Heartbeat;
use crate::secrets::Secrets;
use crate::units;

/// The size of a connection's buffers below those that grow: what is read from the system at once, and what is sent.
const BUFFER: usize = buffers::OUTPUT;
/// A connection that was idle for longer is not reused: common servers close theirs after 5 s, and a request sent at that
/// moment fails through no fault of the target.
const IDLE_AGE: Duration = Duration::from_secs(4);

/// The flags for HTTP.
#[derive(Clone, Debug, clap::Args)]
pub struct HttpArgs {
    /// Limit each phase of a request (connect, send, wait, read) to this long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = units::positive_duration, help_heading = "HTTP")]
    pub timeout: Duration,
    /// Send this header with every request (repeatable); secrets belong in --header-file
    #[arg(long = "header", value_name = "NAME: VALUE", help_heading = "HTTP")]
    pub headers: Vec<String>,
    /// Send the headers in this file, one `Name: value` per line
    #[arg(long, value_name = "FILE", help_heading = "HTTP")]
    pub header_file: Option<PathBuf>,
    /// Send `Authorization: Bearer` with the token in this environment variable
    #[arg(long, value_name = "VARIABLE", help_heading = "HTTP")]
    pub token_env: Option<String>,
    /// Trust the certificates in this PEM file (authorities or the server's own) instead of the system's
    #[arg(long, value_name = "FILE", help_heading = "HTTP")]
    pub cacert: Option<PathBuf>,
    /// Present the client certificate in this PEM file, with its chain, to the server
    #[arg(long, value_name = "FILE", help_heading = "HTTP")]
    pub cert: Option<PathBuf>,
    /// Read the key of --cert from this PEM file [default: the file of --cert]
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "HTTP")]
    pub key: Option<PathBuf>,
    /// Do not verify the server's certificate
    #[arg(long, help_heading = "HTTP")]
    pub insecure: bool,
}

impl HttpArgs {
    /// A factory of clients. Reads the files and the environment variable that the arguments name.
    pub fn client_factory(&self, connections: Connections) -> Result<ClientFactory, Failure> {
        let identity = self.cert.as_deref().map(|cert| Identity::read(cert, self.key.as_deref())).transpose()?;
        let tls = self.tls(identity.unwrap_or_default())?;
        let (timeout, idle) = (Some(self.timeout), usize::from(connections == Connections::Kept));
        let config = Agent::config_builder()
            .timeout_connect(timeout)
            .timeout_send_request(timeout)
            .timeout_send_body(timeout)
            .timeout_recv_response(timeout)
            .timeout_recv_body(timeout)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .no_delay(true)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_idle_connections(idle)
            .max_idle_connections_per_host(idle)
            .max_idle_age(IDLE_AGE)
            .user_agent(concat!("stress-suite/", env!("CARGO_PKG_VERSION")))
            .build();
        let (looked_up, working) = (LookedUp::default(), WorkingAddresses::default());
        Ok(ClientFactory {
            config,
            tls,
            looked_up,
            working,
            headers: self.header_map()?,
            authorize: None,
            timeout: self.timeout,
            heartbeat: Heartbeat::start(),
            secrets: Secrets::default(),
        })
    }

    fn tls(&self, identity: Identity) -> Result<TlsConnector, Failure> {
        let failure = |error: String| match &self.cacert {
            Some(file) => Failure::usage(format!("--cacert {}: {error}", file.display())),
            None => Failure::usage(error),
        };
        let trust = match &self.cacert {
            _ if self.insecure => Trust::Any,
            Some(file) => Trust::Given(certificates("--cacert", file)?),
            None => Trust::System,
        };
        TlsConnector::new(trust, identity).map_err(failure)
    }

    fn header_map(&self) -> Result<HeaderMap, Failure> {
        let mut map = HeaderMap::new();
        for line in &self.headers {
            let (name, value) = header(line).map_err(|error| Failure::usage(format!("--header: {error}")))?;
            if is_secret(name.as_str()) {
                return Err(Failure::usage(format!(
                    "--header: {name} is a secret that the process list would show: put the line into a file and pass it with --header-file"
                )));
            }
            map.append(name, value);
        }
        if let Some(file) = &self.header_file {
            let failure = |number: usize, error: &dyn std::fmt::Display| {
                Failure::usage(format!("--header-file {} line {number}: {error}", file.display()))
            };
            let unreadable = |error| Failure::usage(format!("--header-file {}: {error}", file.display()));
            let text = std::fs::read_to_string(file).map_err(unreadable)?;
            for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let (name, mut value) = header(line).map_err(|error| failure(index + 1, &error))?;
                value.set_sensitive(true);
                map.append(name, value);
            }
        }
        if let Some(variable) = &self.token_env {
            let refused =
                |what: &str| Failure::usage(format!("--token-env: the environment variable {variable} {what}"));
            let token = std::env::var(variable).map_err(|_| refused("is not set"))?;
            let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
            let mut value = value.map_err(|_| refused("contains characters that are not valid in a header"))?;
            value.set_sensitive(true);
            map.insert(ureq::http::header::AUTHORIZATION, value);
        }
        Ok(map)
    }

    /// Returns true if every request carries secrets. They are meant for one server, and a stream must not choose another.
    pub fn has_secrets(&self) -> bool {
        self.header_file.is_some() || self.token_env.is_some()
    }

    /// The curl arguments that send the same headers, without showing a secret.
    pub fn curl_arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = self.headers.iter().map(|line| format!("-H {}", shell_quoted(line))).collect();
        arguments.extend(
            self.header_file.iter().map(|file| format!("-H {}", shell_quoted(&format!("@{}", file.display())))),
        );
        arguments.extend(self.token_env.iter().map(|variable| format!("-H \"Authorization: Bearer ${{{variable}}}\"")));
        arguments
            .extend(self.cacert.iter().map(|file| format!("--cacert {}", shell_quoted(&file.display().to_string()))));
        let files = [("--cert", &self.cert), ("--key", &self.key)];
        let files = files.into_iter().filter_map(|(flag, file)| Some((flag, file.as_ref()?.display().to_string())));
        arguments.extend(files.map(|(flag, file)| format!("{flag} {}", shell_quoted(&file))));
        arguments.extend(self.insecure.then(|| "--insecure".to_owned()));
        arguments
    }
}

/// `text` as one word of a POSIX shell.
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Parses `Name: value`. The error never contains the value, which may be a secret.
fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = line.split_once(':').ok_or("write it as `Name: value`")?;
    let name =
        HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "the name is not valid in a header".to_owned())?;
    if let Some(why) = why_not_given(name.as_str(), value.trim()) {
        return Err(why);
    }
    let value =
        HeaderValue::from_str(value.trim()).map_err(|_| format!("the value of {name} cannot be sent in a header"))?;
    Ok((name, value))
}

#[cfg(test)]
impl HttpArgs {
    /// Arguments for tests: nothing but a short timeout.
    pub(super) fn for_tests() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            headers: vec![],
            header_file: None,
            token_env: None,
            cacert: None,
            cert: None,
            key: None,
            insecure: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::clock::Clock;
    use crate::http::{Authorize, Credentials, HttpError, Method, NoCredentials};

    fn refused(args: &HttpArgs) -> String {
        args.client_factory(Connections::Kept).unwrap_err().message().unwrap().to_owned()
    }

    #[test]
    fn secrets_do_not_belong_on_the_command_line_nor_into_messages() {
        assert!(
            refused(&HttpArgs { headers: vec!["authorization: s3cret".into()], ..HttpArgs::for_tests() })
                .contains("--header-file")
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "X-A: 1\n\nbad name: s3cret\n").unwrap();
        let message = refused(&HttpArgs { header_file: Some(file.path().to_owned()), ..HttpArgs::for_tests() });
        assert!(message.contains("line 3") && !message.contains("s3cret"), "{message}");
        assert!(
            refused(&HttpArgs { token_env: Some("NO_SUCH_VARIABLE_HERE".into()), ..HttpArgs::for_tests() })
                .contains("is not set")
        );
    }

    #[test]
    fn a_header_of_the_client_itself_is_refused_and_another_host_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            HttpArgs { header_file: Some(file.path().to_owned()), ..HttpArgs::for_tests() }
        };
        for field in [
            "Content-Length: 5",
            "transfer-encoding: chunked",
            "TE: trailers",
            "Connection: X-A",
            "Expect: 100-continue",
        ] {
            let message = refused(&with(&format!("X-A: 1\n{field}\n")));
            let name = field.split(':').next().unwrap().to_ascii_lowercase();
            assert!(message.contains(" line 2: ") && message.contains(&name), "{message}");
            let message = refused(&HttpArgs { headers: vec![field.to_owned()], ..HttpArgs::for_tests() });
            assert!(message.starts_with("--header: ") && message.contains(&name), "{message}");
        }
        assert!(with("Host: other.example\nConnection: Close\n").client_factory(Connections::Kept).is_ok());
    }

    #[test]
    fn a_refused_connection_is_known_never_to_have_been_made() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = HttpArgs::for_tests().client_factory(Connections::Fresh).unwrap().client();
        let error =
            client.send(&Method::GET, &format!("http://127.0.0.1:{port}/"), &[], None, &Clock::system()).unwrap_err();
        assert_eq!(error, HttpError::NotConnected { what: "connection refused".to_owned(), is_forbidden: false });
    }

    /// Credentials for which requests waited this long.
    #[derive(Debug)]
    struct Awaited(Duration);

    impl Authorize for Awaited {
        fn credentials(&self, _: &Clock) -> Result<Credentials, NoCredentials> {
            Err("there are none".to_owned().into())
        }

        fn renewed(&self, _: &Credentials, _: &Clock) -> Result<Option<Credentials>, NoCredentials> {
            Ok(None)
        }

        fn waited(&self, _: Instant, _: Instant) -> Duration {
            self.0
        }
    }

    #[test]
    fn the_wait_for_credentials_is_no_lateness_of_a_request() {
        let due = Instant::now().checked_sub(Duration::from_secs(1000)).unwrap();
        let lateness = |waited: u64| {
            let mut factory = HttpArgs::for_tests().client_factory(Connections::Fresh).unwrap();
            factory.authorize(Arc::new(Awaited(Duration::from_secs(waited))));
            factory.client().lateness(due).as_secs()
        };
        let plain = HttpArgs::for_tests().client_factory(Connections::Fresh).unwrap().client().lateness(due).as_secs();
        assert!(plain >= 1000 && (100..200).contains(&lateness(900)), "{plain}");
        assert_eq!(lateness(5000), 0);
    }

    #[test]
    fn shell_words_are_quoted() {
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
    }
}
