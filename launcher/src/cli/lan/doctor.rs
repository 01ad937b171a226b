//! `launcher lan doctor`.

use kit::{Exit, Failure};
use protocol::lan::view::Finding;
use transport::LanClient;

use super::failed::failed;
use crate::cli::output::{self, Colour, paint};

/// Prints the findings; the exit code is 1 if something is wrong.
pub(super) async fn doctor(client: &LanClient) -> Result<Exit, Failure> {
    let checks = client.doctor().await.map_err(failed)?;
    let coloured = output::is_coloured();
    for check in &checks {
        let (mark, colour) = match check.finding {
            Finding::Good => ("good", Colour::Green),
            Finding::Note => ("note", Colour::Yellow),
            Finding::Bad => ("BAD ", Colour::Red),
        };
        output::line(&format!("{}  {}", paint(mark, colour, coloured), output::sanitise(&check.what)));
        if let Some(advice) = &check.advice {
            output::line(&format!("      {}", output::sanitise(advice)));
        }
    }
    let is_bad = checks.iter().any(|check| check.finding == Finding::Bad);
    Ok(if is_bad { Exit::Failure } else { Exit::Fine })
}
