//! The format of the lines in a log: as the component wrote them, or with their time as text or JSON.
//!
//! * `raw` changes nothing.
//! * `text` puts the time before each line and a space after it; the rest of the line goes through as it comes. Where standard error is told
//!   apart, its lines have `[stderr] ` after the time.
//! * `json` makes an object of each line: `time`, `component`, and `line`. A line that is no UTF-8 has `base64` in the place of
//!   `line`, so that no byte is lost. One longer than [`MAX_LINE`] becomes several, all but the last with `"more":true`; one that
//!   ends with its process has `"unfinished":true`. Where standard error is told apart there is `"stream"`, `stdout` or `stderr`.

use std::cell::Cell;
use std::rc::Rc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use super::written::Lost;
use crate::clock;
use crate::spec::LogFormat;

/// The buffered part of an incomplete line.
const MAX_LINE: usize = 1 << 20;

/// The part of a process's output that a pipe carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// Standard output and error together.
    Both,
    /// Standard output alone.
    Stdout,
    /// Standard error alone.
    Stderr,
}

impl Channel {
    /// Its name, if it is marked.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Both => None,
            Self::Stdout => Some("stdout"),
            Self::Stderr => Some("stderr"),
        }
    }
}

/// Formats the lines of one stream.
#[derive(Debug)]
pub(super) struct Formatter {
    component: String,
    channel: Channel,
    /// The configured format; a change applies from the next line on.
    wanted: Rc<Cell<LogFormat>>,
    format: LogFormat,
    at_line_start: bool,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// An empty buffer for reuse.
    spare: Vec<u8>,
}

/// A line as JSON.
#[derive(Serialize)]
struct Object<'a> {
    time: &'a str,
    component: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    launcher: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unfinished: bool,
}

/// A line by the launcher itself.
pub(super) fn notice(format: LogFormat, component: &str, text: &str) -> Vec<u8> {
    match format {
        LogFormat::Raw => format!("[launcher] {text}\n").into_bytes(),
        LogFormat::Text => format!("{} [launcher] {text}\n", clock::micros()).into_bytes(),
        LogFormat::Json => {
            let mut line = Vec::new();
            let time = &clock::micros();
            let object = Object { launcher: Some(text), ..Object::empty(time, component) };
            object.write(&mut line);
            line
        }
    }
}

/// The same among the events.
pub(super) fn lost_event(lost: &Lost) -> Vec<u8> {
    #[derive(Serialize)]
    struct Event<'a> {
        event: &'a str,
        at: &'a str,
        #[serde(flatten)]
        lost: &'a Lost,
    }
    let mut line = Vec::new();
    let event = Event { event: "lost", at: &lost.until, lost };
    serde_json::to_writer(&mut line, &event).expect("numbers and texts can be written as JSON, into memory");
    line.push(b'\n');
    line
}

impl Formatter {
    pub(super) fn new(component: String, channel: Channel, wanted: Rc<Cell<LogFormat>>) -> Self {
        let format = wanted.get();
        Self { component, channel, wanted, format, at_line_start: true, line: Vec::new(), spare: Vec::new() }
    }

    /// Formats a chunk.
    pub(super) fn form(&mut self, input: Vec<u8>) -> Vec<u8> {
        if self.at_line_start && self.line.is_empty() {
            self.format = self.wanted.get();
        }
        match self.format {
            LogFormat::Raw => {
                self.at_line_start = input.last().map_or(self.at_line_start, |last| *last == b'\n');
                input
            }
            LogFormat::Text => self.lines(input, Self::text),
            LogFormat::Json => self.lines(input, Self::json),
        }
    }

    /// The remaining output at the end of the stream.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.line.is_empty() {
            let (line, time) = (std::mem::take(&mut self.line), clock::micros());
            let object = Object { unfinished: true, ..self.object(&time) };
            object.with(&line).write(&mut out);
        }
        out
    }

    fn object<'a>(&'a self, time: &'a str) -> Object<'a> {
        Object { stream: self.channel.name(), ..Object::empty(time, &self.component) }
    }

    /// Formats each line of a chunk, whose buffer is reused for the next output.
    fn lines(&mut self, mut input: Vec<u8>, form: fn(&mut Self, &[u8], &mut Vec<u8>)) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.spare);
        form(self, &input, &mut out);
        input.clear();
        self.spare = input;
        out
    }

    fn text(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let time = clock::micros();
        for line in input.split_inclusive(|byte| *byte == b'\n') {
            if self.at_line_start {
                out.extend_from_slice(time.as_bytes());
                out.push(b' ');
                if self.channel == Channel::Stderr {
                    out.extend_from_slice(b"[stderr] ");
                }
            }
            out.extend_from_slice(line);
            self.at_line_start = line.ends_with(b"\n");
        }
    }

    fn json(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let time = clock::micros();
        for piece in input.split_inclusive(|byte| *byte == b'\n') {
            let (text, has_end) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            if !has_end || !self.line.is_empty() {
                self.line.extend_from_slice(text);
            }
            if has_end && self.line.is_empty() {
                self.object(&time).with(text).write(out);
            } else if has_end || self.line.len() >= MAX_LINE {
                let line = std::mem::take(&mut self.line);
                let object = Object { more: !has_end, ..self.object(&time) };
                object.with(&line).write(out);
            }
        }
    }
}

impl<'a> Object<'a> {
    fn empty(time: &'a str, component: &'a str) -> Self {
        Self {
            time,
            component,
            stream: None,
            line: None,
            base64: None,
            launcher: None,
            more: false,
            unfinished: false,
        }
    }

    fn with(self, line: &'a [u8]) -> Self {
        match std::str::from_utf8(line) {
            Ok(text) => Self { line: Some(text), ..self },
            Err(_) => Self { base64: Some(BASE64_STANDARD.encode(line)), ..self },
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self).expect("texts can be written as JSON, into memory");
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formed(format: LogFormat, pieces: &[&[u8]]) -> String {
        let mut formatter = Formatter::new("chat".to_owned(), Channel::Both, Rc::new(Cell::new(format)));
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| formatter.form(piece.to_vec())).collect();
        out.extend(formatter.finish());
        String::from_utf8(out).unwrap()
    }

    /// Restores the bytes of each line from the objects.
    fn unformed(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in text.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(object["component"], "chat");
            assert_eq!(object["time"].as_str().unwrap().len(), 27, "{line}");
            match object["line"].as_str() {
                Some(text) => bytes.extend_from_slice(text.as_bytes()),
                None => bytes.extend(BASE64_STANDARD.decode(object["base64"].as_str().unwrap()).unwrap()),
            }
            if object["more"] != true && object["unfinished"] != true {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    #[test]
    fn text_has_a_time_before_each_line_however_it_comes() {
        let text = formed(LogFormat::Text, &[b"one\ntw", b"o\n", b"\n", b"three"]);
        let lines: Vec<&str> = text.split('\n').collect();
        let said: Vec<&str> = lines.iter().map(|line| &line[28..]).collect();
        assert_eq!(said, ["one", "two", "", "three"]);
        assert!(lines.iter().all(|line| line.starts_with("20") && line.as_bytes()[26] == b'Z'), "{text}");
    }

    #[test]
    fn json_gives_every_byte_back() {
        let long = vec![b'x'; 3 * MAX_LINE / 2];
        let all: Vec<u8> =
            [b"plain\r\n\n\"quoted\" \0 \xFF\xFE\n\xE2\x82", &b"\xAC euro\n"[..], &long, b"\nhalf"].concat();
        for size in [1000, 70_000, all.len()] {
            let pieces: Vec<&[u8]> = all.chunks(size).collect();
            assert!(unformed(&formed(LogFormat::Json, &pieces)) == all, "in pieces of {size}");
        }
        let split = formed(LogFormat::Json, &[b"\xE2\x82", b"\xAC\n"]);
        assert!(split.contains("\"line\":\"€\""), "{split}");
    }

    #[test]
    fn standard_error_is_marked_where_it_is_told_apart() {
        let formed = |channel, format| {
            let mut formatter = Formatter::new("chat".to_owned(), channel, Rc::new(Cell::new(format)));
            String::from_utf8(formatter.form(b"one\n".to_vec())).unwrap()
        };
        assert!(formed(Channel::Stderr, LogFormat::Text).ends_with("Z [stderr] one\n"));
        assert!(formed(Channel::Stdout, LogFormat::Text).ends_with("Z one\n"));
        assert!(
            formed(Channel::Stderr, LogFormat::Json)
                .contains("\"component\":\"chat\",\"stream\":\"stderr\",\"line\":\"one\"")
        );
        assert!(formed(Channel::Stdout, LogFormat::Json).contains("\"stream\":\"stdout\""));
        assert!(!formed(Channel::Both, LogFormat::Json).contains("stream"));
    }

    #[test]
    fn another_format_holds_from_the_next_line_on() {
        let wanted = Rc::new(Cell::new(LogFormat::Raw));
        let mut formatter = Formatter::new("chat".to_owned(), Channel::Both, Rc::clone(&wanted));
        assert_eq!(formatter.form(b"one\ntw".to_vec()), b"one\ntw");
        wanted.set(LogFormat::Json);
        assert_eq!(formatter.form(b"o\n".to_vec()), b"o\n");
        assert!(formatter.form(b"three\n".to_vec()).starts_with(b"{\"time\""));
    }
}
