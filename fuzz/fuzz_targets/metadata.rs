//! Metadata that were read hold to their bounds, read as themselves, and show nothing of the mark of a program.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::Metadata;
use protocol::limits::METADATA_BYTES;

fuzz_target!(|text: &str| {
    let Ok(metadata) = serde_json::from_str::<Metadata>(text) else { return };
    let written = metadata.to_json();
    assert!(written.len() <= METADATA_BYTES);
    assert_eq!(serde_json::from_str::<Metadata>(&written).expect("what was written is read"), metadata);
    reached!("metadata");
    if let Ok(marked) = metadata.clone().into_automatic() {
        assert!(marked.is_automatic());
        assert_eq!(marked.shown(), metadata.shown());
        reached!("marked");
    }
});
