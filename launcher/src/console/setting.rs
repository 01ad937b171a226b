//! What the console has to do with.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Loaded;
use crate::recorder::Audience;

/// Reads the configuration as it is now; the error is for the operator.
pub(crate) type Load = Arc<dyn Fn() -> Result<Loaded, String> + Send + Sync>;

/// What the console has to do with.
#[derive(Clone)]
pub(crate) struct Setting {
    /// The data directory of the launcher.
    pub(crate) data: PathBuf,
    /// The configuration.
    pub(crate) load: Load,
    /// Where one hears of events.
    pub(crate) audience: Audience,
}
