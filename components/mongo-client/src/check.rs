//! Tests the connection to MongoDB, and explains in one sentence what is wrong.
//!
//! First the network alone, because the driver reports all failures as a "server selection timeout"; then the driver, which knows about
//! passwords and primaries. No message contains the URL, which may have a password.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kit::{Exit, Failure};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ServerAddress};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// Time limit for resolving and connecting; a slower server is useless to a chat.
const CONNECT: Duration = Duration::from_secs(2);
/// Time limit for the driver's server selection.
const SELECTION: Duration = Duration::from_secs(2);
/// Time limit for the whole test.
const GREETING: Duration = Duration::from_secs(5);

/// Why MongoDB cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MongoError {
    /// The URL is invalid.
    #[error("store.url is not a MongoDB URL: {0}")]
    Url(String),
    /// The host name cannot be resolved.
    #[error("unknown host '{host}' in store.url or MONGO_URL")]
    NoSuchHost {
        /// Host name.
        host: String,
    },
    /// Nothing listens there, or there is no route.
    #[error("cannot reach MongoDB at {address}: {why}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The network error.
        why: String,
    },
    /// Something listens, but does not speak MongoDB's protocol.
    #[error("the server at {address} is not MongoDB{hint}")]
    NotMongo {
        /// Host and port.
        address: String,
        /// What it may be.
        hint: &'static str,
    },
    /// The user name or password is wrong or missing.
    #[error("MongoDB at {address} does not accept the user name and password of the URL")]
    Credentials {
        /// Host and port.
        address: String,
    },
    /// It requires a login, and the URL has none.
    #[error(
        "MongoDB at {address} requires a login, but store.url has no user; write mongodb://USER:PASSWORD@{address}/"
    )]
    NoLogin {
        /// Host and port.
        address: String,
    },
    /// The user lacks the rights that a store needs.
    #[error(
        "MongoDB at {address} does not let the user '{user}' write to the database '{database}'; grant the role readWrite on it, or name another database in store.url"
    )]
    ReadOnly {
        /// Host and port.
        address: String,
        /// The user of the URL.
        user: String,
        /// Name of the database.
        database: String,
    },
    /// The database name is invalid.
    #[error("invalid database name '{database}' in store.url: {why}")]
    Database {
        /// Name of the database.
        database: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// It is a MongoDB that cannot be used now.
    #[error("MongoDB at {address} answers, but cannot be used: {why}")]
    Unusable {
        /// Host and port.
        address: String,
        /// The error.
        why: String,
    },
}

impl MongoError {
    /// The error as a fatal error of the process.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        let exit = if matches!(self, Self::Url(_)) { Exit::Config } else { Exit::Unavailable };
        Failure::new(exit, self)
    }
}

/// Whether a store URL is of MongoDB.
#[must_use]
pub fn is_mongodb(url: &str) -> bool {
    url.starts_with("mongodb://") || url.starts_with("mongodb+srv://")
}

/// The password in a URL, unescaped.
#[must_use]
pub fn password(url: &str) -> Option<String> {
    let authority = url.strip_prefix("mongodb://")?.split(['/', '?']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.is_empty()).then(|| password.to_owned())
}

/// The future result of a test of a connection. It is boxed, so that it is translated in this crate.
pub type Tested<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

/// Tests the connection to the MongoDB of a URL within 5 s. The database is `default` unless the URL names one.
///
/// # Errors
/// What is wrong, as far as it can be determined.
#[must_use]
pub fn test_connection<'a>(url: &'a str, default: &'static str) -> Tested<'a, MongoError> {
    Box::pin(test(url, default))
}

async fn test(url: &str, default: &'static str) -> Result<(), MongoError> {
    let mut options = options(url).await?;
    options.default_database.get_or_insert_with(|| default.to_owned());
    let address = shown(&options);
    // A driver's future must not be dropped half-way; its task ends by itself.
    let greeting = tokio::spawn(test_with(options));
    match tokio::time::timeout(GREETING, greeting).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(MongoError::Unusable { address, why: "the driver failed".to_owned() }),
        Err(_) => Err(MongoError::Unreachable { address, why: "no answer within 5 s".to_owned() }),
    }
}

async fn test_with(options: ClientOptions) -> Result<(), MongoError> {
    let database = database(&options)?;
    reach_any(&options.hosts).await?;
    let client = client(&options)?;
    match try_to_write(&client, &database).await {
        Ok(()) => Ok(()),
        Err(error) => Err(explain(&error, &options).await),
    }
}

async fn options(url: &str) -> Result<ClientOptions, MongoError> {
    let mut options =
        ClientOptions::parse(url).await.map_err(|error| MongoError::Url(plain(&error, password(url))))?;
    options.app_name = Some("p2p-chat launcher".to_owned());
    options.connect_timeout = Some(CONNECT);
    options.server_selection_timeout = Some(SELECTION);
    options.max_pool_size = Some(1);
    Ok(options)
}

fn client(options: &ClientOptions) -> Result<Client, MongoError> {
    Client::with_options(options.clone()).map_err(|error| MongoError::Url(plain(&error, None)))
}

/// The database for messages, if its name is valid. <https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions>
fn database(options: &ClientOptions) -> Result<String, MongoError> {
    const LONGEST: usize = 63;
    let name = options.default_database.as_deref().unwrap_or_default();
    let wrong = |why| Err(MongoError::Database { database: name.chars().take(100).collect(), why });
    if name.len() > LONGEST {
        return wrong("it is longer than 63 bytes");
    }
    if name.contains(['/', '\\', '.', ' ', '"', '$', '*', '<', '>', ':', '|', '?', '\0']) {
        return wrong("it contains one of / \\ . \" $ * < > : | ? or a space");
    }
    Ok(name.to_owned())
}

/// Changes nothing, because nothing matches, but fails without the rights that a store needs.
async fn try_to_write(client: &Client, database: &str) -> Result<(), Error> {
    let (database, nothing) = (client.database(database), doc! { "_id": "p2p-chat: matches nothing" });
    let update = doc! { "q": nothing.clone(), "u": { "$set": { "checked": true } } };
    database.run_command(doc! { "update": "schema", "updates": [update] }).await?;
    let delete = doc! { "q": nothing, "limit": 1 };
    database.run_command(doc! { "delete": "schema", "deletes": [delete] }).await.map(|_: Document| ())
}

/// Reads and writes nothing.
async fn ping(client: &Client) -> Result<(), Error> {
    client.database("admin").run_command(doc! { "ping": 1 }).await.map(|_: Document| ())
}

/// One reachable host is enough: the driver handles the others.
async fn reach_any(hosts: &[ServerAddress]) -> Result<(), MongoError> {
    let mut first_error = None;
    for host in hosts {
        match reach(host).await {
            Ok(()) => return Ok(()),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    first_error.map_or(Ok(()), Err)
}

async fn reach(host: &ServerAddress) -> Result<(), MongoError> {
    let ServerAddress::Tcp { host, port } = host else { return Ok(()) };
    let port = port.unwrap_or(27017);
    let unreachable =
        |why: &str| MongoError::Unreachable { address: format!("{host}:{port}"), why: why.to_owned() };
    let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((host.as_str(), port))).await;
    let addresses: Vec<_> = match found {
        Err(_) => return Err(unreachable("its name did not resolve within 2 s")),
        Ok(Err(_)) => return Err(MongoError::NoSuchHost { host: host.clone() }),
        Ok(Ok(addresses)) => addresses.collect(),
    };
    match tokio::time::timeout(CONNECT, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(unreachable("connection refused; is it running?"))
        }
        Ok(Err(error)) => Err(unreachable(&error.to_string())),
        Err(_) => Err(unreachable("no response within 2 s; is it blocked by a firewall?")),
    }
}

/// Determines why the driver could not use a reachable server.
async fn explain(error: &Error, options: &ClientOptions) -> MongoError {
    let address = shown(options);
    if is_unauthorized(error) {
        let user =
            options.credential.as_ref().map(|credential| credential.username.clone().unwrap_or_default());
        let database = options.default_database.as_deref().unwrap_or_default();
        return match user {
            None => MongoError::NoLogin { address },
            Some(user) => MongoError::ReadOnly { address, user, database: database.to_owned() },
        };
    }
    if is_authentication(error) {
        return MongoError::Credentials { address };
    }
    if let Some(stranger) = first_non_mongodb(options).await {
        let hint = if matches!(options.tls, Some(mongodb::options::Tls::Enabled(_))) {
            "; or it does not speak TLS, which the URL asks for"
        } else {
            "; or it wants TLS: add tls=true to the URL"
        };
        return MongoError::NotMongo { address: stranger, hint };
    }
    let password = options.credential.as_ref().and_then(|credential| credential.password.clone());
    let why = match (&options.repl_set_name, error.kind.as_ref()) {
        (Some(name), ErrorKind::ServerSelection { .. }) => {
            format!("no primary of a replica set called '{name}' is found")
        }
        (None, ErrorKind::ServerSelection { .. }) => "no primary is found".to_owned(),
        _ => plain(error, password),
    };
    MongoError::Unusable { address, why }
}

/// Code 13: not allowed, logged in or not.
fn is_unauthorized(error: &Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == 13)
}

/// Codes 13, 18 and 8000: unauthorized, authentication failed, and hosted MongoDB's code for the same.
fn is_authentication(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => true,
        ErrorKind::Command(command) => matches!(command.code, 13 | 18 | 8000),
        _ => false,
    }
}

/// The first host that accepts connections and does not answer `hello`, asked directly and without a password.
async fn first_non_mongodb(options: &ClientOptions) -> Option<String> {
    for host in &options.hosts {
        if reach(host).await.is_err() {
            continue;
        }
        let mut alone = options.clone();
        alone.hosts = vec![host.clone()];
        alone.credential = None;
        alone.repl_set_name = None;
        alone.direct_connection = Some(true);
        let Ok(client) = client(&alone) else { continue };
        let hello = client.database("admin").run_command(doc! { "hello": 1 }).await;
        if hello.is_err_and(|error| !is_authentication(&error)) {
            return Some(shown(&alone));
        }
    }
    None
}

fn shown(options: &ClientOptions) -> String {
    let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
    hosts.join(",")
}

/// The driver's text on one short line, without the password.
fn plain(error: &Error, password: Option<String>) -> String {
    let text = error.kind.to_string().replace(['\n', '\r'], " ");
    let text = match password {
        // A shorter password is rejected with the configuration, and replacing it would damage the text.
        Some(password) if password.len() >= kit::secret::SHORTEST => text.replace(&password, "***"),
        _ => text,
    };
    text.chars().take(300).collect()
}

/// MongoDB as a dependency to watch: one client for the whole run, created at the first look. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watched {
    url: Arc<str>,
    client: Arc<OnceCell<(Client, ClientOptions)>>,
}

impl Watched {
    /// The MongoDB of a URL.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), client: Arc::default() }
    }

    /// Looks at its state. An error has words that fit after "mongodb".
    #[must_use]
    pub fn look(&self) -> Tested<'static, String> {
        let Self { url, client } = self.clone();
        // Spawned, because a driver's future must not be dropped half-way, as a deadline does.
        let answer = tokio::spawn(async move { watch(&url, &client).await });
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err("the driver failed".to_owned())) })
    }
}

/// Its state, in words that fit after "mongodb".
async fn watch(url: &str, cell: &OnceCell<(Client, ClientOptions)>) -> Result<(), String> {
    let made = cell.get_or_try_init(|| async {
        let options = options(url).await?;
        Ok::<_, MongoError>((client(&options)?, options))
    });
    let (client, options) = made.await.map_err(|error| error.to_string())?;
    match ping(client).await {
        Ok(()) => Ok(()),
        Err(error) if is_authentication(&error) => Err("does not accept our password any more".to_owned()),
        Err(_) => Err(match reach_any(&options.hosts).await {
            Ok(()) => "accepts connections, but no primary answers".to_owned(),
            Err(MongoError::NoSuchHost { host }) => format!("has no host called '{host}' any more"),
            Err(_) => "refuses connections".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
