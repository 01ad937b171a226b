//! What can go wrong here.

/// What can go wrong here is told to a developer, who reads sentences.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// The result of anything here.
pub type Result<T> = std::result::Result<T, Error>;
