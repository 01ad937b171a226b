//! Any datagram means something or nothing, and a beacon that was read is written and read again as the same.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::lan::datagram::{DATAGRAM_BYTES, Datagram};

/// What a beacon begins with. Inputs are tried with and without it: a fuzzer does not find nine bytes that are compared at once.
const MAGIC: &[u8] = b"P2PCHAT1 ";

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&[MAGIC, bytes].concat());
});

fn check(bytes: &[u8]) {
    match Datagram::parse(bytes) {
        Some(Datagram::Beacon(beacon)) => {
            assert!(bytes.len() <= DATAGRAM_BYTES && beacon.port != 0);
            assert_eq!(Datagram::parse(&beacon.to_bytes()), Some(Datagram::Beacon(beacon)));
            reached!("beacon");
        }
        Some(Datagram::Presence) => reached!("presence"),
        None => reached!("nothing"),
    }
}
