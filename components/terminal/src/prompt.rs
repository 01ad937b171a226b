//! The editor's prompt, passed from the chat to the editor's thread.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long the editor waits for the chat to process a line before it prompts again, to prevent a deadlock: the chat may wait for the
/// printer, which may wait for the editor.
const PATIENCE: Duration = Duration::from_millis(250);

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// The text to show.
    pub(crate) text: String,
    /// Whether it is the chat prompt, which may be shown again by itself, and whose lines are stored.
    pub(crate) chat: bool,
}

/// The next prompt. A single slot: a newer one replaces an older.
#[derive(Debug, Default)]
pub(crate) struct PromptSlot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    prompt: Option<Prompt>,
    fresh: bool,
    over: bool,
}

impl PromptSlot {
    /// Sets the prompt for the next line.
    pub(crate) fn put(&self, prompt: Prompt) {
        let mut state = self.lock();
        state.prompt = Some(prompt);
        state.fresh = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Stops prompting.
    pub(crate) fn finish(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Waits for the next prompt; `None` when there will be none.
    pub(crate) fn next(&self) -> Option<Prompt> {
        let mut state = self.lock();
        loop {
            if state.over {
                return None;
            }
            if std::mem::take(&mut state.fresh) {
                return state.prompt.clone();
            }
            let may_repeat = state.prompt.as_ref().is_some_and(|prompt| prompt.chat);
            let waiting = |state: &mut State| !state.fresh && !state.over;
            if may_repeat {
                let (after, timeout) = self
                    .changed
                    .wait_timeout_while(state, PATIENCE, waiting)
                    .expect("nobody panics with this lock");
                state = after;
                if timeout.timed_out() {
                    return state.prompt.clone();
                }
            } else {
                state = self.changed.wait_while(state, waiting).expect("nobody panics with this lock");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(text: &str, chat: bool) -> Prompt {
        Prompt { text: text.to_owned(), chat }
    }

    #[test]
    fn the_newest_prompt_is_shown_and_a_chat_s_is_shown_again() {
        let slot = PromptSlot::default();
        slot.put(prompt("name: ", false));
        slot.put(prompt("> ", true));
        assert_eq!(slot.next(), Some(prompt("> ", true)));
        assert_eq!(slot.next(), Some(prompt("> ", true)), "after a moment");
        slot.finish();
        assert_eq!(slot.next(), None);
    }
}
