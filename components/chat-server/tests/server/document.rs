//! The conversation in `docs/protocol.md`, held with a real server.

use chat_server::Config;
use protocol::limits::{BODY_BYTES, LINE_BYTES, METADATA_BYTES, SERVER_FRAME_BYTES};
use serde_json::Value;

use crate::peer::Peer;
use crate::world::World;

const DOCUMENT: &str = include_str!("../../../../docs/protocol.md");

/// Values that differ between runs.
const CHANGING: [&str; 5] = ["id", "at", "timestamp", "token", "log"];

fn without_changing(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|field, _| !CHANGING.contains(&field.as_str()));
        object.values_mut().for_each(|value| *value = without_changing(value.take()));
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(|value| *value = without_changing(value.take()));
    }
    value
}

#[tokio::test]
async fn the_conversation_in_the_document_is_held_as_it_stands_there() {
    let (_, rest) = DOCUMENT.split_once("## A whole conversation").unwrap();
    let (conversation, _) = rest.split_once("\n## ").unwrap();
    let world = World::start().await;
    let mut alice = world.connect().await;
    let (mut speaker, mut expected, mut heard) = ("nobody", Vec::new(), 0);
    for line in conversation.lines() {
        match line.strip_prefix("```") {
            Some("json client") => speaker = "client",
            Some("json server") => speaker = "server",
            Some(_) => {
                speaker = "nobody";
                heard += expected.len();
                hear(&mut alice, std::mem::take(&mut expected)).await;
            }
            None if speaker == "client" => alice.send(&format!("{line}\n")).await,
            None if speaker == "server" => expected.push(serde_json::from_str(line).unwrap()),
            None => {}
        }
    }
    assert!(heard >= 10, "the document has its examples");
}

/// A size as the document writes it.
fn size(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mib => format!("{mib} MiB"),
    }
}

#[test]
fn the_sizes_and_limits_in_the_document_are_those_of_the_program() {
    let (_, rest) = DOCUMENT.split_once("## Sizes").unwrap();
    let config = Config::default();
    let web = include_str!("../../../../config/launcher.toml");
    let logins = config.logins_per_minute;
    assert_eq!(
        web.matches(&format!("logins-per-minute = {logins}\n")).count(),
        2,
        "the web adapter's is the same"
    );
    for row in [
        format!("a line or frame from a client | {}", size(LINE_BYTES)),
        format!("a line or frame from the server | {}", size(SERVER_FRAME_BYTES)),
        format!("`body` | {}", size(BODY_BYTES)),
        format!("`metadata` | {}", size(METADATA_BYTES)),
        format!("logins of one address (of IPv6: one /64) | {logins} at once, and {logins} a minute"),
    ] {
        assert!(rest.contains(&format!("\n| {row}")), "the document does not say: {row}");
    }
    let patience = config.write_timeout.as_secs();
    for words in [
        format!(
            "({} messages a second, {} at once, unless configured)",
            config.messages_per_second, config.burst
        ),
        format!("one that takes nothing for\n  {patience} seconds, unless configured, is closed"),
    ] {
        assert!(DOCUMENT.contains(&words), "the document does not say: {words}");
    }
}

/// The answer and the event of the same message may arrive in either order.
async fn hear(peer: &mut Peer, expected: Vec<Value>) {
    let mut heard = Vec::new();
    for _ in &expected {
        heard.push(without_changing(peer.frame().await).to_string());
    }
    let mut expected: Vec<String> =
        expected.into_iter().map(|frame| without_changing(frame).to_string()).collect();
    heard.sort();
    expected.sort();
    assert_eq!(heard, expected);
}
