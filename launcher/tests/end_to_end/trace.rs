//! `launcher trace` on a running system.

use serde_json::{Value, json};

use crate::support::line_client::LineClient;
use crate::support::{Home, wait_for};

#[test]
fn an_operator_sees_where_a_message_has_been() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let home = &launcher.home;
    let (mut bob, _) = LineClient::login(home.chat, "bob");
    let unknown = home.run(&["trace", "no-such-message"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let mut native = LineClient::connect(home.chat);
    native.send("{\"type\":\"hello\",\"name\":\"carol\"}\n{\"type\":\"send\",\"client_id\":\"c1\",\"to\":\"bob\",\"body\":\"x\"}\n");
    bob.line();
    let steps = wait_for("the message to be seen", || {
        let output = home.run(&["trace", "c1", "--json"]);
        let trace: Value = serde_json::from_slice(&output.stdout).ok()?;
        let steps = trace["steps"].as_array()?.clone();
        (steps.last()?["stage"] == "seen").then_some(steps)
    });
    assert_eq!(
        steps.iter().map(|step| step["stage"].clone()).collect::<Vec<_>>(),
        [json!("accepted"), json!("stored"), json!("feed"), json!("written"), json!("seen")]
    );
    let shown = String::from_utf8(home.run(&["trace", "c1"]).stdout).unwrap();
    assert!(shown.contains("carol, native session") && shown.contains("on the feed"), "{shown}");
}
