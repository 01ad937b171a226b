//! `/openapi.json` and `/docs`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::Server;

#[tokio::test]
async fn every_endpoint_of_the_document_answers_and_every_endpoint_is_in_it() {
    let server = Server::start().await;
    let document = server.ask("GET", "/openapi.json", "").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert(format!("{} {path}", method.to_uppercase()));
            let path = path
                .replace("{user}", "bob")
                .replace("{id}", "dm:alice:bob")
                .replace("{owner}", "openai")
                .replace("{key}", "k");
            if path != "/v1/feed" {
                let status = server.ask_v1(&method.to_uppercase(), &path, "{}").await.status;
                assert!(!matches!(status, 404 | 405 | 500..), "{method} {path}: {status}");
            }
        }
    }
    // The table of `protocol::api` is authoritative.
    let source = include_str!("../../../protocol/src/api.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('`').next());
    let expected: BTreeSet<String> = rows.map(|row| row.split('?').next().unwrap().to_owned()).collect();
    assert!(expected.len() >= 13, "{expected:?}");
    assert_eq!(documented, expected);
}

#[tokio::test]
async fn answers_have_the_fields_that_the_document_tells() {
    let server = Server::start().await;
    let document = server.ask("GET", "/openapi.json", "").await.json();
    let draft = json!({"drafts": [{"sender": "alice", "destination": "bob", "body": "x", "client_id": "c"}]});
    for (method, path, real, body) in [
        ("post", "/v1/append", "/v1/append", draft),
        ("get", "/v1/users/{user}/unseen", "/v1/users/bob/unseen", Value::Null),
        ("get", "/v1/users/{user}/conversations", "/v1/users/bob/conversations", Value::Null),
        ("get", "/v1/conversations/{id}/events", "/v1/conversations/dm:alice:bob/events", Value::Null),
        ("post", "/v1/users", "/v1/users", json!({"name": "bob"})),
        ("get", "/v1/users", "/v1/users", Value::Null),
        ("post", "/v1/users/standing", "/v1/users/standing", json!({"name": "b0b"})),
        ("post", "/v1/users/standing", "/v1/users/standing", json!({"name": "bob"})),
        ("get", "/v1/state/{owner}", "/v1/state/openai", Value::Null),
        ("get", "/messages/{user}", "/messages/bob", Value::Null),
        ("post", "/messages/", "/messages/", json!({"sender": "a", "destination": "b", "message": "c"})),
        ("get", "/health", "/health", Value::Null),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = server.ask_v1(&method.to_uppercase(), real, &body).await;
        assert_eq!(answer.status, 200, "{real}: {answer:?}");
        let schema =
            &document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&document, schema, &answer.json(), real);
    }
    let problem = server.ask("POST", "/messages/", "{}").await.json();
    check(&document, &document["components"]["schemas"]["Problem"], &problem, "problem");
}

/// Objects have exactly the fields of their schema, at every level.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} is there"));
        return check(document, schema, value, at);
    }
    let one_of =
        schema["anyOf"].as_array().and_then(|any| any.iter().find(|schema| schema["type"] != "null"));
    if let Some(schema) = one_of.filter(|_| !value.is_null()) {
        return check(document, schema, value, at);
    }
    match value {
        Value::Object(fields) => {
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(required.as_str().unwrap()), "{at} lacks {required}");
            }
            for (field, value) in fields {
                if schema["properties"].is_object() {
                    let schema = &schema["properties"][field];
                    assert!(!schema.is_null(), "{at}.{field} is not in the document");
                    check(document, schema, value, &format!("{at}.{field}"));
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check(document, &schema["items"], item, at)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let server = Server::start().await;
    let page = server.ask("GET", "/docs", "").await;
    assert_eq!(page.status, 200);
    let head = page.head.to_ascii_lowercase();
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(head.contains("content-type: text/html"), "{head}");
    for file in ["/docs/docs.css", "/docs/docs.js"] {
        assert!(page.body.contains(file), "{file}");
        let answer = server.ask("GET", file, "").await;
        assert_eq!(answer.status, 200);
        for text in [&answer.body, &page.body] {
            assert!(!text.contains("https://") && !text.contains("innerHTML"), "{file}");
        }
    }
}
