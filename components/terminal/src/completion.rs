//! Tab completion of user names and commands.

use std::sync::{Arc, Mutex};

use crate::command;

/// The names to complete, written by the chat and read by the editor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Vec<String>>>);

impl Names {
    pub(crate) fn set(&self, names: Vec<String>) {
        *self.0.lock().expect("nobody panics while holding this lock") = names;
    }

    fn starting_with(&self, prefix: &str, ending: &str) -> Vec<String> {
        let names = self.0.lock().expect("nobody panics while holding this lock");
        let prefix = prefix.to_lowercase();
        let mut found: Vec<String> = names
            .iter()
            .filter(|name| name.to_lowercase().starts_with(&prefix))
            .map(|name| format!("{name}{ending}"))
            .collect();
        found.sort_unstable();
        found
    }

    /// The start of the word to complete in `line`, which ends at the cursor, and the candidates.
    pub(crate) fn complete(&self, line: &str) -> (usize, Vec<String>) {
        for command in ["/to ", "/history "] {
            if let Some(name) = line.strip_prefix(command) {
                return (command.len(), self.starting_with(name, " "));
            }
        }
        if line.contains([' ', ':']) {
            return (line.len(), Vec::new());
        }
        if line.starts_with(['/', '!']) {
            let commands = command::NAMES.iter().filter(|name| name.starts_with(line));
            return (0, commands.map(|name| (*name).to_owned()).collect());
        }
        (0, self.starting_with(line, ": "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_the_start_and_after_commands_and_nothing_inside_a_message() {
        let names = Names::default();
        names.set(vec!["bob".into(), "Bert".into(), "carol".into()]);
        assert_eq!(names.complete("b"), (0, vec!["Bert: ".into(), "bob: ".into()]));
        assert_eq!(names.complete("/to ca"), (4, vec!["carol ".into()]));
        assert_eq!(names.complete("/hi"), (0, vec!["/history ".into()]));
        assert_eq!(names.complete("!"), (0, vec!["!check".into()]));
        assert_eq!(names.complete("bob: b").1, Vec::<String>::new());
        assert_eq!(names.complete("hello b").1, Vec::<String>::new());
    }
}
