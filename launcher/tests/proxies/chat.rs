//! The chat's ports behind nginx's `stream`, which announces clients by the PROXY protocol.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::proxy::{FULLCHAIN, KEY, Proxy, block, is_skipped, replaced};
use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, free_address};

/// `openssl` from an address of its own says something to bob; what it printed.
fn say(proxy: &Proxy, client: &str, certificate: &str, text: &str) -> String {
    let mut openssl = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-verify_return_error", "-verify_ip"])
        .args([&proxy.address.ip().to_string(), "-CAfile", certificate])
        .args(["-bind", &format!("{client}:0"), "-connect", &proxy.address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(format!("ada\nbob: {text}\n").as_bytes()).unwrap();
    let output = openssl.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What is said through the proxy arrives, and the log names the client.
fn is_used(launcher: &Launcher, proxy: &Proxy, certificate: &str) {
    let (mut bob, _) = LineClient::login(launcher.home.chat, "bob");
    let client = format!("127.0.0.{}", 3 + proxy.address.port() % 200);
    let said = say(proxy, &client, certificate, "through a proxy");
    assert!(said.contains("verify return:1"), "{said}\n{}", proxy.log());
    bob.until("] through a proxy\n");
    let log = std::fs::read_to_string(launcher.home.logs().join("chat-server.log")).unwrap();
    assert!(log.contains(&format!("peer={client}:")), "{log}");
}

#[test]
fn nginx_ends_tls_for_the_chat_and_names_the_client() {
    if is_skipped() {
        return;
    }
    let launcher = Home::new().set("thermometer.enabled=false").set("chat-server.proxies=127.0.0.1").up();
    let chat = launcher.home.chat.to_string();
    let mut trusted = String::new();
    let proxy = Proxy::nginx(|address, directory| {
        let here = |name: &str| directory.join(name).display().to_string();
        let (listen, certificate, key) =
            (format!("listen {address} ssl"), here("certificate.pem"), here("key.pem"));
        let replacements = [
            ("listen 5443 ssl", &*listen),
            (FULLCHAIN, &certificate),
            (KEY, &key),
            ("127.0.0.1:5000", &chat),
        ];
        trusted.clone_from(&certificate);
        replaced(&block("nginx-stream", 0), &replacements)
    });
    is_used(&launcher, &proxy, &trusted);
}

/// As the last paragraph says: without `ssl` and the certificate.
#[test]
fn nginx_passes_tls_through_and_names_the_client_before_the_handshake() {
    if is_skipped() {
        return;
    }
    let tls = free_address();
    let home = Home::new()
        .set("thermometer.enabled=false")
        .set("chat-server.proxies=127.0.0.1")
        .set("tls.certificate=tls/certificate.pem")
        .set("tls.key=tls/key.pem")
        .set(&format!("chat-server.tls-listen={tls}"));
    let made = home.run(&["tls", "self-signed", "--name", &tls.ip().to_string()]);
    assert!(made.status.success(), "{made:?}");
    let launcher = home.up();
    let proxy = Proxy::nginx(|address, _| {
        let kept = block("nginx-stream", 0);
        let kept: Vec<&str> = kept.lines().filter(|line| !line.contains("ssl_certificate")).collect();
        let (listen, pass) = (format!("listen {address};"), tls.to_string());
        replaced(&kept.join("\n"), &[("listen 5443 ssl;", &listen), ("127.0.0.1:5000", &pass)])
    });
    let certificate = launcher.home.data().join("tls/certificate.pem");
    is_used(&launcher, &proxy, certificate.to_str().unwrap());
}
