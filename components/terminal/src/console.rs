//! The user's end: the whole screen, lines at a terminal, or pipes.

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

/// The user's end.
#[derive(Debug)]
pub(crate) enum Console {
    /// Lines in, lines out.
    Lines(Box<Lines>),
    /// The whole screen.
    Full(Box<Full>),
}

/// Where lines come from and where they are shown.
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

/// Whether somebody sits at a terminal, at both ends.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

impl Console {
    /// Lines at a terminal where there is one at both ends, else pipes.
    pub(crate) fn lines(mode: Mode, typed_lines: Option<PathBuf>) -> Result<Self, Failure> {
        let lines = match (mode, is_terminal()) {
            (Mode::Json, _) => Lines::pipes(Transcript::Json),
            (Mode::Auto | Mode::Plain, false) => Lines::pipes(Transcript::Plain),
            (Mode::Auto | Mode::Plain, true) => Lines::edited(typed_lines),
        };
        Ok(Self::Lines(Box::new(lines?)))
    }

    /// The next thing that happens; what is typed only if it is wanted. Cancel-safe.
    pub(crate) async fn next(&mut self, takes_input: bool) -> Happening {
        match self {
            Self::Lines(lines) => tokio::select! {
                typed = lines.input.next(), if takes_input => Happening::Typed(typed),
                () = lines.output.news() => Happening::Shown,
            },
            Self::Full(full) => full.next().await,
        }
    }

    /// What a pipe holds already.
    pub(crate) fn waiting(&mut self) -> Option<Typed> {
        match self {
            Self::Lines(lines) => lines.input.waiting(),
            Self::Full(_) => None,
        }
    }

    /// Keeps what stands around the messages as it should be. Whether a picture was drawn.
    pub(crate) fn keep_current(&mut self, model: &mut Model, leaving: bool) -> Result<bool, Failure> {
        match self {
            Self::Lines(lines) => {
                lines.keep_current(model, leaving);
                Ok(false)
            }
            Self::Full(full) => Ok(full.keep_current(model)?),
        }
    }

    /// A line was dealt with: the next one is asked for.
    pub(crate) fn dealt(&mut self) {
        match self {
            Self::Lines(lines) => lines.prompted = false,
            Self::Full(_) => {}
        }
    }

    /// No more lines are wanted.
    pub(crate) fn finish(&self) {
        match self {
            Self::Lines(lines) => lines.input.finish(),
            Self::Full(_) => {}
        }
    }

    /// Waits until all that was shown is written.
    pub(crate) async fn flush(&self) {
        match self {
            Self::Lines(lines) => lines.output.flush().await,
            Self::Full(full) => full.finish().await,
        }
    }

    /// What was shown since it was last asked.
    pub(crate) fn shown(&mut self) -> Vec<(ConversationId, u64)> {
        match self {
            Self::Lines(lines) => lines.output.shown(),
            Self::Full(full) => full.screen.shown().into_iter().collect(),
        }
    }

    /// Whether somebody sits there.
    pub(crate) fn is_interactive(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.interactive,
            Self::Full(_) => true,
        }
    }

    /// Whether a program sits there that speaks JSON.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.json,
            Self::Full(_) => false,
        }
    }

    /// The whole screen, if it is that.
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

    /// Asks a question; `None` when the user would rather leave, or cannot be asked.
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

    /// Keeps the editor's prompt and completions as they should be. The first prompt waits until there is something to say
    /// about the connection, for a refused name asks another question.
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
