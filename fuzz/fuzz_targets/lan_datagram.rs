//! Any datagram means something or nothing, and a beacon that was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::lan::datagram::{DATAGRAM_BYTES, Datagram};

fuzz_target!(|bytes: &[u8]| {
    if let Some(Datagram::Beacon(beacon)) = Datagram::parse(bytes) {
        assert!(bytes.len() <= DATAGRAM_BYTES && beacon.port != 0);
        assert_eq!(Datagram::parse(&beacon.to_bytes()), Some(Datagram::Beacon(beacon)));
    }
});
