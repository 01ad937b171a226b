//! The full screen and its terminal.

use protocol::UserName;

use super::state::Screen;
use super::theme::Look;
use super::tty::{Next, Tty};
use crate::clock::Zone;
use crate::completion::Names;
use crate::model::Model;
use crate::options::Theme;
use crate::typed::{Act, Happening, Typed};

/// The full screen and its terminal.
#[derive(Debug)]
pub(crate) struct Full {
    pub(crate) screen: Screen,
    tty: Tty,
    names: Names,
}

impl Full {
    /// Switches the terminal to the full screen.
    pub(crate) fn open(theme: Theme, bell: bool, me: UserName, server: String) -> std::io::Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let look = Look::choose(theme, variable("NO_COLOR").as_deref());
        let zone = Zone::local(variable("TZ").as_deref());
        let names = Names::default();
        let screen = Screen::new(look, zone, me, server, names.clone());
        Ok(Self { screen, tty: Tty::take(bell)?, names })
    }

    /// Waits for the next key, or until a change can be drawn. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Happening {
        let dirty = self.screen.is_dirty();
        match self.tty.next(dirty).await {
            Next::Key(Some(Ok(event))) => Happening::Typed(Typed::Acts(self.screen.handle(event))),
            Next::Key(Some(Err(error))) => Happening::Typed(Typed::Failed(error.to_string())),
            Next::Key(None) => Happening::Typed(Typed::End),
            Next::Written => Happening::Shown,
            Next::Lost => {
                // The error shows up when drawing.
                self.screen.redraw();
                Happening::Shown
            }
        }
    }

    /// Draws changes. Returns whether there were any.
    pub(crate) fn keep_current(&mut self, model: &mut Model) -> std::io::Result<bool> {
        let names = model.take_names();
        let online = names.is_some().then(|| model.online());
        if let Some(names) = names {
            self.names.set(names);
        }
        self.screen.keep_current(online, model.unanswered(), model.is_up_to_date());
        if !self.screen.is_dirty() {
            return Ok(false);
        }
        self.tty.draw(&mut self.screen)
    }

    /// What must be loaded for the visible part.
    pub(crate) fn missing(&mut self) -> Option<Act> {
        self.screen.missing()
    }

    pub(crate) fn redraw(&mut self) -> std::io::Result<()> {
        self.tty.redraw()
    }

    pub(crate) fn use_mouse(&mut self, used: bool) -> std::io::Result<()> {
        self.tty.use_mouse(used)?;
        self.screen.set_mouse(used);
        Ok(())
    }

    pub(crate) async fn suspend(&mut self) -> std::io::Result<()> {
        self.tty.suspend().await
    }

    /// Waits briefly for the last frame.
    pub(crate) async fn finish(&self) {
        self.tty.finish().await;
    }
}
