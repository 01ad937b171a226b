//! How it ended.

/// How a run of the supervisor ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Processes that did not end even when killed (the kernel holds them); empty in any sane world.
    pub abandoned: Vec<String>,
}
