//! What probes and Prometheus are told.

use crate::support::http::get;
use crate::support::line_client::LineClient;
use crate::support::{Home, free_address};

#[test]
fn every_server_says_that_it_is_well_and_what_it_did() {
    let home = Home::new().argument("--no-thermometer");
    let health = free_address();
    let launcher = home.set(&format!("chat-server.http-listen={health}")).up();
    let home = &launcher.home;
    let (mut alice, _) = LineClient::login(home.chat, "alice");
    alice.send("bob: hello\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    for (server, sample) in [
        (home.api, "message_api_appended_total 1"),
        (health, "chat_server_stored_total 1"),
        (home.page, "web_adapter_sessions 0"),
    ] {
        assert_eq!(get(server, "/healthz").status, 200);
        assert_eq!(get(server, "/readyz").status, 200);
        let metrics = get(server, "/metrics").body;
        assert!(metrics.lines().any(|line| line == sample), "{sample} in {metrics}");
    }
}
