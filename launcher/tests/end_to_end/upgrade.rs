//! The data of version 0.1.0 (`tests/versions/0.1.0.db`, made by that program: alice and bob talked, bob left, alice wrote on).

use crate::support::Home;
use crate::support::line_client::LineClient;

const FIRST: &[u8] = include_bytes!("../versions/0.1.0.db");

#[test]
fn the_data_of_version_0_1_0_is_opened_and_goes_on() {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    if home.is_on_mongodb() {
        return;
    }
    std::fs::create_dir(home.data()).unwrap();
    std::fs::write(home.data().join("chat.db"), FIRST).unwrap();
    let mut launcher = home.up();
    let (mut bob, _) = LineClient::login(launcher.home.chat, "bob");
    for number in 1..=5 {
        let line = bob.line();
        assert!(line.starts_with("[Stored] [CHAT][2026-12-01T01:24:0"), "{line}");
        assert!(line.ends_with(&format!("][Alice] while you were offline {number} \n")), "{line}");
    }
    bob.send("alice: back again\n");
    assert_eq!(bob.line(), "User 'alice' is offline. Message saved.\n");

    launcher.end("-TERM");
    launcher.up_again();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "ALICE");
    let line = alice.line();
    assert!(line.starts_with("[Stored] [CHAT][") && line.ends_with("][bob] back again \n"), "{line}");
    let (mut zoe, _) = LineClient::login(launcher.home.chat, "zoë");
    let line = zoe.line();
    assert!(line.ends_with("][Alice] grüße 👋 \n"), "{line}");
    let (mut bob, _) = LineClient::login(launcher.home.chat, "bob");
    assert!(bob.has_nothing_more(), "what was read before the upgrade, and after it, is not unread");
    // The old file is the way back.
    assert_eq!(std::fs::read(launcher.home.data().join("chat.db.v1.bak")).unwrap(), FIRST);
}
