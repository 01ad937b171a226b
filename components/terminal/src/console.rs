//! The user's end: where lines come from and where they are shown, a terminal or pipes.

use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use kit::Failure;
use protocol::{Timestamp, UserName};
use tokio::sync::mpsc;

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
}

impl Console {
    /// A terminal where there is one at both ends, else pipes.
    pub(crate) fn open() -> Result<Self, Failure> {
        let names = Names::default();
        if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
            let (input, output) = (Input::pipe()?, Output::plain()?);
            return Ok(Self { input, output, names, transcript: Transcript::Plain, interactive: false });
        }
        let variable = |name: &str| std::env::var(name).ok();
        let palette = Palette::choose(variable("NO_COLOR").as_deref(), variable("TERM").as_deref());
        let zone = Zone::local(variable("TZ").as_deref());
        let today = zone.moment(Timestamp::now()).day;
        let gate = Arc::<Gate>::default();
        let (typed, lines) = mpsc::channel(QUEUE);
        let setup =
            Setup { gate: Arc::clone(&gate), names: names.clone(), palette, history: history_file(), typed };
        let (editor, beside) = Editor::start(setup)?;
        Ok(Self {
            input: Input::editor(editor, lines),
            output: Output::beside(gate, beside)?,
            names,
            transcript: Transcript::screen(palette, zone, today),
            interactive: true,
        })
    }

    /// Whether somebody sits there.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Shows something to `me`.
    pub(crate) async fn show(&mut self, item: Item, me: &UserName) -> Result<(), OutputClosed> {
        let Some((stream, text)) = self.transcript.render(&item, me) else { return Ok(()) };
        let place = match item {
            Item::Event(event) => Some((event.conversation, event.seq)),
            Item::Past(_) | Item::Answer(_) | Item::Notice(_) | Item::Hint(_) | Item::Error(_) => None,
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

/// Where typed lines are remembered: the user's state directory (XDG Base Directory Specification), which is theirs alone.
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state =
        absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    let directory = state.join("p2p-chat");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    match made {
        Ok(()) => Some(directory.join("chat-history")),
        Err(error) => {
            tracing::debug!(%error, "typed lines are not remembered");
            None
        }
    }
}
