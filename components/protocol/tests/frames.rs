//! Compares the list of frames with code that names frames without the Rust types: the page's scripts, and the tests' fakes.

#![allow(clippy::unwrap_used, reason = "tests may, also in what they share")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use protocol::native::{ClientFrame, ErrorCode, ServerFrame};
use serde_json::Value;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words after each `start`, up to a quotation mark, escaped or not.
fn words_behind<'t>(text: &'t str, start: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(start).skip(1).map(|rest| rest.split(['"', '\\']).next().unwrap())
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web-adapter/page/scripts");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect()
}

#[test]
fn the_page_sends_frames_that_there_are_and_waits_for_no_others() {
    let (mut sent, mut heard) = (BTreeSet::new(), BTreeSet::new());
    for script in scripts() {
        let text = std::fs::read_to_string(script).unwrap();
        sent.extend(words_behind(&text, ".send({ type: \"").map(str::to_owned));
        sent.extend(words_behind(&text, "return {\n          type: \"").map(str::to_owned));
        for switch in text.split("switch (frame.type) {").skip(1) {
            heard
                .extend(words_behind(switch.split("default:").next().unwrap(), "case \"").map(str::to_owned));
        }
    }
    let unknown: Vec<_> = sent.iter().filter(|kind| !ClientFrame::TYPES.contains(&kind.as_str())).collect();
    assert!(unknown.is_empty() && sent.contains("hello") && sent.len() >= 5, "{sent:?}");
    let unknown: Vec<_> = heard.iter().filter(|kind| !ServerFrame::TYPES.contains(&kind.as_str())).collect();
    assert!(unknown.is_empty() && heard.len() >= 10, "{heard:?}");
}

#[test]
fn the_page_knows_no_error_that_there_is_not() {
    let text = read("components/web-adapter/page/scripts/connection.js");
    let codes = text.split("const FINAL = new Set([").nth(1).unwrap().split("])").next().unwrap();
    let codes: Vec<&str> = codes.split(", ").map(|code| code.trim_matches('"')).collect();
    assert!(codes.len() >= 4, "{codes:?}");
    for code in codes {
        serde_json::from_value::<ErrorCode>(Value::from(code)).unwrap();
    }
}

/// Every `type` of an object in what is not the native dialect: kinds of messages, and the frames of existing pages.
fn others() -> BTreeSet<String> {
    let of = |schema: schemars::Schema| {
        let schema = schema.to_value();
        let variants = schema["oneOf"].as_array().unwrap().clone();
        variants.into_iter().filter_map(|variant| {
            let kind = variant.pointer("/properties/type/const").or(variant.get("const"))?;
            kind.as_str().map(str::to_owned)
        })
    };
    let kinds = ["chat", "command", "notification", "subscription"].map(str::to_owned);
    of(schemars::schema_for!(protocol::web::PageFrame))
        .chain(of(schemars::schema_for!(protocol::web::AdapterFrame)))
        .chain(kinds)
        .collect()
}

#[test]
fn stand_ins_and_the_benchmark_speak_in_frames_that_there_are() {
    let others = others();
    for path in [
        "bench/src/codec/native.rs",
        "components/terminal/tests/support/mod.rs",
        "components/transport/tests/native.rs",
        "components/web-adapter/tests/support/mod.rs",
        "launcher/tests/hostile/chat.rs",
        "launcher/tests/links/hall.rs",
    ] {
        let text = read(path).replace('\\', "");
        let starts = ["\"type\":\"", "\"type\": \""];
        let named: BTreeSet<&str> = starts.iter().flat_map(|start| words_behind(&text, start)).collect();
        // Some contain a truncated frame without such a word.
        let is_word =
            |kind: &&str| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        for kind in named.into_iter().filter(is_word) {
            let known = ClientFrame::TYPES.contains(&kind)
                || ServerFrame::TYPES.contains(&kind)
                || others.contains(kind);
            assert!(known, "{path} has '{kind}'");
        }
    }
}
