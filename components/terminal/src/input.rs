//! Line input: from the editor or a pipe.

use std::io::BufRead;

use tokio::sync::mpsc;

use crate::editor::Editor;
use crate::pipe::{Line, Pipe};
use crate::prompt::Prompt;
use crate::typed::{QUEUE, Typed};

/// The source of lines.
#[derive(Debug)]
pub(crate) struct Input {
    typed: mpsc::Receiver<Typed>,
    editor: Option<Editor>,
}

impl Input {
    /// Lines from an editor, received through `typed`.
    pub(crate) fn editor(editor: Editor, typed: mpsc::Receiver<Typed>) -> Self {
        Self { typed, editor: Some(editor) }
    }

    /// The lines of standard input. A last line without an end counts.
    pub(crate) fn pipe() -> std::io::Result<Self> {
        let (sender, typed) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("input".to_owned());
        // Never joined, because it may block in a read for ever.
        thread.spawn(move || read_lines(std::io::stdin().lock(), &sender))?;
        Ok(Self { typed, editor: None })
    }

    /// The next input. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Typed {
        self.typed.recv().await.unwrap_or(Typed::End)
    }

    /// Input already available from a pipe. An editor's lines are processed one by one.
    pub(crate) fn waiting(&mut self) -> Option<Typed> {
        if self.editor.is_some() {
            return None;
        }
        self.typed.try_recv().ok()
    }

    /// Prompts for the next line, unless it is a pipe.
    pub(crate) fn prompt(&self, text: String, chat: bool) {
        if let Some(editor) = &self.editor {
            editor.prompt(Prompt { text, chat });
        }
    }

    /// Stops prompting.
    pub(crate) fn finish(&self) {
        if let Some(editor) = &self.editor {
            editor.finish();
        }
    }
}

fn read_lines(reader: impl BufRead, sender: &mpsc::Sender<Typed>) {
    let mut pipe = Pipe::new(reader);
    loop {
        let typed = match pipe.next() {
            Ok(Some(Line::Text(line))) => Typed::Line(line),
            Ok(Some(Line::TooLong)) => Typed::TooLong,
            Ok(None) => Typed::End,
            Err(error) => Typed::Failed(error.to_string()),
        };
        let is_last = matches!(typed, Typed::End | Typed::Failed(_));
        if sender.blocking_send(typed).is_err() || is_last {
            return;
        }
    }
}
