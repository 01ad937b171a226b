//! Closes a connection so that its last output arrives.
//!
//! Closing with unread input would reset the connection and lose the last output (RFC 1122, 4.2.2.13). So our side shuts down its output
//! first, and input is discarded for a while.

use std::time::Duration;

use tokio::net::TcpStream;

/// Bytes per read.
const READ: usize = 8 * 1024;

/// Shuts down the output, and discards input until the peer closes, but for at most `within` and at most `bytes`. Nobody else may read or
/// write any more.
pub async fn linger(stream: &TcpStream, within: Duration, bytes: usize) {
    if rustix::net::shutdown(stream, rustix::net::Shutdown::Write).is_err() {
        return;
    }
    // The result is irrelevant: the connection is finished.
    let _ = tokio::time::timeout(within, discard(stream, bytes)).await;
}

async fn discard(stream: &TcpStream, mut left: usize) {
    while left > 0 && stream.readable().await.is_ok() {
        let Some(count) = throw_away(stream) else { return };
        left = left.saturating_sub(count);
        // Yields to other tasks even if the peer never pauses.
        tokio::task::consume_budget().await;
    }
}

/// Reads and discards; `None` at the end of input. The buffer is not part of the future, so that closing connections need no memory for it.
fn throw_away(stream: &TcpStream) -> Option<usize> {
    let mut buffer = [0; READ];
    match stream.try_read(&mut buffer) {
        Ok(0) => None,
        Ok(count) => Some(count),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(0),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, peer)
    }

    #[tokio::test]
    async fn the_last_output_arrives_though_the_peer_is_still_sending() {
        let (mut stream, mut peer) = pair().await;
        stream.write_all(b"bye").await.unwrap();
        let ending = async move {
            linger(&stream, Duration::from_secs(60), 16 << 20).await;
            drop(stream);
        };
        let hearing = async {
            let mut heard = String::new();
            peer.write_all(&vec![b'x'; 8 << 20]).await.expect("it is not reset");
            peer.shutdown().await.unwrap();
            peer.read_to_string(&mut heard).await.unwrap();
            drop(peer);
            heard
        };
        let ((), heard) = tokio::join!(ending, hearing);
        assert_eq!(heard, "bye");
    }

    #[tokio::test]
    async fn a_peer_that_does_not_stop_is_closed_after_a_while() {
        let (stream, mut peer) = pair().await;
        let flood = async { while peer.write_all(&[b'x'; 10_000]).await.is_ok() {} };
        let ending = async move {
            linger(&stream, Duration::from_secs(60), 100_000).await;
            drop(stream);
        };
        tokio::join!(ending, flood);
    }
}
