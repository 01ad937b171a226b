//! Compares `docs/protocol.md` with the types: every example parses and shows no unknown field, and no frame, field of a `hello` or `send`,
//! or error code is missing.

#![allow(clippy::unwrap_used, reason = "tests may, also in what they share")]

use std::collections::BTreeSet;

use protocol::limits::{
    BODY_BYTES, LINE_BYTES, METADATA_BYTES, METADATA_DEPTH, NAME_CHARS, PAGE_EVENTS, SERVER_FRAME_BYTES,
};
use protocol::native::{ClientFrame, ServerFrame, parse_client_frame};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The lines of all examples with this fence.
fn examples(fence: &str) -> Vec<&'static str> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in DOCUMENT.lines() {
        match line.strip_prefix("```") {
            Some(info) => inside = !inside && info.starts_with(fence),
            None if inside => lines.push(line),
            None => {}
        }
    }
    lines
}

fn value(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Every field shown exists in the type, with the parsed value.
fn assert_shown_is_known(shown: &Value, known: &Value, line: &str) {
    let (Some(shown), Some(known)) = (shown.as_object(), known.as_object()) else {
        return;
    };
    for (field, value) in shown {
        let known = known.get(field).unwrap_or_else(|| panic!("'{field}' is no field: {line}"));
        assert_shown_is_known(value, known, line);
    }
}

fn types(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| value(line)["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_clients_send_is_understood() {
    for line in examples("json client") {
        match parse_client_frame(line) {
            Ok(frame) => {
                assert_shown_is_known(&value(line), &serde_json::to_value(frame).unwrap(), line);
            }
            // The conversation contains two errors on purpose; their answers follow them.
            Err(error) => assert!(DOCUMENT.contains(&error.message), "{}: {line}", error.message),
        }
    }
}

#[test]
fn what_the_server_sends_is_exactly_that() {
    for line in examples("json server") {
        let frame: ServerFrame = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(serde_json::to_string(&frame).unwrap(), line);
    }
}

fn all(types: &[&str]) -> BTreeSet<String> {
    types.iter().map(|kind| (*kind).to_owned()).collect()
}

#[test]
fn every_frame_is_shown() {
    assert_eq!(types(&examples("json client frames")), all(ClientFrame::TYPES));
    assert_eq!(types(&examples("json server frames")), all(ServerFrame::TYPES));
}

/// A row for each frame of a side, in the order of the list: its type, required fields, optional fields, and meaning.
fn rows<T: schemars::JsonSchema>() -> Vec<String> {
    let schema = schemars::schema_for!(T).to_value();
    schema["oneOf"].as_array().unwrap().iter().map(|variant| row(&schema, variant)).collect()
}

fn row(schema: &Value, variant: &Value) -> String {
    let kind = variant["properties"]["type"]["const"].as_str().unwrap();
    let body = variant["$ref"].as_str().map(|path| schema.pointer(path.trim_start_matches('#')).unwrap());
    let parts: Vec<&Value> = [Some(variant), body].into_iter().flatten().collect();
    let required: BTreeSet<&str> = parts
        .iter()
        .filter_map(|part| part["required"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields =
        parts.iter().filter_map(|part| part["properties"].as_object()).flat_map(serde_json::Map::keys);
    let fields: BTreeSet<&str> = fields.map(String::as_str).filter(|field| *field != "type").collect();
    let (needed, free): (Vec<&str>, Vec<&str>) = fields.iter().partition(|field| required.contains(**field));
    let cell = |fields: Vec<&str>| {
        let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
        if fields.is_empty() { " ".to_owned() } else { format!(" {} ", fields.join(", ")) }
    };
    let about = variant["description"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    format!("| `{kind}` |{}|{}| {about} |", cell(needed), cell(free))
}

#[test]
fn the_tables_of_frames_are_the_ones_in_the_code() {
    let mut tables =
        DOCUMENT.split("| frame | fields | may be missing | meaning |\n| --- | --- | --- | --- |\n");
    tables.next();
    let shown: Vec<Vec<&str>> =
        tables.map(|table| table.lines().take_while(|line| !line.is_empty()).collect()).collect();
    assert_eq!(shown, [rows::<ClientFrame>(), rows::<ServerFrame>()]);
}

#[test]
fn every_error_code_is_explained() {
    let schema = schemars::schema_for!(protocol::native::ErrorCode).to_value();
    for variant in schema["oneOf"].as_array().unwrap() {
        let code = variant["const"].as_str().unwrap();
        assert!(DOCUMENT.contains(&format!("| `{code}` |")), "{code}");
    }
}

#[test]
fn every_field_of_hello_and_send_is_explained() {
    for schema in
        [schemars::schema_for!(protocol::native::Hello), schemars::schema_for!(protocol::native::Send)]
    {
        for field in schema.to_value()["properties"].as_object().unwrap().keys() {
            assert!(DOCUMENT.contains(&format!("| `{field}` |")), "{field}");
        }
    }
}

#[test]
fn sizes_are_the_ones_in_the_code() {
    assert_eq!((NAME_CHARS, METADATA_DEPTH, PAGE_EVENTS), (32, 16, 200));
    assert_eq!(
        (LINE_BYTES >> 10, BODY_BYTES >> 10, METADATA_BYTES >> 10, SERVER_FRAME_BYTES >> 20),
        (64, 16, 8, 1)
    );
    for text in [
        "1 to 32 letters",
        "nested at most 16 deep",
        "At most 200 events",
        "| 64 KiB |",
        "| 16 KiB |",
        "| 8 KiB |",
        "| 1 MiB |",
    ] {
        assert!(DOCUMENT.contains(text), "{text}");
    }
}
