//! Reads a complete body in pieces of one size: for tests and for the fuzz target, which includes this file in its own tree.

use super::{BodyReader, NotAnAnswer, Part};

/// All parts of a body that arrives in pieces of `size` bytes.
pub(super) fn read(bytes: &[u8], size: usize) -> Result<Vec<Part>, NotAnAnswer> {
    let mut reader = BodyReader::default();
    let mut parts = Vec::new();
    for piece in bytes.chunks(size) {
        parts.extend(reader.feed(piece)?);
    }
    parts.extend(reader.finish()?);
    Ok(parts)
}
