//! Exports a history: a JSON array with one object per line, CSV (RFC 4180), or text.

use std::io::Write;

use protocol::sanitise;
use serde::Serialize;

use super::entry::Entry;
use crate::clean;

/// The export format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An array, one object per line.
    Json,
    /// RFC 4180 with a header line.
    Csv,
    /// One line per message, human-readable.
    Txt,
}

/// A message in JSON.
#[derive(Serialize)]
pub(crate) struct Record<'a> {
    id: i64,
    with: &'a str,
    direction: &'static str,
    timestamp: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    kind: &'static str,
    body: &'a str,
    #[serde(skip_serializing_if = "protocol::Metadata::is_empty")]
    metadata: &'a protocol::Metadata,
}

const CSV_HEAD: &str = "id,with,direction,timestamp,state,seq,kind,body\r\n";

fn direction(entry: &Entry) -> &'static str {
    if entry.outgoing { "out" } else { "in" }
}

/// Writes messages one after the other.
pub(super) struct Writer<'a, W> {
    format: Format,
    out: &'a mut W,
    first: bool,
}

impl<'a, W: Write> Writer<'a, W> {
    pub(super) fn start(format: Format, out: &'a mut W) -> std::io::Result<Self> {
        match format {
            Format::Csv => out.write_all(CSV_HEAD.as_bytes())?,
            Format::Json => out.write_all(b"[")?,
            Format::Txt => {}
        }
        Ok(Self { format, out, first: true })
    }

    /// One message.
    pub(super) fn write(&mut self, entry: &Entry) -> std::io::Result<()> {
        let first = std::mem::take(&mut self.first);
        match self.format {
            Format::Json => {
                self.out.write_all(if first { b"\n" } else { b",\n" })?;
                self.out.write_all(clean::json(&Record::from(entry)).as_bytes())
            }
            Format::Csv => csv(entry, self.out),
            Format::Txt => text(entry, self.out),
        }
    }

    /// Writes the end of the document.
    pub(super) fn end(self) -> std::io::Result<()> {
        if self.format == Format::Json {
            self.out.write_all(b"\n]\n")?;
        }
        self.out.flush()
    }
}

impl<'a> From<&'a Entry> for Record<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            id: entry.row,
            with: &entry.partner,
            direction: direction(entry),
            timestamp: entry.said.to_string(),
            state: entry.state.as_str(),
            seq: entry.seq,
            client_id: entry.client_id.as_ref().map(protocol::ClientId::as_str),
            kind: entry.kind.as_str(),
            body: &entry.text,
            metadata: &entry.metadata,
        }
    }
}

fn csv(entry: &Entry, out: &mut impl Write) -> std::io::Result<()> {
    let seq = entry.seq.map(|seq| seq.to_string()).unwrap_or_default();
    let said = entry.said.to_string();
    let id = entry.row.to_string();
    let body = sanitise::text(&entry.text);
    let fields = [
        &id,
        &clean::one_line(&entry.partner),
        direction(entry),
        &said,
        entry.state.as_str(),
        &seq,
        entry.kind.as_str(),
        &body,
    ];
    let line: Vec<String> = fields.into_iter().map(quoted).collect();
    write!(out, "{}\r\n", line.join(","))
}

/// Quotes a field; one that looks like a spreadsheet formula is marked as text.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    if field.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

fn text(entry: &Entry, out: &mut impl Write) -> std::io::Result<()> {
    let arrow = if entry.outgoing { "->" } else { "<-" };
    let state = match entry.state {
        super::entry::State::Stored => String::new(),
        other => format!(" ({})", other.as_str()),
    };
    let partner = clean::one_line(&entry.partner);
    writeln!(
        out,
        "{} {arrow} {partner}{state}: {}",
        entry.said.to_seconds_text(),
        clean::flatten(&entry.text)
    )
}

#[cfg(test)]
mod tests {
    use protocol::{MessageType, Metadata, Timestamp};

    use super::*;
    use crate::history::entry::State;

    #[test]
    fn a_text_that_another_program_kept_steers_no_terminal_in_any_format() {
        let hostile = "a\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}b\nc";
        let entry = Entry {
            row: 1,
            place: 0,
            partner: hostile.to_owned(),
            outgoing: false,
            text: hostile.to_owned(),
            said: Timestamp::from_micros(0),
            state: State::Stored,
            seq: None,
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            client_id: None,
        };
        for format in [Format::Json, Format::Csv, Format::Txt] {
            let mut out = Vec::new();
            let mut writer = Writer::start(format, &mut out).unwrap();
            writer.write(&entry).unwrap();
            writer.end().unwrap();
            let out = String::from_utf8(out).unwrap();
            let steers = |c: char| sanitise::steers(c) && !matches!(c, '\n' | '\r');
            assert!(!out.contains(steers), "{format:?}: {out:?}");
        }
    }
}
