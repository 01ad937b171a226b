//! Undoes the compression of gateways that compress although we ask them not to.

use std::io::{self, Write as _};

use flate2::write::{MultiGzDecoder, ZlibDecoder};

/// Bytes unpacked at a time: deflate makes at most about a thousand bytes of one, so that this is what bounds a step's memory.
const STEP: usize = 1024;
/// What a gzip stream begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Takes bytes in as they came, gives them out as they were meant. gzip is known by its first bytes, for some gateways do not tell.
#[derive(Debug)]
pub(crate) enum Unpacker {
    /// The first bytes are not here yet.
    Undecided {
        /// The header says so.
        is_zlib: bool,
        first: Vec<u8>,
    },
    Plain,
    Gzip(MultiGzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
}

impl Unpacker {
    /// For a body with this `Content-Encoding`.
    pub(crate) fn new(encoding: Option<&str>) -> Self {
        let is_zlib = encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("deflate"));
        Self::Undecided { is_zlib, first: Vec::new() }
    }

    /// Unpacks some more bytes and hands them on in steps of bounded size.
    ///
    /// # Errors
    /// When they are not what they should be, or `take` says so.
    pub(crate) fn feed<E: From<io::Error>>(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let decided = self.decide(bytes);
        let bytes = decided.as_deref().unwrap_or(bytes);
        for step in bytes.chunks(STEP) {
            match self {
                // Held back until there is enough to tell.
                Self::Undecided { .. } => {}
                Self::Plain => take(step)?,
                Self::Gzip(decoder) => {
                    decoder.write_all(step)?;
                    decoder.flush()?;
                    take(&std::mem::take(decoder.get_mut()))?;
                }
                Self::Zlib(decoder) => {
                    decoder.write_all(step)?;
                    decoder.flush()?;
                    take(&std::mem::take(decoder.get_mut()))?;
                }
            }
        }
        Ok(())
    }

    /// What was held back and the new bytes, once they tell what they are.
    fn decide(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Self::Undecided { is_zlib, first } = self else { return None };
        first.extend_from_slice(bytes);
        if first.len() < GZIP.len() && GZIP.starts_with(first) {
            return Some(Vec::new());
        }
        let (first, is_zlib) = (std::mem::take(first), *is_zlib);
        *self = if first.starts_with(GZIP) {
            Self::Gzip(MultiGzDecoder::new(Vec::new()))
        } else if is_zlib {
            Self::Zlib(ZlibDecoder::new(Vec::new()))
        } else {
            Self::Plain
        };
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn unpack(encoding: Option<&str>, bytes: &[u8], size: usize) -> io::Result<Vec<u8>> {
        let mut unpacker = Unpacker::new(encoding);
        let mut all = Vec::new();
        for piece in bytes.chunks(size) {
            unpacker.feed(piece, |step| {
                all.extend_from_slice(step);
                Ok::<_, io::Error>(())
            })?;
        }
        Ok(all)
    }

    #[test]
    fn what_was_compressed_comes_out_wherever_it_was_cut() {
        let text = "data: {}\n\n".repeat(500);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(text.as_bytes()).unwrap();
        let zlib = zlib.finish().unwrap();
        for size in [1, 3, 100_000] {
            assert_eq!(unpack(None, text.as_bytes(), size).unwrap(), text.as_bytes());
            assert_eq!(unpack(Some("gzip"), &gzip, size).unwrap(), text.as_bytes());
            assert_eq!(unpack(None, &gzip, size).unwrap(), text.as_bytes(), "without a header");
            assert_eq!(unpack(Some("deflate"), &zlib, size).unwrap(), text.as_bytes());
        }
        assert_eq!(unpack(Some("gzip"), text.as_bytes(), 7).unwrap(), text.as_bytes(), "a header that lies");
    }

    #[test]
    fn a_small_body_that_unpacks_to_a_huge_one_comes_in_bounded_steps() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![0; 32 * 1024 * 1024]).unwrap();
        let bomb = gzip.finish().unwrap();
        let mut unpacker = Unpacker::new(Some("gzip"));
        let mut most = 0;
        let take = |step: &[u8]| {
            most = most.max(step.len());
            Ok::<_, io::Error>(())
        };
        unpacker.feed(&bomb, take).unwrap();
        assert!((1..=2 * 1024 * 1024).contains(&most), "{most}");
    }
}
