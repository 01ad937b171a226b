//! `launcher top`: the components and their logs on the whole screen, with keys to restart, stop and start them.
//!
//! * [`link`] asks the launcher twice a second, and does what keys want of it, on a thread of its own: the screen waits for nothing.
//! * Its [`News`], and the keys, change the [`Model`]; that is pure, as is the [`view`] that shows it.
//! * The terminal is given back whatever ends us: a key, INT, TERM, a panic.

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
use self::model::{Model, Wish};
use super::options::Where;
use super::output;

/// How long keys are waited for before it is looked for news.
const PATIENCE: Duration = Duration::from_millis(50);

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Shows everything until a key or a signal ends it.
pub(super) fn top(place: &Where, _: &Args) -> Result<Exit, Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let what = "top needs a terminal; for a file or a pipe there is 'launcher status --watch'";
        return Err(Failure::new(Exit::Usage, what));
    }
    // Whoever has no launcher is told so before the screen changes.
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
                Ok(news) => model.hear(news),
                Err(TryRecvError::Empty) => break,
                // A signal has ended it.
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
        if !event::poll(PATIENCE)? {
            continue;
        }
        is_stale = true;
        // What is no key is a new size, which is drawn.
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        if !carry_out(model.press(key), link) {
            return Ok(());
        }
    }
}

/// Does what a key wants; false when that is the end.
fn carry_out(wish: Wish, link: &Link) -> bool {
    match wish {
        Wish::Nothing => {}
        Wish::Leave => return false,
        Wish::Look(component) => link.look_at(component),
        Wish::Ask(request) => link.ask(request),
    }
    true
}
