//! Where lines come from: a person at an editor, or a pipe.

use std::io::{BufRead, Read};

use protocol::limits::LINE_BYTES;
use tokio::sync::mpsc;

use crate::editor::Editor;
use crate::prompt::Prompt;
use crate::screen::Act;

/// Lines that were typed and not dealt with yet. Overflow rule: the editor, or the pipe, waits.
pub(crate) const QUEUE: usize = 64;

/// What the user did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Entered a line.
    Line(String),
    /// Piped a line longer than any message; it was skipped.
    TooLong,
    /// Did something on the screen.
    Acts(Vec<Act>),
    /// Pressed ctrl-C.
    Interrupt,
    /// Pressed ctrl-D, or the pipe ended.
    End,
    /// Nothing can be read any more, for this reason.
    Failed(String),
}

/// The source of lines.
#[derive(Debug)]
pub(crate) struct Input {
    typed: mpsc::Receiver<Typed>,
    editor: Option<Editor>,
}

impl Input {
    /// Lines typed at an editor that sends them to the other end of `typed`.
    pub(crate) fn editor(editor: Editor, typed: mpsc::Receiver<Typed>) -> Self {
        Self { typed, editor: Some(editor) }
    }

    /// The lines of standard input. A last line without an end counts.
    pub(crate) fn pipe() -> std::io::Result<Self> {
        let (sender, typed) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("input".to_owned());
        // It may block in a read for ever, so it is never joined.
        thread.spawn(move || read_lines(std::io::stdin().lock(), &sender))?;
        Ok(Self { typed, editor: None })
    }

    /// The next thing the user did. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Typed {
        self.typed.recv().await.unwrap_or(Typed::End)
    }

    /// What a pipe holds already. An editor's lines are dealt with one by one.
    pub(crate) fn waiting(&mut self) -> Option<Typed> {
        if self.editor.is_some() {
            return None;
        }
        self.typed.try_recv().ok()
    }

    /// Asks for the next line. A pipe is not asked.
    pub(crate) fn prompt(&self, text: String, chat: bool) {
        if let Some(editor) = &self.editor {
            editor.prompt(Prompt { text, chat });
        }
    }

    /// No more lines are wanted.
    pub(crate) fn finish(&self) {
        if let Some(editor) = &self.editor {
            editor.finish();
        }
    }
}

fn read_lines(mut reader: impl BufRead, sender: &mpsc::Sender<Typed>) {
    loop {
        let typed = read_line(&mut reader).unwrap_or_else(|error| Typed::Failed(error.to_string()));
        let is_last = matches!(typed, Typed::End | Typed::Failed(_));
        if sender.blocking_send(typed).is_err() || is_last {
            return;
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> std::io::Result<Typed> {
    let mut line = Vec::new();
    reader.by_ref().take(LINE_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(Typed::End);
    }
    if line.last() != Some(&b'\n') && line.len() > LINE_BYTES {
        skip_line(reader)?;
        return Ok(Typed::TooLong);
    }
    Ok(Typed::Line(String::from_utf8_lossy(&line).into_owned()))
}

fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (length, ends) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(length);
        if ends {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut input: &[u8]) -> Vec<Typed> {
        let mut all = Vec::new();
        while all.last() != Some(&Typed::End) {
            all.push(read_line(&mut input).unwrap());
        }
        all
    }

    #[test]
    fn every_line_is_read_the_last_one_too_and_one_too_long_is_skipped() {
        let line = |text: &str| Typed::Line(text.to_owned());
        assert_eq!(
            read(b"bob: hi\n\nbob: last"),
            [line("bob: hi\n"), line("\n"), line("bob: last"), Typed::End]
        );
        let mut long = vec![b'x'; 1_000_000];
        long.extend_from_slice(b"\nnext\n");
        assert_eq!(read(&long), [Typed::TooLong, line("next\n"), Typed::End]);
        assert_eq!(read(b"\xff"), [line("\u{fffd}"), Typed::End]);
    }
}
