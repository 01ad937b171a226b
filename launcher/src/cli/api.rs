//! Requests of commands to the running message API.

use std::net::SocketAddr;

use kit::{Exit, Failure};
use transport::{ApiClient, ApiError};

use super::options::Where;
use super::{running, token};

/// The message API of the launcher on this data directory.
pub(super) struct Api {
    pub(super) client: ApiClient,
    address: SocketAddr,
}

impl Api {
    /// Determines its address; sends nothing.
    pub(super) fn of_running(place: &Where) -> Result<Self, Failure> {
        let token = token::of_running(&place.directories()?.data)?;
        let address = running::message_api(place)?;
        kit::context::install_tls();
        Ok(Self { client: ApiClient::new(address, token), address })
    }

    /// The error for a failed request.
    pub(super) fn failure(&self, error: &ApiError) -> Failure {
        match error {
            ApiError::Refused(detail) => Failure::new(Exit::Failure, detail.clone()),
            ApiError::Unreachable(_) | ApiError::Unavailable(_) | ApiError::Malformed(_) => {
                let error = kit::failure::chain(error);
                let address = self.address;
                Failure::new(
                    Exit::Unavailable,
                    format!(
                        "cannot reach the message API at {address}: {error}; is it running? See 'launcher status'"
                    ),
                )
            }
        }
    }
}
