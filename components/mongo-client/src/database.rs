//! Connects to the servers of a URL.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::Client;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};

use crate::call::{self, Answer, MAJORITY_TIMEOUT};
use crate::clock::Clock;
use crate::collection::Collection;

/// Somebody is waiting for the answer.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The interval at which a server that hangs is detected.
const HEARTBEAT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// One for a writer, the rest for reads.
const CONNECTIONS: u32 = 16;

/// The URL is invalid. The text does not repeat the URL, which may have a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

impl From<Error> for UrlError {
    fn from(error: Error) -> Self {
        Self(match &*error.kind {
            ErrorKind::InvalidArgument { message, .. } => message.clone(),
            kind => kind.to_string(),
        })
    }
}

/// A database, and the servers of its URL.
#[derive(Debug)]
pub struct Connected {
    /// The database.
    pub database: Database,
    /// The servers of the URL, with commas.
    pub servers: String,
}

/// A database whose writes a majority acknowledges and journals, and whose reads have what a majority has. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    client: Client,
    database: mongodb::Database,
    clock: Clock,
}

impl Database {
    /// The database that a URL names, or else `default`. Nothing is connected yet.
    ///
    /// # Errors
    /// If the URL is invalid.
    pub async fn open(url: &str, program: &str, default: &str) -> Result<Connected, UrlError> {
        let options = ClientOptions::parse(url).await?;
        let servers: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
        let client = client(options, program)?;
        let database = client.default_database().unwrap_or_else(|| client.database(default));
        Ok(Connected {
            database: Self { client, database, clock: Clock::default() },
            servers: servers.join(", "),
        })
    }

    /// One of its collections.
    #[must_use]
    pub fn collection(&self, name: &str) -> Collection {
        Collection::new(self.database.collection(name), self.clock.clone())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.database.name()
    }

    /// Shared by all reads.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Tests connection and login: a command that requires one, unlike `ping`, so that a wrong password is detected.
    #[must_use]
    pub fn greet(&self) -> Answer<'static, ()> {
        let database = self.database.clone();
        call::call(async move { database.run_command(doc! { "dbStats": 1 }).await.map(drop) })
    }

    /// What the server says about itself.
    #[must_use]
    pub fn hello(&self) -> Answer<'static, Document> {
        let admin = self.client.database("admin");
        call::call(async move { admin.run_command(doc! { "hello": 1 }).await })
    }
}

fn client(mut options: ClientOptions, program: &str) -> Result<Client, Error> {
    options.app_name = Some(program.to_owned());
    options.max_pool_size = Some(CONNECTIONS);
    options.min_pool_size = Some(1);
    options.max_idle_time = Some(IDLE_TIMEOUT);
    options.connect_timeout = Some(CONNECT_TIMEOUT);
    options.server_selection_timeout = Some(SELECTION_TIMEOUT);
    options.heartbeat_freq = Some(HEARTBEAT);
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    let concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true);
    options.write_concern = Some(concern.w_timeout(MAJORITY_TIMEOUT).build());
    options.read_concern = Some(ReadConcern::majority());
    // Whatever the URL says: acknowledged writes must be visible to the next read.
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    Client::with_options(options)
}
