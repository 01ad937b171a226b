//! Other programs' clients.

use crate::support::line_client::LineClient;
use crate::world::{World, output, text};

/// Talks to itself over TLS, checked against a certificate: `HOST PORT CERTIFICATE [NAME]`.
const PYTHON: &str = r#"
import socket, ssl, sys
host, port, certificate = sys.argv[1], int(sys.argv[2]), sys.argv[3]
name = sys.argv[4] if len(sys.argv) > 4 else host
context = ssl.create_default_context(cafile=certificate)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, sys.argv[5] if len(sys.argv) > 5 else "TLSv1_3")
with context.wrap_socket(socket.create_connection((host, port), 20), server_hostname=name) as stream:
    lines = stream.makefile("rw", newline="\n")
    assert stream.recv(64) == b"Enter your username: "
    lines.write("py\n"); lines.flush()
    print(lines.readline())
    lines.write("py: to myself\n"); lines.flush()
    print(stream.version(), lines.readline())
"#;

#[test]
fn pythons_ssl_chats_with_both_versions_and_refuses_another_host() {
    let world = World::up();
    let (host, port) = (world.chat.ip().to_string(), world.chat.port().to_string());
    let certificate = world.certificate();
    let certificate = certificate.to_str().unwrap();
    let run = |name: &str, version: &str| {
        output("python3", &["-c", PYTHON, &host, &port, certificate, name, version], "").map(|it| text(&it))
    };
    for (version, shown) in [("TLSv1_3", "TLSv1.3"), ("TLSv1_2", "TLSv1.2")] {
        let Some(heard) = run("localhost", version) else { return };
        assert!(heard.contains("Connected! Users online: "), "{heard}");
        assert!(heard.contains(shown) && heard.contains("] to myself"), "{heard}");
    }
    assert!(run(&host, "TLSv1_3").unwrap().contains("Connected!"), "the address is in the certificate");
    assert!(run("other.example", "TLSv1_3").unwrap().contains("Hostname mismatch"));
}

#[test]
fn openssl_sends_what_others_receive_and_cannot_renegotiate() {
    let world = World::up();
    let (mut bob, _) = LineClient::login(world.launcher.home.chat, "bob");
    let address = world.chat.to_string();
    let arguments = |more: &[&'static str]| {
        let certificate = world.certificate().to_str().unwrap().to_owned();
        let own =
            ["s_client", "-quiet", "-verify_return_error", "-connect", &address, "-CAfile", &certificate];
        own.iter().copied().chain(more.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |more: &[&'static str], input: &str| {
        let arguments = arguments(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        output("openssl", &arguments, input).map(|it| text(&it))
    };
    let Some(heard) = run(&["-no_ign_eof"], "ada\nbob: encrypted\n") else { return };
    // It leaves at the end of its input, perhaps before it has shown what it heard.
    assert!(heard.contains("verify return:1"), "{heard}");
    bob.until("] encrypted\n");
    assert!(run(&["-tls1_1"], "").unwrap().contains("alert"), "TLS 1.1 is refused");
    // "R" at the beginning of a line asks for a renegotiation.
    let mut shown = arguments(&["-tls1_2"]);
    shown.retain(|argument| argument != "-quiet");
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let heard = text(&output("openssl", &shown, "R\n").unwrap());
    // A warning says no, or the prompt that was on its way comes where openssl expects a handshake.
    let refused = ["no renegotiation", "NO_RENEGOTIATION", "unexpected record"];
    assert!(heard.contains("RENEGOTIATING") && refused.iter().any(|text| heard.contains(text)), "{heard}");
    let mut plain = LineClient::connect(world.launcher.home.chat);
    plain.send("still\n");
    plain.until("Connected!");
}

#[test]
fn curl_gets_the_page_and_the_api_and_is_told_of_the_wrong_port() {
    let world = World::up();
    let certificate = world.certificate();
    let certificate = certificate.to_str().unwrap();
    let curl = |more: &[&str]| {
        let own = ["--silent", "--show-error", "--max-time", "20", "--include"];
        output("curl", &[&own[..], more].concat(), "").map(|it| text(&it))
    };
    let page = format!("https://{}/", world.page);
    let Some(heard) = curl(&["--cacert", certificate, &page]) else { return };
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    assert!(
        heard.contains("strict-transport-security: max-age=") && heard.contains("<!doctype html>"),
        "{heard}"
    );
    let api = format!("https://{}/readyz", world.api);
    assert!(curl(&["--cacert", certificate, &api]).unwrap().starts_with("HTTP/1.1 200"));
    let message = r#"{"sender":"ada","recipient":"bob","message":"hi","timestamp":"2026-01-01T00:00:00"}"#;
    let docs = format!("https://{}/docs", world.api);
    assert!(curl(&["--cacert", certificate, &docs, "--data", message]).unwrap().starts_with("HTTP/1.1 4"));
    assert!(curl(&[&page]).unwrap().contains("self-signed certificate"), "without the certificate");
    let other = format!("other.example:{}:{}", world.page.port(), world.page.ip());
    let wrong = format!("https://other.example:{}/", world.page.port());
    let heard = curl(&["--cacert", certificate, "--resolve", &other, &wrong]).unwrap();
    assert!(heard.contains("no alternative certificate subject name matches"), "{heard}");
    let heard = curl(&[&format!("http://{}/", world.page)]).unwrap();
    assert!(heard.starts_with("HTTP/1.1 400") && heard.contains("use https://"), "{heard}");
    let plain = curl(&[&format!("http://{}/", world.launcher.home.page)]).unwrap();
    assert!(plain.starts_with("HTTP/1.1 200") && !plain.contains("strict-transport"), "{plain}");
    let heard = curl(&["--insecure", &format!("https://{}/", world.launcher.home.page)]).unwrap();
    assert!(heard.contains("curl: (35)"), "{heard}");
}

#[test]
fn ncat_chats_in_the_book_dialect() {
    let world = World::up();
    let (mut bob, _) = LineClient::login(world.launcher.home.chat, "bob");
    let (host, port) = (world.book.ip().to_string(), world.book.port().to_string());
    let certificate = world.certificate();
    let trust =
        ["--ssl-verify", "--ssl-trustfile", certificate.to_str().unwrap(), "--ssl-servername", "localhost"];
    let arguments = [&["--ssl", "--no-shutdown", "-i", "3s"][..], &trust, &[&host, &port]].concat();
    // It stays until nothing was said for a while.
    let Some(heard) = output("ncat", &arguments, "ada\nbob-encrypted\nada-to myself\n") else { return };
    bob.until("encrypted\n");
    assert!(text(&heard).contains("ada: to myself"), "{heard:?}");
    let other = ["--ssl", "--ssl-verify", "--ssl-servername", "localhost", &host, &port];
    let refused = output("ncat", &other, "ada\n").unwrap();
    assert!(
        !refused.status.success() && refused.stdout.is_empty(),
        "nobody it trusts signed it: {refused:?}"
    );
}
