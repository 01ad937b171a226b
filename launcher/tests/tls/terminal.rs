//! `launcher chat --tls`, and the certificates that it remembers.

use std::os::unix::fs::PermissionsExt;

use crate::support::line_client::LineClient;
use crate::world::{World, make, text};

/// Says something and leaves.
fn say(world: &World, line: &str) -> (bool, String) {
    use std::io::Write;
    let server = world.chat.to_string();
    let mut command =
        world.launcher.home.command(&["chat", "--tls", "--plain", "--server", &server, "--name", "ada"]);
    command.arg("--history").arg(world.launcher.home.dir.path().join("history"));
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), text(&output))
}

#[test]
fn a_server_is_remembered_and_one_with_another_certificate_is_refused() {
    let world = World::up();
    let (mut bob, _) = LineClient::login(world.launcher.home.chat, "bob");
    let (fine, heard) = say(&world, "bob: first\n");
    assert!(fine, "{heard}");
    bob.until("] first\n");
    let shown =
        world.launcher.home.command(&["tls", "show"]).args(crate::world::settings()).output().unwrap();
    let fingerprint =
        text(&shown).lines().find_map(|line| Some(line.strip_prefix("fingerprint")?.trim().to_owned()));
    assert!(heard.contains(&fingerprint.clone().unwrap()), "{heard}");
    let known = world.launcher.home.dir.path().join("history/known-servers");
    let lines = std::fs::read_to_string(&known).unwrap();
    assert_eq!(lines, format!("{} {}\n", world.chat, fingerprint.unwrap()));
    assert_eq!(std::fs::metadata(&known).unwrap().permissions().mode() & 0o777, 0o600);

    let (fine, heard) = say(&world, "bob: second\n");
    assert!(fine && !heard.contains("remembered"), "{heard}");
    bob.until("] second\n");

    world.renew();
    crate::support::wait_for("the new certificate", || {
        crate::renewal::Client::connect(world.chat, &world.certificate()).ok()
    });
    let (fine, heard) = say(&world, "bob: third\n");
    assert!(!fine && heard.contains("is another one than before"), "{heard}");
    assert!(heard.contains("known-servers"), "{heard}");
}

#[test]
fn a_pair_is_private_and_not_replaced_by_mistake() {
    let home = crate::support::Home::new();
    let made = make(&home, &[]);
    assert!(made.status.success() && text(&made).contains("fingerprint"), "{}", text(&made));
    for file in ["tls/certificate.pem", "tls/key.pem"] {
        let mode = std::fs::metadata(home.data().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let again = make(&home, &[]);
    assert!(!again.status.success() && text(&again).contains("--force"), "{}", text(&again));
    let refused = home.run(&["check", "--set", "chat-server.tls-listen=127.0.0.1:0"]);
    assert!(text(&refused).contains("needs a certificate"), "{}", text(&refused));
    let refused = home.run(&["check", "--set", "tls.key=k"]);
    assert!(text(&refused).contains("tls.certificate: is missing"), "{}", text(&refused));
}

#[test]
fn plain_text_for_other_machines_needs_permission_and_is_warned_of() {
    let home = crate::support::Home::new();
    // This machine's host name may have no other address, so the wildcard address stands for all.
    let port = home.chat.port();
    let open = format!("chat-server.listen=0.0.0.0:{port}");
    let refused = home.run(&["check", "--set", &open]);
    let heard = text(&refused);
    assert_eq!(refused.status.code(), Some(78), "{heard}");
    assert!(heard.contains("chat-server.listen: is open to other machines and not encrypted"), "{heard}");
    assert!(
        heard.contains("chat-server.tls-listen") && heard.contains("chat-server.insecure = true"),
        "{heard}"
    );
    let allowed = home.run(&["check", "--set", &open, "--set", "chat-server.insecure=true"]);
    assert!(allowed.status.success(), "{}", text(&allowed));
    let encrypted = ["--set", "chat-server.tls-listen=0.0.0.0:0"];
    let missing = home.command(&["check"]).args(encrypted).args(crate::world::settings()).output().unwrap();
    assert_eq!(missing.status.code(), Some(78), "{}", text(&missing));
    assert!(
        text(&missing).contains("cannot read") && text(&missing).contains("certificate.pem"),
        "{missing:?}"
    );
    assert!(make(&home, &[]).status.success());
    let fine = home.command(&["check"]).args(encrypted).args(crate::world::settings()).output().unwrap();
    assert!(fine.status.success(), "{}", text(&fine));
    let launcher = home.set(&open).set("chat-server.insecure=true").set("thermometer.enabled=false").up();
    assert!(launcher.printed().contains("warning: chat-server.listen = "), "{}", launcher.printed());
}
