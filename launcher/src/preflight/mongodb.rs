//! MongoDB as a dependency of the message API.

use std::sync::Arc;

pub use mongo_client::check::{MongoError, is_mongodb, password};
use mongo_client::check::{Tested, Watched};

use crate::supervisor::External;

/// Name of the dependency.
pub const NAME: &str = "mongodb";

/// Tests the connection to the MongoDB of a URL within 5 s.
///
/// # Errors
/// What is wrong, as far as it can be determined.
#[must_use]
pub fn test_connection(url: &str) -> Tested<'_, MongoError> {
    mongo_client::check::test_connection(url, message_api::store::mongo::DATABASE)
}

/// MongoDB as a dependency to watch.
#[must_use]
pub fn dependency(url: &str) -> External {
    let watched = Watched::new(url);
    External { name: NAME.to_owned(), check: Arc::new(move || watched.look()) }
}
