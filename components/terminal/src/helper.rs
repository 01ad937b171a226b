//! rustyline's callbacks while a line is edited: completion, and callbacks from which the editor's phase follows.

use std::borrow::Cow;
use std::sync::Arc;

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Result};

use crate::completion::Names;
use crate::gate::Gate;
use crate::palette::Palette;

/// The callbacks.
pub(crate) struct Helper {
    gate: Arc<Gate>,
    names: Names,
    palette: Palette,
}

impl Helper {
    pub(crate) fn new(gate: Arc<Gate>, names: Names, palette: Palette) -> Self {
        Self { gate, names, palette }
    }
}

impl rustyline::Helper for Helper {}

impl Completer for Helper {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        Ok(self.names.complete(line.get(..pos).unwrap_or(line)))
    }
}

impl Hinter for Helper {
    type Hint = String;

    /// Called before a prompt is drawn, when the terminal is already in raw mode.
    fn hint(&self, _: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.gate.editing();
        None
    }
}

impl Validator for Helper {
    /// Called after Enter, before the editor leaves the line.
    fn validate(&self, _: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        self.gate.finishing();
        Ok(ValidationResult::Valid(None))
    }
}

impl Highlighter for Helper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Owned(self.palette.faint(prompt))
    }
}
