//! Opens the ports: each dialect's, with and without TLS.

use std::net::SocketAddr;
use std::path::Path;

use kit::Failure;
use kit::listen::ListenError;
use kit::tls::{Protocol, Tls};

use crate::access::port::{Door, Port};
use crate::config::Config;
use crate::dialect::Dialect;

/// Loads the certificate, if a port needs one.
pub(crate) fn open_tls(config: &Config, data: &Path) -> Result<Option<Tls>, Failure> {
    let needs_tls = config.tls_listen.is_some() || config.book && config.tls_book_listen.is_some();
    needs_tls.then(|| Tls::open(&config.tls, data)).transpose()
}

/// Opens all ports, the main one first.
pub(crate) async fn open(config: &Config, tls: Option<&Tls>) -> Result<Vec<Door>, ListenError> {
    let (main, book) = (Port::Main(Dialect::Text), Port::Dedicated(Dialect::Book));
    let book_listen = config.book.then_some(config.book_listen);
    let tls_book_listen = config.tls_book_listen.filter(|_| config.book);
    let plain: [(Port, Option<SocketAddr>); 2] = [(main, Some(config.listen)), (book, book_listen)];
    let encrypted = [(main, config.tls_listen), (book, tls_book_listen)];
    let acceptor = tls.map(|tls| tls.acceptor(Protocol::Chat));
    let mut doors = Vec::new();
    for (addresses, tls) in [(plain, None), (encrypted, acceptor)] {
        for (port, address) in addresses {
            if let Some(address) = address {
                doors.push(Door { port, listener: kit::listen::bind(address).await?, tls: tls.clone() });
            }
        }
    }
    Ok(doors)
}
