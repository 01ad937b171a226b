//! Decompresses responses of gateways that compress although we ask them not to.

use std::io::{self, Write as _};

use flate2::write::{MultiGzDecoder, ZlibDecoder};

/// Input bytes per step: deflate expands by at most about a thousand, so this bounds a step's memory.
const STEP: usize = 1024;
/// The magic number of gzip.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Decompresses a body. gzip is detected by its first bytes, because some gateways do not declare it.
#[derive(Debug)]
pub(crate) enum Unpacker {
    /// Waiting for the first bytes.
    Undecided {
        /// Whether the header declares zlib.
        is_zlib: bool,
        first: Vec<u8>,
    },
    Plain,
    Gzip(MultiGzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
}

impl Unpacker {
    /// Creates an unpacker for a body with this `Content-Encoding`.
    pub(crate) fn new(encoding: Option<&str>) -> Self {
        let is_zlib = encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("deflate"));
        Self::Undecided { is_zlib, first: Vec::new() }
    }

    /// Decompresses more bytes and passes them on in steps of bounded size.
    ///
    /// # Errors
    /// When the data is corrupt, and errors of `take`.
    pub(crate) fn feed<E: From<io::Error>>(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let decided = self.decide(bytes);
        let bytes = decided.as_deref().unwrap_or(bytes);
        for step in bytes.chunks(STEP) {
            match self {
                // Held back until the format is known.
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

    /// The held and the new bytes, once the format is known.
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
