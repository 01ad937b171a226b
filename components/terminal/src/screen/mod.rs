//! The chat on the whole screen: conversations on the left, the open one beside them, the line being written below.
//!
//! [`state::Screen`] is what is on it, decided without a terminal: keys and items go in, acts come out, and [`draw`] puts it into a
//! buffer. [`keys`] says what keys mean; [`tty`] is the real terminal.

mod composer;
mod draw;
mod full;
mod keys;
mod list;
mod message;
mod overlay;
mod pane;
mod places;
mod reading;
mod results;
mod state;
mod steady;
mod theme;
mod tty;
mod wrap;

#[cfg(test)]
mod tests;

pub(crate) use full::Full;
pub(crate) use keys::is_worth_remembering;
pub(crate) use pane::LOADED;
