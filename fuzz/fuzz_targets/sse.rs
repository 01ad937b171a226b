//! A model's stream gives the same lines wherever its bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openai_bot::sse::Decoder;

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, bytes) = input;
    let whole = Decoder::default().feed(&bytes);
    let mut decoder = Decoder::default();
    let pieces: Result<Vec<_>, _> =
        bytes.chunks(usize::from(size).max(1)).map(|piece| decoder.feed(piece)).collect();
    assert_eq!(whole, pieces.map(|lines| lines.concat()));
});
