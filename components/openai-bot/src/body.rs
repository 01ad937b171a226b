//! Splits a response body: a stream of events, a single object, or lines of objects. The format is detected from the first bytes, because
//! endpoints and gateways use arbitrary content types.

use crate::objects::{NotObjects, Objects};
use crate::sse::{Decoder, Line, LineTooLong};

/// Most bytes stored of an error event.
const ERROR_BYTES: usize = 16 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A part of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A JSON object, or what looks like one.
    Object(String),
    /// The content of an error event: JSON or plain text.
    Error(String),
    /// `[DONE]`
    Done,
}

/// The body has no known format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnAnswer {
    #[error("it is a web page")]
    WebPage,
    #[error(transparent)]
    Objects(#[from] NotObjects),
    #[error(transparent)]
    Line(#[from] LineTooLong),
    #[error("an object breaks off")]
    BrokenObject,
}

#[derive(Debug)]
enum Format {
    /// Only white space so far: some endpoints send it to keep the connection open.
    Unknown,
    Json,
    Events(Decoder),
}

/// Splits bytes into parts.
///
/// Bound: one line or object; see [`Decoder`] and [`Objects`].
#[derive(Debug)]
pub(crate) struct BodyReader {
    format: Format,
    /// The first bytes, while they may still be a byte order mark.
    mark: Vec<u8>,
    objects: Objects,
    /// The data of an error event so far.
    error: Option<Vec<u8>>,
}

impl Default for BodyReader {
    fn default() -> Self {
        Self { format: Format::Unknown, mark: Vec::new(), objects: Objects::default(), error: None }
    }
}

impl BodyReader {
    /// Whether the body is only white space.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.format, Format::Unknown)
    }

    /// Processes more bytes of the body.
    ///
    /// # Errors
    /// When the format is unknown.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Part>, NotAnAnswer> {
        let unmarked;
        let bytes = if let Format::Unknown = self.format {
            self.mark.extend_from_slice(bytes);
            unmarked = std::mem::take(&mut self.mark);
            let rest = without_blank(&unmarked);
            match rest.first() {
                None => return Ok(Vec::new()),
                Some(_) if rest.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(rest) => {
                    self.mark = rest.to_vec();
                    return Ok(Vec::new());
                }
                Some(b'<') => return Err(NotAnAnswer::WebPage),
                Some(b'{' | b'[') => self.format = Format::Json,
                Some(_) => self.format = Format::Events(Decoder::default()),
            }
            rest
        } else {
            bytes
        };
        let lines = match &mut self.format {
            Format::Unknown | Format::Json => {
                let mut objects = Vec::new();
                self.objects.feed(bytes, &mut objects)?;
                return Ok(objects.into_iter().map(Part::Object).collect());
            }
            Format::Events(decoder) => decoder.feed(bytes)?,
        };
        self.take_lines(lines)
    }

    /// The body has ended.
    ///
    /// # Errors
    /// When an object is incomplete.
    pub(crate) fn finish(&mut self) -> Result<Vec<Part>, NotAnAnswer> {
        let mut parts = Vec::new();
        if let Format::Events(decoder) = &mut self.format {
            let last = decoder.finish();
            parts = self.take_lines(last)?;
            parts.extend(self.end_error());
        }
        if self.objects.is_open() { Err(NotAnAnswer::BrokenObject) } else { Ok(parts) }
    }

    fn take_lines(&mut self, lines: impl IntoIterator<Item = Line>) -> Result<Vec<Part>, NotAnAnswer> {
        let mut parts = Vec::new();
        for line in lines {
            match line {
                Line::Event(name) => self.error = (name.trim_ascii() == b"error").then(Vec::new),
                Line::Error(data) => parts.push(Part::Error(String::from_utf8_lossy(&data).into_owned())),
                Line::Blank if self.objects.is_open() => return Err(NotAnAnswer::BrokenObject),
                Line::Blank => parts.extend(self.end_error()),
                Line::Data(data) => self.take_data(&data, &mut parts)?,
            }
        }
        Ok(parts)
    }

    fn take_data(&mut self, data: &[u8], parts: &mut Vec<Part>) -> Result<(), NotAnAnswer> {
        if let Some(error) = &mut self.error {
            let room = ERROR_BYTES.saturating_sub(error.len());
            error.extend_from_slice(&data[..data.len().min(room)]);
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            parts.push(Part::Done);
            return Ok(());
        }
        let mut objects = Vec::new();
        match self.objects.feed(data, &mut objects) {
            // Such as "ping", which only keeps the connection open.
            Ok(()) | Err(NotObjects::SomethingElse) => {}
            Err(error @ NotObjects::TooLong) => return Err(error.into()),
        }
        parts.extend(objects.into_iter().map(Part::Object));
        Ok(())
    }

    fn end_error(&mut self) -> Option<Part> {
        let data = self.error.take().filter(|data| !data.is_empty())?;
        Some(Part::Error(String::from_utf8_lossy(&data).into_owned()))
    }
}

/// Strips leading byte order marks and white space.
fn without_blank(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes.trim_ascii_start();
    while let Some(unmarked) = rest.strip_prefix(BYTE_ORDER_MARK) {
        rest = unmarked.trim_ascii_start();
    }
    rest
}

// A file of its own, because the fuzz target includes it in its own tree.
#[cfg(test)]
#[path = "body/drain.rs"]
mod drain;

#[cfg(test)]
mod tests {
    use super::drain::read;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_bytes_tell_what_a_body_is() {
        let object = |text: &str| Part::Object(text.to_owned());
        for size in [1, 2, 1000] {
            let read = |text: &str| read(text.as_bytes(), size);
            assert_eq!(read("\u{feff} \n{\"a\":1}").unwrap(), [object("{\"a\":1}")]);
            assert_eq!(read("\u{feff}data: {}\n\ndata: [DONE]").unwrap(), [object("{}"), Part::Done]);
            assert_eq!(
                read("\n\n: wait\ndata: {\ndata: }\ndata: {}\n").unwrap(),
                [object("{}"), object("{}")]
            );
            assert_eq!(read("data: ping\n\ndata: {}").unwrap(), [object("{}")]);
            let error = "event: error\ndata: {\"message\":\ndata: \"no\"}\n\ndata: {}\n\n";
            assert_eq!(read(error).unwrap(), [Part::Error("{\"message\":\"no\"}".into()), object("{}")]);
            assert_eq!(read("error: {}\n").unwrap(), [Part::Error("{}".into())]);
            assert_eq!(read(" <html>"), Err(NotAnAnswer::WebPage));
            assert_eq!(read("{\"a\":"), Err(NotAnAnswer::BrokenObject));
            assert_eq!(read("data: {\"a\":\n\ndata: {}\n"), Err(NotAnAnswer::BrokenObject));
            assert_eq!(read("\n\u{feff}{}").unwrap(), [object("{}")]);
            assert_eq!(read("[1]"), Err(NotObjects::SomethingElse.into()));
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_gives_the_same_parts(text in "(data: |event: error|\\{|\\}|\"|\r\n|\n| |a|\\[DONE\\]|\u{feff}){0,30}", size in 1usize..9) {
            prop_assert_eq!(read(text.as_bytes(), size), read(text.as_bytes(), usize::MAX));
        }
    }
}
