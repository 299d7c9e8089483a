//! `--cacert` with the certificates that curl takes and with those that it refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use stress_suite::tools::poll_jobs;

use crate::support::{Ran, root, tool};

fn data(name: &str) -> PathBuf {
    root().join("tests/data/tls").join(name)
}

/// A healthy HTTPS target with the certificate `name`, for a few connections; returns its port.
fn serve(name: &str) -> u16 {
    let certificate = CertificateDer::from_pem_file(data(&format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(data(&format!("{name}.key.pem"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    // Unlike `with_single_cert` this does not read the certificate, so that it may be one of version 1.
    let certified = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_cert_resolver(Arc::new(certified)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            let mut request = [0; 4096];
            // A client that refuses the certificate leaves; that is the test's business.
            if stream.read(&mut request).is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"status\":\"done\"}");
            }
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    port
}

fn explain(host: &str, port: u16, argv: &[&str]) -> Ran {
    let url = format!("https://{host}:{port}");
    tool(poll_jobs::run, &[&["--target", &url, "--timeout", "5s", "--explain", "j-1"], argv].concat(), "")
}

fn cacert(file: &Path) -> [String; 2] {
    ["--cacert".to_owned(), file.to_str().unwrap().to_owned()]
}

fn trusting(host: &str, port: u16, name: &str) -> Ran {
    let [flag, file] = cacert(&data(name));
    explain(host, port, &[&flag, &file])
}

#[test]
fn a_self_signed_certificate_is_trusted_by_name_as_curl_trusts_it() {
    for (name, host) in [("authority", "127.0.0.1"), ("named", "127.0.0.1"), ("version1", "localhost")] {
        let port = serve(name);
        let ran = trusting(host, port, &format!("{name}.pem"));
        assert!(ran.code == 0 && ran.stdout.contains("which means Done"), "{name}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_certificate_that_is_not_right_is_refused_in_a_sentence() {
    let port = serve("named");
    for (ran, part) in [
        (trusting("127.0.0.1", port, "other.pem"), "self-signed and is not the one in --cacert"),
        (trusting("127.0.0.1", serve("other"), "other.pem"), "the server's certificate is not for 127.0.0.1"),
        (trusting("127.0.0.1", serve("expired"), "expired.pem"), "the server's certificate has expired"),
        (trusting("localhost", serve("authority"), "authority.pem"), "the server's certificate is not for localhost"),
        (trusting("127.0.0.1", serve("version1"), "version1.pem"), "not for 127.0.0.1: it names localhost"),
        (trusting("localhost", serve("version1"), "named.pem"), "X.509 version 1"),
        (explain("127.0.0.1", port, &[]), "with --cacert"),
    ] {
        assert!(ran.code == 69 && ran.stderr.contains(part), "{part}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1);
    }
}

#[test]
fn a_file_that_is_cut_off_is_named_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, file) = (std::fs::read_to_string(data("named.pem")).unwrap(), dir.path().join("x.pem"));
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let [flag, path] = cacert(&file);
    let ran = explain("127.0.0.1", 9, &[&flag, &path]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("is the file complete?") && ran.stderr.contains(&path), "{}", ran.stderr);
}

#[test]
fn marks_and_notes_around_a_certificate_do_not_matter_and_der_is_named() {
    let pem = std::fs::read(data("named.pem")).unwrap();
    let text = String::from_utf8(pem.clone()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.pem");
    let [flag, path] = cacert(&file);
    for bytes in [
        [b"\xef\xbb\xbf", &pem[..]].concat(),
        [b"\xef\xbb\xbf", text.replace('\n', "\r\n").as_bytes()].concat(),
        [b"Aussteller: M\xfcller\n", &pem[..]].concat(),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let ran = explain("127.0.0.1", serve("named"), &[&flag, &path]);
        assert!(ran.code == 0 && ran.stdout.contains("which means Done"), "{}{}", ran.stdout, ran.stderr);
    }
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    std::fs::write(&file, base64::engine::general_purpose::STANDARD.decode(body).unwrap()).unwrap();
    let ran = explain("127.0.0.1", 9, &[&flag, &path]);
    assert!(ran.code == 2 && ran.stderr.contains("DER form") && ran.stderr.contains("openssl"), "{}", ran.stderr);
}

#[test]
fn a_certificate_in_the_form_of_openssl_is_taken() {
    // What `openssl x509 -trustout` appends: an empty list of notes.
    let pem = std::fs::read_to_string(data("named.pem")).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode([&der[..], &[0x30, 0]].concat());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.pem");
    let label = "TRUSTED CERTIFICATE-----";
    std::fs::write(&file, format!("-----BEGIN {label}\n{text}\n-----END {label}\n")).unwrap();
    let [flag, path] = cacert(&file);
    let ran = explain("127.0.0.1", serve("named"), &[&flag, &path]);
    assert!(ran.code == 0 && ran.stdout.contains("which means Done"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_server_without_tls_and_a_file_without_a_certificate_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        assert_ne!(socket.read(&mut [0; 4096]).unwrap(), 0);
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let ran = trusting("127.0.0.1", port, "named.pem");
    server.join().unwrap();
    assert!(ran.code == 69 && ran.stderr.contains("http://"), "{}", ran.stderr);
    let key = trusting("127.0.0.1", port, "named.key.pem");
    assert!(key.code == 2 && key.stderr.contains("no PEM certificate"), "{}", key.stderr);
}

/// A directory in which `openssl` makes certificates and serves them.
struct OpenSsl(tempfile::TempDir);

impl OpenSsl {
    /// None if the command is not installed, as may be outside of CI.
    fn find() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "openssl is not installed: see scripts/need");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("jobs")).unwrap();
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"status\":\"done\"}";
        std::fs::write(dir.path().join("jobs/j-1"), answer).unwrap();
        Some(Self(dir))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).args(line.split_whitespace()).stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs `openssl` with the words of `line`.
    fn run(&self, line: &str) {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes `NAME.key` of the kind `kind` and, with the flags `flags`, the self-signed certificate `NAME.pem` of localhost.
    fn self_signed(&self, name: &str, kind: &str, flags: &str) {
        self.run(&format!("genpkey -algorithm {kind} -out {name}.key"));
        self.run(&format!("req -new -x509 -key {name}.key -subj /CN=localhost -days 2 -out {name}.pem {flags}"));
    }

    /// Makes `NAME.key` and the certificate `NAME.pem` of localhost, signed by `authority`; of version 1 without extensions.
    fn signed(&self, name: &str, authority: &str, extensions: &str) {
        self.run(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key"));
        self.run(&format!("req -new -key {name}.key -subj /CN=localhost -out {name}.csr"));
        std::fs::write(self.0.path().join("extensions"), extensions).unwrap();
        let version = if extensions.is_empty() { "" } else { "-extfile extensions" };
        self.run(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days 2 -out {name}.pem {version}"
        ));
    }

    /// Serves `NAME.pem` with the flags `flags`, and asks for a job with `--cacert` for `trusted`.
    fn ask(&self, name: &str, flags: &str, trusted: &str) -> Ran {
        self.ask_as(None, name, flags, trusted)
    }

    /// The same with the client certificate `client`.
    fn ask_as(&self, client: Option<&str>, name: &str, flags: &str, trusted: &str) -> Ran {
        let line = format!("s_server -accept 127.0.0.1:0 -cert {name}.pem -key {name}.key -HTTP {flags}");
        let mut server = Running(self.command(&line).stdout(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(server.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let port = lines.map(|line| line.rsplit_once(':').map(|(_, port)| port.parse().ok())).find_map(Option::flatten);
        let file = |name: &str, kind: &str| self.0.path().join(format!("{name}.{kind}")).display().to_string();
        let identity =
            client.map(|client| ["--cert".to_owned(), file(client, "pem"), "--key".to_owned(), file(client, "key")]);
        let argv =
            [cacert(&self.0.path().join(format!("{trusted}.pem"))).to_vec(), identity.into_iter().flatten().collect()];
        let argv = argv.iter().flatten().map(String::as_str).collect::<Vec<_>>();
        explain("localhost", port.expect("the server says where it listens"), &argv)
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Checks that the target was asked, or that it was refused in one sentence with `part`.
fn check(ran: &Ran, what: &str, expected: Result<(), &str>) {
    match expected {
        Ok(()) => {
            assert!(ran.code == 0 && ran.stdout.contains("which means Done"), "{what}: {}{}", ran.stdout, ran.stderr);
        }
        Err(part) => {
            assert!(ran.code == 69 && ran.stderr.contains(part), "{what}: {}{}", ran.stdout, ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{what}: {}", ran.stderr);
        }
    }
}

const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";
const P521: &str = "EC -pkeyopt ec_paramgen_curve:P-521";
const NAMED: &str = "-addext subjectAltName=DNS:localhost";

#[test]
fn self_signed_certificates_of_openssl_are_taken_as_curl_takes_them() {
    let Some(openssl) = OpenSsl::find() else { return };
    let (rsa, p384) = ("RSA -pkeyopt rsa_keygen_bits:2048", "EC -pkeyopt ec_paramgen_curve:P-384");
    for (index, (kind, flags, served, expected)) in [
        (rsa, "-sha1", "-tls1_2", Ok(())),
        (p384, "", "-tls1_2", Ok(())),
        ("ED25519", NAMED, "-tls1_3", Ok(())),
        (P521, NAMED, "-tls1_3", Ok(())),
        (P521, "-sha256", "-tls1_2", Ok(())),
        (P521, "", "-groups P-521", Ok(())),
        ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", "", "-tls1_3", Ok(())),
        ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", "", "-tls1_2", Err("over TLS 1.3, RSA-PSS")),
        ("RSA -pkeyopt rsa_keygen_bits:1024", "", "-cipher DEFAULT@SECLEVEL=0", Err("RSA of fewer than 2,048")),
        ("ED448", "", "", Err("the server's key must be RSA of 2,048 to 8,192 bits")),
        ("EC -pkeyopt ec_paramgen_curve:secp256k1", "", "", Err("the server's key must be")),
        (P256, "-addext basicConstraints=critical,CA:FALSE", "", Ok(())),
        (P256, "-addext certificatePolicies=critical,1.2.3.4 -addext 1.2.3.5=ASN1:UTF8String:x", "", Ok(())),
        (P256, "-addext 1.2.3.4=critical,ASN1:UTF8String:x", "", Err("a critical extension that is not known")),
        (P256, "-addext extendedKeyUsage=clientAuth", "", Err("not for servers")),
        (P256, "-addext keyUsage=critical,keyCertSign", "", Err("not for servers")),
        (P256, "-addext subjectAltName=email:a@example.org", "", Ok(())),
        (P256, "-addext subjectAltName=DNS:other", "", Err("is not for localhost: it names other")),
        (P256, "-subj /CN=other/CN=localhost", "", Ok(())),
        (P256, "-subj /CN=localhost/CN=other", "", Err("is not for localhost: it names other")),
        (P256, "-set_serial 0x7f0102030405060708090a0b0c0d0e0f1011121314", "", Ok(())),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("c{index}");
        openssl.self_signed(&name, kind, flags);
        check(&openssl.ask(&name, served, &name), &format!("{kind} {flags} {served}"), expected);
    }
    let replaced = openssl.ask("c3", "", "c5");
    check(&replaced, "another of the same name", Err("self-signed and is not the one in --cacert"));
}

#[test]
fn certificates_of_version_1_are_taken_as_curl_takes_them() {
    let Some(openssl) = OpenSsl::find() else { return };
    for (name, kind) in
        [("rsa", "RSA -pkeyopt rsa_keygen_bits:2048"), ("p256", P256), ("p521", P521), ("ed", "ED25519")]
    {
        openssl.self_signed(name, kind, "");
        openssl.run(&format!("req -new -key {name}.key -subj /CN=localhost -out {name}.csr"));
        openssl.run(&format!("x509 -req -in {name}.csr -signkey {name}.key -days 2 -out {name}.pem"));
        for version in ["-tls1_2", "-tls1_3"] {
            check(&openssl.ask(name, version, name), &format!("{name} {version}"), Ok(()));
        }
        check(&openssl.ask(name, "", "rsa"), name, if name == "rsa" { Ok(()) } else { Err("version 1 or 2") });
    }
}

#[test]
fn certificates_that_a_named_authority_signed_are_taken_as_curl_takes_them() {
    let Some(openssl) = OpenSsl::find() else { return };
    let (leaf, by_name) = ("basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost\n", "basicConstraints=CA:FALSE\n");
    openssl.self_signed("authority", P521, "-subj /CN=authority");
    openssl.self_signed(
        "constrained",
        P256,
        "-subj /CN=constrained -addext nameConstraints=critical,permitted;DNS:other",
    );
    openssl.self_signed("server", P256, "-subj /CN=server -addext basicConstraints=CA:FALSE");
    for (index, (authority, extensions, trusted, expected)) in [
        ("authority", leaf, "authority", Ok(())),
        ("authority", by_name, "authority", Ok(())),
        ("authority", "", "authority", Ok(())),
        ("authority", leaf, "itself", Ok(())),
        ("authority", "", "itself", Ok(())),
        ("authority", leaf, "server", Err("no trusted authority issued the server's certificate")),
        ("authority", "", "server", Err("no authority in --cacert signed it")),
        ("constrained", leaf, "constrained", Err("name constraint violation")),
        ("constrained", by_name, "constrained", Err("is not for localhost")),
        ("constrained", "", "constrained", Err("is not for localhost")),
        ("server", leaf, "server", Err("no trusted authority issued")),
        ("server", "", "server", Err("no authority in --cacert signed it")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("l{index}");
        openssl.signed(&name, authority, extensions);
        let trusted = if trusted == "itself" { &name } else { trusted };
        check(&openssl.ask(&name, "", trusted), &format!("{authority} {extensions:?} {trusted}"), expected);
    }
}

#[test]
fn a_client_certificate_of_any_version_is_presented_and_its_lack_is_named() {
    let Some(openssl) = OpenSsl::find() else { return };
    openssl.self_signed("authority", P256, "-subj /CN=authority");
    openssl.signed("server", "authority", "subjectAltName=DNS:localhost\n");
    openssl.signed("version1", "authority", "");
    openssl.self_signed("stranger", P256, "-subj /CN=stranger");
    let lacks = Err("the server asks for a client certificate: name it with --cert and --key");
    for version in ["-tls1_2", "-tls1_3"] {
        let flags = format!("{version} -Verify 3 -verify_return_error -CAfile authority.pem");
        for (client, expected) in [
            (Some("version1"), Ok(())),
            (Some("server"), Ok(())),
            (Some("stranger"), Err("the server refused the client certificate (unknown CA)")),
            (None, lacks),
        ] {
            let ran = openssl.ask_as(client, "server", &flags, "authority");
            check(&ran, &format!("{client:?} {version}"), expected);
        }
    }
    openssl.self_signed("unknown", "ED448", "");
    let ran = openssl.ask_as(Some("unknown"), "server", "", "authority");
    assert!(ran.code == 2 && ran.stderr.contains("must be RSA of 2,048 to 4,096 bits"), "{}", ran.stderr);
    let ran = openssl.ask_as(Some("stranger"), "server", "-tls1_2 -Verify 3 -client_sigalgs RSA+SHA256", "authority");
    check(&ran, "another kind of key", Err("takes none with the kind of key that --cert has"));
}
