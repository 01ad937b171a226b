//! Machines that vanish in the middle of a chat: without FIN or RST, the connection is open at one end only.
#![allow(unreachable_pub, reason = "its modules are the test's own")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what is skipped"
)]

#[path = "lan/network.rs"]
mod network;
#[path = "support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use network::Network;
use support::Home;
use support::line_client::LineClient;

const SAID: usize = 200;
/// `chat-server.write-timeout`.
const NOTICED: Duration = Duration::from_secs(2);

/// Bob's machine loses its network; messages sent to him until that is noticed are acknowledged, and not lost.
#[test]
fn who_vanishes_gets_everything_on_another_machine_and_the_name_is_free_in_time() {
    let Some(network) = Network::of(3) else { return };
    let [server, first, second] = [1, 2, 3].map(|n| network.host(n));
    let chat: SocketAddr = format!("{}:5000", server.ip).parse().unwrap();
    server.within(|| {
        let _launcher = Home::new()
            .set(&format!("chat-server.listen={chat}"))
            .set("chat-server.insecure=true")
            .set("chat-server.write-timeout=2s")
            .set("chat-server.messages-per-second=0")
            .argument("--no-thermometer")
            .argument("--no-web")
            .up();
        let (mut bob, _) = first.within(|| LineClient::login(chat, "bob"));
        let (mut alice, _) = LineClient::login(chat, "alice");
        alice.send("bob: before\n");
        assert!(bob.line().ends_with("] before\n"));

        network.unplug(2);
        for n in 0..SAID {
            alice.send(&format!("bob: {n}\n"));
        }
        // Until his absence is noticed nothing is answered, as for an online recipient.
        let unplugged = Instant::now();
        let told = loop {
            assert!(unplugged.elapsed() < 5 * NOTICED, "bob is still online");
            alice.send("bob: still there?\n");
            if let Some(line) = alice.line_soon() {
                break line;
            }
        };
        assert_eq!(told, "User 'bob' is offline. Message saved.\n");

        let (mut bob, _) = second.within(|| LineClient::login(chat, "bob"));
        for n in 0..SAID {
            let line = bob.line();
            assert!(line.ends_with(&format!("[alice] {n} \n")), "wanted {n}, got {line}");
        }
        drop(alice);
        assert!(bob.line().ends_with("[alice] still there? \n"));
    });
}
