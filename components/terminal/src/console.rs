//! The user interface: full screen, lines at a terminal, or pipes.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use kit::Failure;
use protocol::{ConversationId, Timestamp, UserName};
use tokio::sync::mpsc;

use crate::clock::Zone;
use crate::completion::Names;
use crate::editor::{Editor, Setup};
use crate::gate::Gate;
use crate::input::Input;
use crate::item::Item;
use crate::model::Model;
use crate::options::Mode;
use crate::output::Output;
use crate::palette::Palette;
use crate::screen::Full;
use crate::transcript::Transcript;
use crate::typed::{Happening, QUEUE, Typed};

/// The user interface.
#[derive(Debug)]
pub(crate) enum Console {
    /// Lines in, lines out.
    Lines(Box<Lines>),
    /// The full screen.
    Full(Box<Full>),
}

/// Input and output of lines.
#[derive(Debug)]
pub(crate) struct Lines {
    input: Input,
    output: Output,
    names: Names,
    transcript: Transcript,
    interactive: bool,
    json: bool,
    prompted: bool,
}

/// Whether both input and output are a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

impl Console {
    /// Lines at a terminal if both input and output are one, else pipes.
    pub(crate) fn lines(mode: Mode, typed_lines: Option<PathBuf>) -> Result<Self, Failure> {
        let lines = match (mode, is_terminal()) {
            (Mode::Json, _) => Lines::pipes(Transcript::Json),
            (Mode::Auto | Mode::Plain, false) => Lines::pipes(Transcript::Plain),
            (Mode::Auto | Mode::Plain, true) => Lines::edited(typed_lines),
        };
        Ok(Self::Lines(Box::new(lines?)))
    }

    /// The next event; input only if `takes_input`. Cancel-safe.
    pub(crate) async fn next(&mut self, takes_input: bool) -> Happening {
        match self {
            Self::Lines(lines) => tokio::select! {
                typed = lines.input.next(), if takes_input => Happening::Typed(typed),
                () = lines.output.news() => Happening::Shown,
            },
            Self::Full(full) => full.next().await,
        }
    }

    /// Input already available from a pipe.
    pub(crate) fn waiting(&mut self) -> Option<Typed> {
        match self {
            Self::Lines(lines) => lines.input.waiting(),
            Self::Full(_) => None,
        }
    }

    /// Updates the display around the messages. Returns whether a frame was drawn.
    pub(crate) fn keep_current(&mut self, model: &mut Model, leaving: bool) -> Result<bool, Failure> {
        match self {
            Self::Lines(lines) => {
                lines.keep_current(model, leaving);
                Ok(false)
            }
            Self::Full(full) => Ok(full.keep_current(model)?),
        }
    }

    /// A line was processed: prompts for the next one.
    pub(crate) fn dealt(&mut self) {
        match self {
            Self::Lines(lines) => lines.prompted = false,
            Self::Full(_) => {}
        }
    }

    /// Stops prompting.
    pub(crate) fn finish(&self) {
        match self {
            Self::Lines(lines) => lines.input.finish(),
            Self::Full(_) => {}
        }
    }

    /// Waits until all output is written.
    pub(crate) async fn flush(&self) {
        match self {
            Self::Lines(lines) => lines.output.flush().await,
            Self::Full(full) => full.finish().await,
        }
    }

    /// The positions shown since the last call.
    pub(crate) fn shown(&mut self) -> Vec<(ConversationId, u64)> {
        match self {
            Self::Lines(lines) => lines.output.shown(),
            Self::Full(full) => full.screen.shown().into_iter().collect(),
        }
    }

    /// Whether a person uses it.
    pub(crate) fn is_interactive(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.interactive,
            Self::Full(_) => true,
        }
    }

    /// Whether a program uses it with JSON.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.json,
            Self::Full(_) => false,
        }
    }

    /// The full screen, if used.
    pub(crate) fn full(&mut self) -> Option<&mut Full> {
        match self {
            Self::Lines(_) => None,
            Self::Full(full) => Some(full),
        }
    }

    /// Shows something to `me`.
    pub(crate) async fn show(&mut self, item: Item, me: &UserName) -> Result<(), Failure> {
        match self {
            Self::Lines(lines) => lines.show(item, me).await,
            Self::Full(full) => {
                full.screen.show(item);
                Ok(())
            }
        }
    }

    /// Asks a question; `None` if the user leaves or cannot be asked.
    pub(crate) async fn ask(&mut self, question: String) -> Option<String> {
        let Self::Lines(lines) = self else { return None };
        lines.input.prompt(question.clone(), false);
        loop {
            match lines.input.next().await {
                Typed::Line(answer) => return Some(answer.trim().to_owned()),
                Typed::TooLong | Typed::Acts(_) => lines.input.prompt(question.clone(), false),
                Typed::Interrupt | Typed::End | Typed::Failed(_) => return None,
            }
        }
    }
}

impl Lines {
    fn pipes(transcript: Transcript) -> Result<Self, Failure> {
        let (input, output, names) = (Input::pipe()?, Output::plain()?, Names::default());
        let json = matches!(transcript, Transcript::Json);
        Ok(Self { input, output, names, transcript, interactive: false, json, prompted: false })
    }

    fn edited(typed_lines: Option<PathBuf>) -> Result<Self, Failure> {
        let names = Names::default();
        let variable = |name: &str| std::env::var(name).ok();
        let palette = Palette::choose(variable("NO_COLOR").as_deref(), variable("TERM").as_deref());
        let zone = Zone::local(variable("TZ").as_deref());
        let today = zone.moment(Timestamp::now()).day;
        let gate = Arc::<Gate>::default();
        let (typed, lines) = mpsc::channel(QUEUE);
        let setup =
            Setup { gate: Arc::clone(&gate), names: names.clone(), palette, history: typed_lines, typed };
        let (editor, beside) = Editor::start(setup)?;
        Ok(Self {
            input: Input::editor(editor, lines),
            output: Output::beside(gate, beside)?,
            names,
            transcript: Transcript::screen(palette, zone, today),
            interactive: true,
            json: false,
            prompted: false,
        })
    }

    /// Updates the editor's prompt and completions. The first prompt waits for the result of the login, because a rejected name leads to
    /// another question.
    fn keep_current(&mut self, model: &mut Model, leaving: bool) {
        if let Some(names) = model.take_names() {
            self.names.set(names);
        }
        if !self.prompted && model.has_tried() && !leaving {
            self.prompted = true;
            let prompt = model.partner().map_or_else(|| "> ".to_owned(), |partner| format!("→ {partner} "));
            self.input.prompt(prompt, true);
        }
    }

    async fn show(&mut self, item: Item, me: &UserName) -> Result<(), Failure> {
        let Some((stream, text)) = self.transcript.render(&item, me) else { return Ok(()) };
        let place = match item {
            Item::News(entry) => entry.conversation(me).zip(entry.seq),
            _ => None,
        };
        Ok(self.output.print(stream, text, place).await?)
    }
}
