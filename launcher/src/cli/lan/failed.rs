//! Converts an error of the node to a failure of the command.

use kit::{Exit, Failure};
use transport::lan::LanError;

pub(super) fn failed(error: LanError) -> Failure {
    match error {
        LanError::Unreachable(_) => Failure::new(Exit::Unavailable, error.to_string()),
        LanError::Refused(why) => Failure::new(Exit::Failure, why),
    }
}
