//! A model's answer is read the same wherever its bytes are cut: lines, objects, thoughts.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;

// The files themselves, for the crate around them brings an HTTP client and TLS, which take minutes to build.
#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../../components/openai-bot/src/body.rs"]
mod body;
#[path = "../../components/openai-bot/src/body/drain.rs"]
mod drain;
#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../../components/openai-bot/src/objects.rs"]
mod objects;
#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../../components/openai-bot/src/sse.rs"]
mod sse;
#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../../components/openai-bot/src/thoughts.rs"]
mod thoughts;

use body::{BodyReader, NotAnAnswer, Part};
use drain::read;
use thoughts::Thoughts;

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else { return };
    let size = usize::from(*size).max(1);
    let parts = read(bytes, usize::MAX);
    assert_eq!(read(bytes, size), parts);
    for part in parts.iter().flatten() {
        match part {
            Part::Object(object) if serde_json::from_str::<serde_json::Value>(object).is_ok() => {
                reached!("object")
            }
            Part::Object(_) => reached!("no-json"),
            Part::Error(_) => reached!("error"),
            Part::Done => reached!("done"),
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let chars: Vec<char> = text.chars().collect();
        let pieces = chars.chunks(size).map(|piece| piece.iter().collect());
        let shown = show(pieces);
        assert_eq!(shown, show(std::iter::once(text.to_owned())));
        if shown.len() < text.len() {
            reached!("thoughts");
        }
    }
});

fn show(pieces: impl Iterator<Item = String>) -> String {
    let (mut thoughts, mut text) = (Thoughts::default(), String::new());
    for piece in pieces {
        thoughts.take(&piece, &mut text);
    }
    thoughts.finish(&mut text);
    text
}
