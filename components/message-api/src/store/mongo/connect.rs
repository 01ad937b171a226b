//! Connects to the server, explains failures, and prepares the database.

use std::time::Duration;

use bson::{Document, doc};
use kit::Exit;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    Acknowledgment, ClientOptions, IndexOptions, ReadConcern, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, IndexModel};

use super::call::{self, CallError};
use super::collections::{Collections, DATABASE, MAJORITY_TIMEOUT, SCHEMA};
use super::import::RESTORING;
use super::legacy;
use super::migration;
use crate::store::StoreError;

/// Somebody is waiting for the answer.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The interval at which a server that hangs is detected.
const HEARTBEAT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// One for the writer, the rest for reads.
const CONNECTIONS: u32 = 16;
/// The server's code if we are not logged in or lack rights.
const UNAUTHORIZED: i32 = 13;
/// The server's code for a wrong user name or password.
const AUTHENTICATION_FAILED: i32 = 18;

/// MongoDB cannot be used. No variant contains the URL, which may have a password.
#[derive(Debug, thiserror::Error)]
pub enum MongoOpenError {
    /// The URL is invalid.
    #[error("store.url is not a URL of MongoDB: {}", kind_text(.0))]
    Url(#[source] Box<Error>),
    /// The host name cannot be resolved.
    #[error("MongoDB: no such host as {servers}")]
    Host {
        /// The servers of the URL.
        servers: String,
    },
    /// Nothing listens there, or the network is down.
    #[error("MongoDB at {servers} is unreachable; is it running?")]
    Unreachable {
        /// The servers of the URL.
        servers: String,
        /// The driver's error.
        #[source]
        source: CallErrorSource,
    },
    /// The login failed.
    #[error("MongoDB at {servers} refuses the user name or password in store.url")]
    Login {
        /// The servers of the URL.
        servers: String,
    },
    /// The user lacks rights, or a login is required that the URL does not have.
    #[error(
        "MongoDB at {servers} does not let us work with the database: store.url must name a user with the role readWrite on it"
    )]
    Rights {
        /// The servers of the URL.
        servers: String,
    },
    /// The server does not speak MongoDB's protocol.
    #[error("what answers at {servers} is not MongoDB")]
    NotMongo {
        /// The servers of the URL.
        servers: String,
    },
    /// A newer version made the database.
    #[error(
        "the database '{database}' was made by a newer P2P Chat (schema {found}, this one knows {SCHEMA}); update this program"
    )]
    Newer {
        /// Its name.
        database: String,
        /// Its version.
        found: i32,
    },
    /// A restore was interrupted.
    #[error(
        "the restore into the database '{0}' was cut off; drop the database, or name a new one in store.url, and restore again"
    )]
    HalfRestored(String),
    /// An older program's messages cannot be imported.
    #[error("the messages of the older program cannot be taken over")]
    Legacy(#[source] StoreError),
    /// The skeletons of registered names cannot be stored.
    #[error("the users in the database cannot be brought to this version")]
    Users(#[source] StoreError),
    /// Another error.
    #[error("MongoDB at {servers} cannot be used")]
    Other {
        /// The servers of the URL.
        servers: String,
        /// The driver's error.
        #[source]
        source: CallErrorSource,
    },
}

/// The cause of an error, as text without secrets.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CallErrorSource(#[from] CallError);

impl MongoOpenError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Url(_) | Self::Newer { .. } | Self::HalfRestored(_) => Exit::Config,
            Self::Host { .. }
            | Self::Unreachable { .. }
            | Self::Login { .. }
            | Self::Rights { .. }
            | Self::NotMongo { .. }
            | Self::Legacy(_)
            | Self::Users(_)
            | Self::Other { .. } => Exit::Unavailable,
        }
    }
}

/// The driver's text about a URL, which does not repeat the password.
fn kind_text(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::InvalidArgument { message, .. } => message.clone(),
        kind => kind.to_string(),
    }
}

/// Tests the connection and the login; changes nothing.
///
/// # Errors
/// What is wrong, for the operator.
pub async fn greet(url: &str) -> Result<(), MongoOpenError> {
    let (client, servers) = connect(url).await?;
    ping(&client, &servers).await
}

/// The number of an older program's messages that the next start will import.
///
/// # Errors
/// As [`greet`].
pub async fn legacy_waiting(url: &str) -> Result<Option<u64>, MongoOpenError> {
    let (client, _) = connect(url).await?;
    let collections = Collections::of(&client);
    legacy::waiting(&collections).await.map_err(MongoOpenError::Legacy)
}

/// A database ready for use.
pub(super) struct Prepared {
    pub(super) collections: Collections,
    /// The servers of the URL.
    pub(super) servers: String,
    /// Whether it must be migrated while in use.
    pub(super) is_old: bool,
}

/// Connects to the server, and prepares the database.
pub(super) async fn open(url: &str) -> Result<Prepared, MongoOpenError> {
    let (client, servers) = connect(url).await?;
    ping(&client, &servers).await?;
    let collections = Collections::of(&client);
    check_version(&collections, &servers).await?;
    create_indexes(&collections).await.map_err(|error| explain(error, &servers))?;
    let is_old = migration::is_due(&collections).await.map_err(|error| explain(error, &servers))?;
    Ok(Prepared { collections, servers, is_old })
}

async fn connect(url: &str) -> Result<(Client, String), MongoOpenError> {
    let url_error = |error| MongoOpenError::Url(Box::new(error));
    let mut options = ClientOptions::parse(url).await.map_err(url_error)?;
    let servers: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
    options.app_name = Some("p2p-chat message-api".into());
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
    options.selection_criteria =
        Some(SelectionCriteria::ReadPreference(mongodb::options::ReadPreference::Primary));
    let client = Client::with_options(options).map_err(url_error)?;
    Ok((client, servers.join(", ")))
}

async fn ping(client: &Client, servers: &str) -> Result<(), MongoOpenError> {
    // A command that requires a login, unlike `ping`, so that a wrong password is detected here.
    let database = client.default_database().unwrap_or_else(|| client.database(DATABASE));
    let greeting = async move { database.run_command(doc! { "dbStats": 1 }).await };
    call::call(greeting).await.map(drop).map_err(|error| explain(error, servers))
}

/// Begins with a write, so that later reads find whatever any process had confirmed before.
async fn check_version(collections: &Collections, servers: &str) -> Result<(), MongoOpenError> {
    let (schema, database) = (&collections.schema, || collections.schema.namespace().db);
    let (version, ours) = (doc! { "_id": "version" }, doc! { "$max": { "version": SCHEMA } });
    let marked = collections.update(schema, version, ours, true).await;
    marked.map_err(|error| explain(error, servers))?;
    let found = collections.find(schema, doc! {}, None).await.map_err(|error| explain(error, servers))?;
    for document in found {
        match (document.get_str("_id"), document.get_i32("version")) {
            (Ok(RESTORING), _) => return Err(MongoOpenError::HalfRestored(database())),
            (_, Ok(found)) if found > SCHEMA => {
                return Err(MongoOpenError::Newer { database: database(), found });
            }
            _ => {}
        }
    }
    Ok(())
}

/// `log` prevents conflicts between writers, `sent` makes a repeated draft one message. The [`migration`] creates `unread`.
async fn create_indexes(collections: &Collections) -> Result<(), CallError> {
    let index = |name: &str, keys: Document, unique: bool| {
        let options = IndexOptions::builder().name(name.to_owned()).unique(unique).build();
        IndexModel::builder().keys(keys).options(options).build()
    };
    let logs = [
        index("log", doc! { "conversation": 1, "seq": -1 }, true),
        index("sent", doc! { "client_id": 1, "sender_key": 1 }, true),
    ];
    let all = collections.clone();
    call::call(async move {
        all.events.create_indexes(logs).await?;
        all.conversations.create_index(index("members", doc! { "members": 1 }, false)).await?;
        all.cursors.create_index(index("user", doc! { "user": 1 }, false)).await?;
        all.device_cursors.create_index(index("device", doc! { "user": 1, "device": 1 }, false)).await?;
        all.device_cursors.create_index(index("conversation", doc! { "conversation": 1 }, false)).await?;
        all.users.create_index(index("ordinal", doc! { "ordinal": 1 }, false)).await?;
        all.users.create_index(index("lookalikes", doc! { "skeleton": 1 }, false)).await?;
        all.state.create_index(index("owner", doc! { "owner": 1, "key": 1 }, true)).await
    })
    .await
    .map(drop)
}

/// Distinguishes the few errors that an operator can fix. The driver has no kinds for most of them, only texts.
pub(super) fn explain(error: CallError, servers: &str) -> MongoOpenError {
    let servers = servers.to_owned();
    let text = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let code = match &error {
        CallError::Driver(driver) => match &*driver.kind {
            ErrorKind::Authentication { .. } => AUTHENTICATION_FAILED,
            ErrorKind::Command(command) => command.code,
            _ => 0,
        },
        CallError::Timeout => 0,
    };
    if code == UNAUTHORIZED {
        MongoOpenError::Rights { servers }
    } else if code == AUTHENTICATION_FAILED || says(&["SCRAM failure", "Authentication failed"]) {
        MongoOpenError::Login { servers }
    } else if says(&["failed to lookup address", "Name or service not known", "nodename nor servname"]) {
        MongoOpenError::Host { servers }
    } else if says(&["Connection refused", "timed out", "unreachable", "No route to host", "deadline"]) {
        MongoOpenError::Unreachable { servers, source: error.into() }
    } else if says(&[
        "Invalid",
        "invalid",
        "unexpected end of file",
        "Connection reset",
        "early eof",
        "expected",
    ]) {
        MongoOpenError::NotMongo { servers }
    } else {
        MongoOpenError::Other { servers, source: error.into() }
    }
}
