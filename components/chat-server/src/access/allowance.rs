//! The rate limit: what each request takes from its session's allowance. How large that is says the configuration
//! (`messages-per-second`, `burst`); how it is counted, `kit::allowance`.

use crate::dialect::request::Request;

/// What a request takes from the session's allowance, in messages. Nothing that a client can send as often as it likes is free; what
/// programs send of their own accord is cheap. What is over the allowance waits, and nothing is read behind it.
///
/// Answers of a size that somebody else decides cost by their bytes as well, once these are known: see [`of_bytes`].
pub(crate) fn cost(request: &Request) -> f64 {
    match request {
        // It closes the connection, so it comes once.
        Request::Exit => 0.0,
        Request::Nothing | Request::Seen(_) | Request::Ping(_) => 0.1,
        Request::Say(..)
        | Request::Lookup(_)
        | Request::Trace(_)
        | Request::History(_)
        | Request::Mistake(_) => 1.0,
        // Everything unread is read once more; a line that is too long was read, too.
        Request::Check | Request::TooLong(_) => 4.0,
    }
}

/// What so many bytes that a client made us send cost: those of a page of history, of a list of everybody.
pub(crate) fn of_bytes(count: usize) -> f64 {
    // As much as the longest message.
    const ONE: f64 = 16.0 * 1024.0;
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from) / ONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::request::{HistoryRequest, Outgoing, Seen, TraceRequest};
    use bytes::Bytes;
    use protocol::{Body, ConversationId, UserName};

    #[test]
    fn nothing_that_can_be_sent_again_is_free() {
        let name = |text| UserName::parse(text).unwrap();
        let conversation = ConversationId::dm(&name("a"), &name("b"));
        let outgoing = Outgoing::chat(name("a"), name("b"), Body::parse("hi").unwrap());
        let requests = [
            Request::Nothing,
            Request::Mistake(Bytes::new()),
            Request::TooLong(Bytes::new()),
            Request::Ping(None),
            Request::Say(Box::new(outgoing)),
            Request::Trace(TraceRequest { message: "m".to_owned(), token: None }),
            Request::Lookup("b-hi".to_owned()),
            Request::Check,
            Request::Seen(Seen { conversation, seq: 1 }),
            Request::History(HistoryRequest { with: name("b"), before: None, limit: None }),
        ];
        assert!(requests.iter().all(|request| cost(request) > 0.0));
        assert!(of_bytes(1024 * 1024) > 50.0);
    }
}
