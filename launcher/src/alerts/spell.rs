//! A row of failures is told once, at its beginning and at its end.

/// How the last delivery went.
#[derive(Debug)]
pub(super) struct Spell {
    /// The setting that says where to.
    key: &'static str,
    is_bad: bool,
}

impl Spell {
    pub(super) fn of(key: &'static str) -> Self {
        Self { key, is_bad: false }
    }

    /// One more delivery: logged where it turns from good to bad, or back.
    pub(super) fn note(&mut self, result: Result<(), String>) {
        let key = self.key;
        match result {
            Ok(()) if self.is_bad => tracing::info!("{key} works again"),
            Err(error) if !self.is_bad => {
                tracing::warn!("{key}: {error}; further failures are not logged until it works again");
            }
            Ok(()) => return self.is_bad = false,
            Err(_) => return,
        }
        self.is_bad = !self.is_bad;
    }
}
