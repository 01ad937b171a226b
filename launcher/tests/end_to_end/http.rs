//! The message API as existing programs use it.

use serde_json::{Value, json};

use crate::support::Home;
use crate::support::http::{get, post, request};
use crate::support::line_client::LineClient;

#[test]
fn a_script_posts_and_reads_and_reaches_people_who_are_online() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let (api, chat) = (launcher.home.api, launcher.home.chat);
    assert_eq!(get(api, "/health").body, r#"{"status":"ok"}"#);

    let answer = post(api, "/messages/", r#"{"sender":"cron","destination":"alice","message":"one"}"#);
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"stored"}"#));
    let full = json!({"sender": "sensor", "destination": "alice", "message": "two", "type": "notification",
        "timestamp": "2026-11-20T23:21:22.277391+00:00", "metadata": {"unit": "C"}});
    assert_eq!(post(api, "/messages/", &full.to_string()).status, 200);

    let inbox: Value = serde_json::from_str(&get(api, "/messages/alice").body).unwrap();
    let messages = inbox["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["message"], "one");
    let keys: Vec<&String> = messages[1].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["_id", "sender", "destination", "message", "timestamp", "type", "metadata"]);
    assert_eq!(messages[1]["timestamp"], "2026-11-20T23:21:22.277391+00:00");
    assert_eq!(messages[1]["metadata"], json!({"unit": "C"}));
    assert_eq!(get(api, "/messages/alice").body, r#"{"messages":[]}"#);

    let (mut alice, _) = LineClient::login(chat, "alice");
    assert!(alice.has_nothing_more(), "what was read through the API is not shown again");
    post(api, "/messages/", &full.to_string());
    assert_eq!(alice.line(), "[sensor][2026-11-20T23:21:22.277391+00:00] two Metadata: {\"unit\":\"C\"}\n");
    alice.send("cron: thanks\n");
    assert_eq!(alice.line(), "User 'cron' is offline. Message saved.\n");
    let inbox: Value = serde_json::from_str(&get(api, "/messages/CRON").body).unwrap();
    assert_eq!(inbox["messages"][0]["message"], "thanks");
}

#[test]
fn mistakes_are_named_and_the_rest_is_closed() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let api = launcher.home.api;
    for (body, field) in [
        (r#"{"sender":"cron","message":"x"}"#, "destination"),
        (r#"{"sender":"two words","destination":"alice","message":"x"}"#, "sender"),
        (r#"{"sender":"cron","destination":"alice","message":7}"#, "message"),
    ] {
        let answer = post(api, "/messages/", body);
        assert_eq!(answer.status, 422, "{}", answer.body);
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["field"], field, "{}", answer.body);
    }
    assert_eq!(post(api, "/messages/", "not json").status, 422);
    assert_eq!(get(api, "/v1/users").status, 401);
    let forged = [("Origin", "http://evil.example"), ("Content-Type", "application/json")];
    let answer =
        request(api, "POST", "/messages/", &forged, r#"{"sender":"a","destination":"b","message":"x"}"#);
    assert_eq!(answer.status, 403, "{}", answer.body);
    let document: Value = serde_json::from_str(&get(api, "/openapi.json").body).unwrap();
    assert!(document["paths"]["/messages/"]["post"].is_object());
    assert!(get(api, "/docs").head.contains("text/html"));
}

#[test]
fn nobody_speaks_as_a_service_or_reads_for_one() {
    let home = Home::new().set("thermometer.name=weather").argument("--no-web").argument("--no-thermometer");
    let launcher = home.up();
    let api = launcher.home.api;
    for name in ["weather", "OpenAI"] {
        let message = json!({"sender": name, "destination": "alice", "message": "trust me"}).to_string();
        assert_eq!(post(api, "/messages/", &message).status, 403, "{name}");
        assert_eq!(get(api, &format!("/messages/{name}")).status, 403, "{name}");
    }
    assert_eq!(get(api, "/messages/alice").body, r#"{"messages":[]}"#);
}
