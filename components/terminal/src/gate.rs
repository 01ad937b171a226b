//! Keeps what arrives from tearing the line that is being typed.
//!
//! The editor's thread says where it is; the printer's thread prints beside the line while one is edited, waits for the instant
//! in which a finished line leaves the screen, and writes straight to the terminal whenever there is no line. The lock is held
//! while it does the last, so that no prompt is drawn into a message.

use std::sync::{Condvar, Mutex, MutexGuard};

/// Where the editor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No line on the screen; the cursor is at the start of a row.
    Idle,
    /// A line is on the screen and may be typed at.
    Editing,
    /// Enter was pressed; the line is about to be done.
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
pub(crate) enum Way<'a> {
    /// Through the editor, beside the line.
    Beside,
    /// Straight to the terminal, as long as this is held.
    Directly(Held<'a>),
}

/// Keeps the editor from drawing a prompt.
#[derive(Debug)]
pub(crate) struct Held<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, Phase>);

impl Default for Gate {
    fn default() -> Self {
        Self { phase: Mutex::new(Phase::Idle), changed: Condvar::new() }
    }
}

impl Gate {
    /// The editor is about to draw its prompt, or has.
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

    /// Waits until something can be printed, and says how. The wait is short: it ends without anybody's doing.
    pub(crate) fn way(&self) -> Way<'_> {
        let phase = self.lock();
        let phase = self
            .changed
            .wait_while(phase, |phase| *phase == Phase::Finishing)
            .expect("nobody panics while holding this lock");
        match *phase {
            Phase::Editing => Way::Beside,
            Phase::Idle | Phase::Finishing => Way::Directly(Held(phase)),
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
        assert!(matches!(gate.way(), Way::Directly(_)));
        gate.editing();
        assert!(matches!(gate.way(), Way::Beside));
        gate.idle();
        assert!(matches!(gate.way(), Way::Directly(_)));
    }

    #[test]
    fn a_line_that_is_being_finished_is_waited_for() {
        let gate = Arc::new(Gate::default());
        gate.finishing();
        let printer = std::thread::spawn({
            let gate = Arc::clone(&gate);
            move || matches!(gate.way(), Way::Directly(_))
        });
        gate.idle();
        assert!(printer.join().unwrap());
    }
}
