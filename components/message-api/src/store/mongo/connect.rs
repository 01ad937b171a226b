//! Connects to the server, explains failures, and prepares the database.

use std::pin::Pin;

use bson::{Document, doc};
use kit::Exit;
use mongo_client::{CallError, Connected, Database, UrlError};

use super::collections::{Collection, Collections, DATABASE, SCHEMA};
use super::import::RESTORING;
use super::legacy;
use super::migration;
use crate::store::StoreError;

/// Our name in the server's logs.
const PROGRAM: &str = "p2p-chat message-api";
/// The server's code if we are not logged in or lack rights.
const UNAUTHORIZED: i32 = 13;
/// The server's code for a wrong user name or password.
const AUTHENTICATION_FAILED: i32 = 18;

/// MongoDB cannot be used. No variant contains the URL, which may have a password.
#[derive(Debug, thiserror::Error)]
pub enum MongoOpenError {
    /// The URL is invalid.
    #[error("store.url is not a URL of MongoDB: {0}")]
    Url(UrlError),
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

/// The future result of something that opens a database. It is boxed, so that it is compiled with this crate: see `kit::Running`.
pub type Opening<'a, T> = Pin<Box<dyn Future<Output = Result<T, MongoOpenError>> + Send + 'a>>;

/// Tests the connection and the login; changes nothing.
///
/// # Errors
/// What is wrong, for the operator.
#[must_use]
pub fn greet(url: &str) -> Opening<'_, ()> {
    Box::pin(async move {
        let Connected { database, servers } = connect(url).await?;
        database.greet().await.map_err(|error| explain(error, &servers))
    })
}

/// The number of an older program's messages that the next start will import.
///
/// # Errors
/// As [`greet`].
#[must_use]
pub fn legacy_waiting(url: &str) -> Opening<'_, Option<u64>> {
    Box::pin(async move {
        let collections = Collections::of(connect(url).await?.database);
        legacy::waiting(&collections).await.map_err(MongoOpenError::Legacy)
    })
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
    let Connected { database, servers } = connect(url).await?;
    database.greet().await.map_err(|error| explain(error, &servers))?;
    let collections = Collections::of(database);
    check_version(&collections, &servers).await?;
    create_indexes(&collections).await.map_err(|error| explain(error, &servers))?;
    let is_old = migration::is_due(&collections).await.map_err(|error| explain(error, &servers))?;
    Ok(Prepared { collections, servers, is_old })
}

async fn connect(url: &str) -> Result<Connected, MongoOpenError> {
    Database::open(url, PROGRAM, DATABASE).await.map_err(MongoOpenError::Url)
}

/// Begins with a write, so that later reads find whatever any process had confirmed before.
async fn check_version(collections: &Collections, servers: &str) -> Result<(), MongoOpenError> {
    let (schema, database) = (&collections.schema, || collections.database.name().to_owned());
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
    let of = |collection: &Collection<Document>| collection.documents().clone();
    let events = collections.events.documents();
    events.create_index("log", doc! { "conversation": 1, "seq": -1 }, true).await?;
    events.create_index("sent", doc! { "client_id": 1, "sender_key": 1 }, true).await?;
    of(&collections.conversations).create_index("members", doc! { "members": 1 }, false).await?;
    of(&collections.cursors).create_index("user", doc! { "user": 1 }, false).await?;
    let devices = of(&collections.device_cursors);
    devices.create_index("device", doc! { "user": 1, "device": 1 }, false).await?;
    devices.create_index("conversation", doc! { "conversation": 1 }, false).await?;
    let users = of(&collections.users);
    users.create_index("ordinal", doc! { "ordinal": 1 }, false).await?;
    users.create_index("lookalikes", doc! { "skeleton": 1 }, false).await?;
    of(&collections.state).create_index("owner", doc! { "owner": 1, "key": 1 }, true).await
}

/// Distinguishes the few errors that an operator can fix. The driver has no kinds for most of them, only texts.
pub(super) fn explain(error: CallError, servers: &str) -> MongoOpenError {
    let servers = servers.to_owned();
    let text = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let code = error.code();
    if code == Some(UNAUTHORIZED) {
        MongoOpenError::Rights { servers }
    } else if code == Some(AUTHENTICATION_FAILED) || says(&["SCRAM failure", "Authentication failed"]) {
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
