//! The user's end: where lines come from and where they are shown, a terminal or pipes.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use kit::Failure;
use protocol::{Timestamp, UserName};
use tokio::sync::mpsc;

use crate::Mode;
use crate::clock::Zone;
use crate::completion::Names;
use crate::editor::{Editor, Setup};
use crate::gate::Gate;
use crate::input::{Input, QUEUE, Typed};
use crate::item::Item;
use crate::output::{Output, OutputClosed};
use crate::palette::Palette;
use crate::transcript::Transcript;

/// The user's end.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) names: Names,
    transcript: Transcript,
    interactive: bool,
    json: bool,
}

impl Console {
    /// A terminal where there is one at both ends, else pipes.
    pub(crate) fn open(mode: Mode, typed_lines: Option<PathBuf>) -> Result<Self, Failure> {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        match (mode, terminal) {
            (Mode::Json, _) => Self::pipes(Transcript::Json),
            (Mode::Auto | Mode::Plain, false) => Self::pipes(Transcript::Plain),
            (Mode::Auto | Mode::Plain, true) => Self::lines(typed_lines),
        }
    }

    fn pipes(transcript: Transcript) -> Result<Self, Failure> {
        let (input, output, names) = (Input::pipe()?, Output::plain()?, Names::default());
        let json = matches!(transcript, Transcript::Json);
        Ok(Self { input, output, names, transcript, interactive: false, json })
    }

    fn lines(typed_lines: Option<PathBuf>) -> Result<Self, Failure> {
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
        })
    }

    /// Whether somebody sits there.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether a program sits there that speaks JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Shows something to `me`.
    pub(crate) async fn show(&mut self, item: Item, me: &UserName) -> Result<(), OutputClosed> {
        let Some((stream, text)) = self.transcript.render(&item, me) else { return Ok(()) };
        let place = match item {
            Item::News(entry) => entry.conversation(me).zip(entry.seq),
            _ => None,
        };
        self.output.print(stream, text, place).await
    }

    /// Asks a question; `None` when the user would rather leave.
    pub(crate) async fn ask(&mut self, question: String) -> Option<String> {
        self.input.prompt(question.clone(), false);
        loop {
            match self.input.next().await {
                Typed::Line(answer) => return Some(answer.trim().to_owned()),
                Typed::TooLong => self.input.prompt(question.clone(), false),
                Typed::Interrupt | Typed::End | Typed::Failed(_) => return None,
            }
        }
    }
}
