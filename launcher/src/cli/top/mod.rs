//! `launcher top`: components and logs in full screen, with keys to restart, stop and start components.
//!
//! * [`link`] asks the launcher twice a second and sends it the requests of keys, on a thread of its own, so that the screen never blocks.
//! * Its [`News`] and the keys change the [`Model`], which is pure, as is the [`view`] that draws it.
//! * The terminal is restored however we end: by a key, INT, TERM or a panic.

mod link;
mod log;
mod model;
mod order;
mod rate;
mod view;

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use crossterm::event::{self, Event, KeyEventKind};
use kit::{Exit, Failure};

use self::link::{Link, News};
use self::model::{Action, Model};
use super::options::Where;
use super::output;

/// How long to wait for keys before checking for news.
const TIMEOUT: Duration = Duration::from_millis(50);

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs until a key or a signal ends it.
pub(super) fn top(place: &Where, _: &Args) -> Result<Exit, Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let what = "top needs a terminal; for a file or a pipe there is 'launcher status --watch'";
        return Err(Failure::new(Exit::Usage, what));
    }
    // Without a running launcher this fails before the screen changes.
    super::ask::ask(place)?;
    let (link, news) = Link::start(place)?;
    let mut terminal = ratatui::try_init()?;
    let result = run(&mut terminal, &link, &news);
    ratatui::try_restore()?;
    result.map(|()| Exit::Fine)
}

fn run(terminal: &mut ratatui::DefaultTerminal, link: &Link, news: &Receiver<News>) -> Result<(), Failure> {
    let mut model = Model::new(output::is_coloured());
    let mut is_stale = true;
    loop {
        loop {
            match news.try_recv() {
                Ok(news) => model.update(news),
                Err(TryRecvError::Empty) => break,
                // A signal ended it.
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            is_stale = true;
        }
        if model.selected.is_none() {
            carry_out(model.select(0), link);
        }
        if is_stale {
            terminal.draw(|frame| view::draw(frame, &mut model))?;
            is_stale = false;
        }
        if !event::poll(TIMEOUT)? {
            continue;
        }
        is_stale = true;
        // Any other event is a resize, after which the screen is drawn.
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        if !carry_out(model.press(key), link) {
            return Ok(());
        }
    }
}

/// Carries out a request; returns `false` to quit.
fn carry_out(wish: Action, link: &Link) -> bool {
    match wish {
        Action::Nothing => {}
        Action::Quit => return false,
        Action::ShowLog(component) => link.show_log(component),
        Action::Send(request) => link.ask(request),
    }
    true
}
