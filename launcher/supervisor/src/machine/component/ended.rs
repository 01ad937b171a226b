//! How a process ended.

use crate::exit::ProcessExit;
use crate::oom::Oom;

/// How a process ended, as far as the machine needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::machine) struct End {
    /// In words that fit after the component's name.
    pub(super) how: String,
    /// It completed its work.
    pub(super) clean: bool,
    /// It reported a configuration error.
    pub(super) config_error: bool,
    /// Its exit status, if it ended by itself.
    exit: Option<ProcessExit>,
}

impl End {
    pub(in crate::machine) fn of(exit: ProcessExit, oom: Oom) -> Self {
        Self {
            how: oom.explain(exit),
            clean: exit.is_clean(),
            config_error: exit.is_config_error(),
            exit: Some(exit),
        }
    }

    pub(in crate::machine) fn failure(how: String) -> Self {
        Self { how, clean: false, config_error: false, exit: None }
    }

    /// Its exit status, if it ended by itself.
    pub(in crate::machine) fn exit(&self) -> Option<ProcessExit> {
        self.exit
    }
}
