//! The failures of MongoDB that can be tested without one.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_port_where_nothing_listens_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = test_connection(&format!("mongodb://user:hunter2@{address}/"), "db").await.unwrap_err();
    assert!(matches!(error, MongoError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert_eq!(error.into_failure().exit(), Exit::Unavailable);
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_named() {
    let error = test_connection("mongodb://no-such-host.invalid:27017/", "db").await.unwrap_err();
    assert_eq!(error, MongoError::NoSuchHost { host: "no-such-host.invalid".to_owned() });
}

#[tokio::test]
async fn another_kind_of_server_is_not_a_mongodb() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 64];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
            });
        }
    });
    let error = test_connection(&format!("mongodb://{address}/"), "db").await.unwrap_err();
    assert!(matches!(error, MongoError::NotMongo { .. }), "{error}");
}

#[tokio::test]
async fn a_url_that_is_none_is_a_mistake_of_the_configuration() {
    let error = test_connection("mongodb://user:hunter2@host:port:port/", "db").await.unwrap_err();
    assert!(matches!(error, MongoError::Url(_)), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert_eq!(error.into_failure().exit(), Exit::Config);
}

#[test]
fn the_password_is_found_in_its_url() {
    assert_eq!(password("mongodb://u:p%40ss@h1,h2:27018/db?x=y").as_deref(), Some("p%40ss"));
    assert_eq!(password("mongodb://h/db"), None);
    assert_eq!(password("mongodb://u@h/db"), None);
    assert_eq!(password("sqlite:chat.db"), None);
}
