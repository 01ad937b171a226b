//! Coordinates printing with the line editor, so that output does not corrupt the line being typed.
//!
//! The editor's thread reports its phase. The printer's thread prints beside the line while one is edited, waits briefly while a line is
//! being finished, and writes directly to the terminal if there is no line. It holds the lock meanwhile, so that no prompt is drawn into a
//! message.

use std::sync::{Condvar, Mutex, MutexGuard};

/// The editor's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No line on the screen; the cursor is at the start of a row.
    Idle,
    /// A line is being edited.
    Editing,
    /// Enter was pressed; the editor is about to leave the line.
    Finishing,
}

/// Shared by the editor and the printer.
#[derive(Debug)]
pub(crate) struct Gate {
    phase: Mutex<Phase>,
    changed: Condvar,
}

/// How to print now.
#[derive(Debug)]
pub(crate) enum PrintMode<'a> {
    /// Through the editor, beside the line.
    Beside,
    /// Directly to the terminal while this is held.
    Directly(Held<'a>),
}

/// Prevents the editor from drawing a prompt.
#[derive(Debug)]
pub(crate) struct Held<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, Phase>);

impl Default for Gate {
    fn default() -> Self {
        Self { phase: Mutex::new(Phase::Idle), changed: Condvar::new() }
    }
}

impl Gate {
    /// The editor is drawing, or has drawn, its prompt.
    pub(crate) fn editing(&self) {
        self.set(Phase::Editing);
    }

    /// Enter was pressed.
    pub(crate) fn finishing(&self) {
        self.set(Phase::Finishing);
    }

    /// The editor has left the line.
    pub(crate) fn idle(&self) {
        self.set(Phase::Idle);
    }

    /// Waits until printing is possible, and returns how. The wait is short and ends by itself.
    pub(crate) fn print_mode(&self) -> PrintMode<'_> {
        let phase = self.lock();
        let phase = self
            .changed
            .wait_while(phase, |phase| *phase == Phase::Finishing)
            .expect("nobody panics while holding this lock");
        match *phase {
            Phase::Editing => PrintMode::Beside,
            Phase::Idle | Phase::Finishing => PrintMode::Directly(Held(phase)),
        }
    }

    fn set(&self, phase: Phase) {
        *self.lock() = phase;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().expect("nobody panics while holding this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_message_goes_beside_a_line_and_directly_without_one() {
        let gate = Gate::default();
        assert!(matches!(gate.print_mode(), PrintMode::Directly(_)));
        gate.editing();
        assert!(matches!(gate.print_mode(), PrintMode::Beside));
        gate.idle();
        assert!(matches!(gate.print_mode(), PrintMode::Directly(_)));
    }

    #[test]
    fn a_line_that_is_being_finished_is_waited_for() {
        let gate = Arc::new(Gate::default());
        gate.finishing();
        let printer = std::thread::spawn({
            let gate = Arc::clone(&gate);
            move || matches!(gate.print_mode(), PrintMode::Directly(_))
        });
        gate.idle();
        assert!(printer.join().unwrap());
    }
}
