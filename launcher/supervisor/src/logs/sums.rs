//! Checksums of a log, one per block, so that a changed byte can be located.

/// The size of a block in bytes.
pub(crate) const BLOCK: usize = 4096;

/// The CRC-32s of the added bytes, in blocks of [`BLOCK`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Sums {
    whole: Vec<u32>,
    open: crc32fast::Hasher,
    /// The number of bytes in the last block.
    filled: usize,
}

impl Sums {
    /// Continues after complete blocks.
    pub(super) fn after(whole: Vec<u32>) -> Self {
        Self { whole, ..Self::default() }
    }

    /// Adds bytes.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.open.update(now);
            self.filled += now.len();
            bytes = rest;
            if self.filled == BLOCK {
                self.whole.push(std::mem::take(&mut self.open).finalize());
                self.filled = 0;
            }
        }
    }

    /// The sums from a block on; the last one may be that of a partial block.
    pub(crate) fn from(&self, block: usize) -> Vec<u32> {
        let open = (self.filled > 0).then(|| self.open.clone().finalize());
        self.whole.iter().copied().skip(block).chain(open).collect()
    }

    /// The complete blocks before an offset, and where they end: the bytes after them must be added again.
    pub(super) fn before(&self, place: u64) -> (Self, u64) {
        let blocks = whole_blocks(place).min(self.whole.len());
        (Self::after(self.whole[..blocks].to_vec()), (blocks * BLOCK) as u64)
    }
}

/// The number of complete blocks before an offset.
pub(super) fn whole_blocks(place: u64) -> usize {
    usize::try_from(place).expect("a file has less bytes than there are addresses") / BLOCK
}

/// As text: eight digits each.
pub(super) fn to_hex(sums: &[u32]) -> String {
    use std::fmt::Write;
    sums.iter().fold(String::with_capacity(sums.len() * 8), |mut text, sum| {
        let _ = write!(text, "{sum:08x}");
        text
    })
}

/// From text; `None` if it is invalid.
pub(super) fn from_hex(text: &str) -> Option<Vec<u32>> {
    if !text.is_ascii() || !text.len().is_multiple_of(8) {
        return None;
    }
    (0..text.len() / 8).map(|i| u32::from_str_radix(&text[i * 8..i * 8 + 8], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_matter_and_one_can_go_on_from_any_place() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 77).map(|i| (i * 7 % 251) as u8).collect();
        let mut all = Sums::default();
        all.add(&bytes);
        assert_eq!(all.from(0).len(), 4);
        for size in [1, 1000, BLOCK, 5000] {
            let mut sums = Sums::default();
            bytes.chunks(size).for_each(|piece| sums.add(piece));
            assert_eq!(sums.from(0), all.from(0));
            let (mut again, from) = sums.before(2 * BLOCK as u64 + 5);
            again.add(&bytes[from as usize..]);
            assert_eq!(again.from(1), all.from(1));
        }
        assert_eq!(from_hex(&to_hex(&all.from(0))), Some(all.from(0)));
        assert_eq!((from_hex("123"), from_hex("ä234567")), (None, None));
    }
}
