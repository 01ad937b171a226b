//! The full screen: conversations on the left, the open one beside them, the input line below.
//!
//! [`state::Screen`] is its state, independent of a terminal: keys and items go in, actions come out, and [`draw`] draws it into a buffer.
//! [`keys`] handles keys; [`tty`] is the real terminal.

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
