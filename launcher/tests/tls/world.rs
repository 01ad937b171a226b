//! A launcher whose servers speak TLS, with a certificate that it made itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::support::{Home, Launcher, free_addresses};

pub(crate) struct World {
    pub(crate) launcher: Launcher,
    pub(crate) chat: SocketAddr,
    pub(crate) book: SocketAddr,
    pub(crate) page: SocketAddr,
    pub(crate) api: SocketAddr,
}

impl World {
    /// Everything is up; the certificate is for `localhost` and the addresses of the servers.
    pub(crate) fn up() -> Self {
        let [chat, book, page, api] = free_addresses();
        let home = Home::new()
            .set("thermometer.enabled=false")
            .set("tls.certificate=tls/certificate.pem")
            .set("tls.key=tls/key.pem")
            .set(&format!("chat-server.tls-listen={chat}"))
            .set(&format!("chat-server.tls-book-listen={book}"))
            .set(&format!("web-adapter.tls-listen={page}"))
            .set(&format!("message-api.tls-listen={api}"));
        let made = make(&home, &[]);
        assert!(made.status.success(), "{made:?}");
        Self { launcher: home.up(), chat, book, page, api }
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.launcher.home.data().join("tls/certificate.pem")
    }

    /// Makes another certificate.
    pub(crate) fn renew(&self) {
        let made = make(&self.launcher.home, &["--force"]);
        assert!(made.status.success(), "{made:?}");
    }
}

/// `launcher tls self-signed`, for the addresses of this test, too.
pub(crate) fn make(home: &Home, more: &[&str]) -> Output {
    let ip = home.chat.ip().to_string();
    home.run(&[&["tls", "self-signed", "--name", &ip], more].concat())
}

/// What commands need to know of the certificate.
pub(crate) fn settings() -> [&'static str; 4] {
    ["--set", "tls.certificate=tls/certificate.pem", "--set", "tls.key=tls/key.pem"]
}

/// The output of a program, whatever its exit code; `None` if such tests are skipped.
///
/// # Panics
/// If it is not installed: a test that is silently skipped proves nothing.
pub(crate) fn output(program: &str, arguments: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if std::env::var("P2P_TEST_SKIP_CLIENTS").is_ok_and(|value| value == "1") {
        println!("P2P_TEST_SKIP_CLIENTS=1: {program} is not tried");
        return None;
    }
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{program} cannot be started ({error}); install it, or set P2P_TEST_SKIP_CLIENTS=1")
    });
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

pub(crate) fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}
