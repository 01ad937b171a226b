//! The data of version 0.1.0 (`tests/versions/0.1.0.db`, made by that program: alice and bob talked, bob left, alice wrote on).

use crate::support::line_client::LineClient;
use crate::support::{Home, wait_for};

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
    let old = rusqlite::Connection::open(launcher.home.data().join("chat.db.v1.bak")).unwrap();
    let number = |query| old.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((number("PRAGMA user_version"), number("SELECT count(*) FROM events")), (1, 13));
}

#[test]
fn going_back_says_what_is_lost_before_it_does() {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    if home.is_on_mongodb() {
        return;
    }
    std::fs::create_dir(home.data()).unwrap();
    let (file, copy) = (home.data().join("chat.db"), home.data().join("chat.db.v1.bak"));
    std::fs::write(&copy, FIRST).unwrap();
    std::fs::write(&file, FIRST).unwrap();
    let change = |path, sql| rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    change(&copy, "DELETE FROM events WHERE seq > 10");
    change(&file, "PRAGMA user_version = 99");
    let advice = format!(
        "move '{}' away, and rename '{}', the copy from before the update, to it: that keeps 12 and loses 1 message",
        file.display(),
        copy.display()
    );
    let output = home.run(&["check"]);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(&advice), "{said}");
    let mut launcher = home.start();
    wait_for("the message API's log", || {
        let log = std::fs::read_to_string(launcher.home.logs().join("message-api.log")).ok()?;
        log.contains(&advice).then_some(())
    });
    launcher.end("-TERM");

    // Nothing was changed, and the advice can be followed.
    std::fs::rename(&file, file.with_extension("newer")).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    launcher.up_again();
    let (mut bob, _) = LineClient::login(launcher.home.chat, "bob");
    bob.until("while you were offline 4 \n");
    assert!(bob.has_nothing_more());
}
