//! What the node did not do, as a failure of ours.

use kit::{Exit, Failure};
use transport::lan::LanError;

pub(super) fn failed(error: LanError) -> Failure {
    match error {
        LanError::Unreachable(_) => Failure::new(Exit::Unavailable, error.to_string()),
        LanError::Refused(why) => Failure::new(Exit::Failure, why),
    }
}
