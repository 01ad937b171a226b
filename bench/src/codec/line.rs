//! Lines of text.

use bytes::{Bytes, BytesMut};

/// The next line, without its newline.
pub(super) fn next(input: &mut BytesMut) -> Option<Bytes> {
    let end = memchr::memchr(b'\n', input)?;
    let mut line = input.split_to(end + 1).freeze();
    line.truncate(if line[..end].ends_with(b"\r") { end - 1 } else { end });
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_when_it_is_whole() {
        let mut input = BytesMut::from(&b"one\ntwo\r\nth"[..]);
        assert_eq!(next(&mut input).unwrap(), "one");
        assert_eq!(next(&mut input).unwrap(), "two");
        assert_eq!(next(&mut input), None);
        input.extend_from_slice(b"ree\n\n");
        assert_eq!(next(&mut input).unwrap(), "three");
        assert_eq!(next(&mut input).unwrap(), "");
        assert!(input.is_empty());
    }
}
