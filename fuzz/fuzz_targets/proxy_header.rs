//! What a proxy says of a connection: bounded, the same however much of it has come, and never read past its end.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;

// The file itself, for the crate around it brings an HTTP server, which takes long to build.
#[path = "../../components/kit/src/proxy/header.rs"]
mod header;

use header::{LONGEST, Parsed, parse};

const BEGINNINGS: [&[u8]; 3] = [b"", b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n\x21"];

fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let beginning = BEGINNINGS[usize::from(*which) % BEGINNINGS.len()];
    let bytes = [beginning, rest].concat();
    let parsed = parse(&bytes);
    match parsed {
        Parsed::Header(client, length) => {
            assert!(length <= bytes.len() && length <= LONGEST);
            (0..length).for_each(|cut| assert_eq!(parse(&bytes[..cut]), Parsed::Incomplete));
            match client {
                Some(client) if client.is_ipv4() => reached!("version-4"),
                Some(_) => reached!("version-6"),
                None => reached!("unknown"),
            }
            if bytes.starts_with(b"PROXY ") {
                reached!("text");
            } else {
                reached!("binary");
            }
        }
        Parsed::Incomplete => {
            assert!(bytes.len() < LONGEST);
            reached!("incomplete");
        }
        Parsed::Invalid => reached!("invalid"),
    }
    // What comes later changes nothing.
    if parsed != Parsed::Incomplete {
        assert_eq!(parse(&[&bytes, &b"alice\n"[..]].concat()), parsed);
    }
});
