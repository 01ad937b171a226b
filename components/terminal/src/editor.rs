//! The line being typed: editing, history and completion by rustyline, on a thread of its own because it blocks.
//!
//! The life of a line: [`Editor::prompt`] → the prompt is drawn → keys → Enter → [`Typed::Line`] on the channel → the next prompt.
//!
//! Does not parse lines or print anything else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{ColorMode, CompletionType, Config, ExternalPrinter};
use tokio::sync::mpsc;

use crate::completion::Names;
use crate::gate::Gate;
use crate::helper::Helper;
use crate::output::Beside;
use crate::palette::Palette;
use crate::prompt::{Prompt, PromptSlot};
use crate::typed::Typed;

/// Most lines in the history file. Overflow rule: the oldest are dropped.
const HISTORY_LINES: usize = 1000;
/// Longer lines are not added to the history file: they are pasted rather than typed, and would make it large.
const HISTORY_LINE_BYTES: usize = 1024;

type Line = rustyline::Editor<Helper, FileHistory>;

/// A handle to the editor's thread.
#[derive(Debug)]
pub(crate) struct Editor {
    prompts: Arc<PromptSlot>,
    thread: std::thread::JoinHandle<()>,
    /// The terminal's original settings.
    before: Option<Termios>,
}

/// An editor's parameters.
pub(crate) struct Setup {
    pub(crate) gate: Arc<Gate>,
    pub(crate) names: Names,
    pub(crate) palette: Palette,
    /// The file for typed lines, if any.
    pub(crate) history: Option<PathBuf>,
    pub(crate) typed: mpsc::Sender<Typed>,
}

impl Editor {
    /// Starts the thread without a prompt. Also returns the way to print beside the line, if the terminal supports it.
    pub(crate) fn start(setup: Setup) -> Result<(Self, Option<Beside>), ReadlineError> {
        let mut line = Line::with_history(config(setup.palette)?, history(setup.history.as_deref())?)?;
        line.set_helper(Some(Helper::new(Arc::clone(&setup.gate), setup.names, setup.palette)));
        // A terminal without cursor movement has no line to protect; the system's line discipline edits it.
        let beside = line.create_external_printer().ok().map(beside);
        let before = beside.as_ref().and_then(|_| quieten());
        let prompts_chat = beside.is_some();
        let prompts = Arc::<PromptSlot>::default();
        let thread = std::thread::Builder::new().name("editor".to_owned()).spawn({
            let prompts = Arc::clone(&prompts);
            let (gate, typed, history) = (setup.gate, setup.typed, setup.history);
            move || edit(line, prompts_chat, &prompts, &gate, &typed, history.as_deref())
        })?;
        Ok((Self { prompts, thread, before }, beside))
    }

    /// Asks for the next line.
    pub(crate) fn prompt(&self, prompt: Prompt) {
        self.prompts.put(prompt);
    }

    /// Asks for no more lines.
    pub(crate) fn finish(&self) {
        self.prompts.finish();
    }
}

impl Drop for Editor {
    /// Restores the terminal's settings, even while a line is being edited.
    fn drop(&mut self) {
        self.prompts.finish();
        // Restores only if something was changed.
        if let Some(before) = &self.before {
            if !self.thread.is_finished() {
                crate::output::leave_line();
            }
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Between two lines the editor restores the terminal. Input in that moment must neither be echoed into the output nor edited by the line
/// discipline: it waits for the next line. Returns the previous settings.
fn quieten() -> Option<Termios> {
    let before = tcgetattr(std::io::stdin()).ok()?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN);
    quiet.input_modes.remove(InputModes::ICRNL | InputModes::IXON);
    quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
    quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(std::io::stdin(), OptionalActions::Now, &quiet).ok()?;
    Some(before)
}

fn config(palette: Palette) -> Result<Config, ReadlineError> {
    let colours = if palette == Palette::Plain { ColorMode::Disabled } else { ColorMode::Enabled };
    let config = Config::builder()
        .max_history_size(HISTORY_LINES)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .color_mode(colours);
    Ok(config.build())
}

fn history(path: Option<&Path>) -> Result<FileHistory, ReadlineError> {
    use rustyline::history::History;
    let mut history = FileHistory::with_config(&config(Palette::Plain)?);
    if let Some(path) = path
        && let Err(error) = history.load(path)
    {
        // The file is missing the first time; if it cannot be read, only its lines are lost.
        tracing::debug!(%error, "no history of typed lines");
    }
    Ok(history)
}

fn beside(mut printer: impl ExternalPrinter + Send + 'static) -> Beside {
    Box::new(move |text| printer.print(text).map_err(std::io::Error::other))
}

/// Without `prompts_chat` only questions have a prompt, because a chat prompt would precede the next message.
fn edit(
    mut line: Line,
    prompts_chat: bool,
    prompts: &PromptSlot,
    gate: &Gate,
    typed: &mpsc::Sender<Typed>,
    history: Option<&Path>,
) {
    while let Some(prompt) = prompts.next() {
        let shown = if prompts_chat || !prompt.chat { prompt.text.as_str() } else { "" };
        let read = line.readline(shown);
        gate.idle();
        let read = match read {
            Ok(text) => {
                if prompt.chat {
                    remember(&mut line, &text, history);
                }
                Typed::Line(text)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(ReadlineError::Eof) => Typed::End,
            Err(error) => Typed::Failed(error.to_string()),
        };
        let is_last = matches!(read, Typed::End | Typed::Failed(_));
        if typed.blocking_send(read).is_err() || is_last {
            return;
        }
    }
}

fn remember(line: &mut Line, text: &str, history: Option<&Path>) {
    if text.len() > HISTORY_LINE_BYTES {
        return;
    }
    let added = line.add_history_entry(text);
    if let (Ok(true), Some(path)) = (added, history)
        && let Err(error) = line.append_history(path)
    {
        tracing::debug!(%error, "a typed line is not remembered");
    }
}
