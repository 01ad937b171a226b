//! The rate of stored messages, from the message API's counter.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The counter, `docs/metrics.md`.
const COUNTER: &str = "message_api_appended_total";
/// A server that takes longer is shown without a rate.
const TIMEOUT: Duration = Duration::from_millis(300);
/// Far above the size of all metrics.
const MAX_ANSWER: u64 = 256 * 1024;
/// The rate is averaged over about this time.
const WINDOW: Duration = Duration::from_secs(5);

/// The counts of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// Adds a count; returns the rate if there is an earlier one. A smaller count is that of a restarted server.
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    pub(super) fn note(&mut self, now: Instant, count: Option<u64>) -> Option<f64> {
        let Some(count) = count else {
            self.0.clear();
            return None;
        };
        if self.0.back().is_some_and(|(_, last)| count < *last) {
            self.0.clear();
        }
        while self.0.len() > 1
            && self.0.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW)
        {
            self.0.pop_front();
        }
        let first = self.0.front().copied();
        self.0.push_back((now, count));
        let (at, first) = first?;
        let seconds = now.saturating_duration_since(at).as_secs_f64();
        (seconds > 0.0).then(|| (count - first) as f64 / seconds)
    }
}

/// The number of messages stored since the message API at this address was started.
pub(super) async fn count(address: SocketAddr) -> Option<u64> {
    tokio::time::timeout(TIMEOUT, ask(address)).await.ok()?.ok().as_deref().and_then(parse)
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(answer: &str) -> Option<u64> {
    let value = answer.lines().find_map(|line| line.strip_prefix(COUNTER)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds_and_begins_anew_with_the_server() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(rate.note(at(0), Some(100)), None);
        assert_eq!(rate.note(at(2), Some(120)), Some(10.0));
        assert_eq!(rate.note(at(10), Some(920)), Some(100.0), "not what was long ago");
        assert_eq!(rate.note(at(11), Some(5)), None, "restarted");
        assert_eq!(rate.note(at(12), Some(7)), Some(2.0));
        assert_eq!(rate.note(at(13), None), None);
        assert!(rate.0.is_empty());
    }

    #[test]
    fn the_counter_is_found_among_the_others() {
        let answer = "HTTP/1.1 200 OK\r\n\r\n# TYPE message_api_appended_total counter\nmessage_api_appended_total 42\n";
        assert_eq!(parse(answer), Some(42));
        assert_eq!(parse("message_api_appended_total_x 1\n"), None);
    }
}
