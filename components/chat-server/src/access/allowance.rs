//! The rate limit: what answers cost a session. What requests cost is in [`Request::cost`](crate::dialect::request::Request::cost), the
//! size of the allowance in the configuration (`messages-per-second`, `burst`), and the token bucket in `kit::allowance`.

/// The cost, in messages, of an answer of this many bytes, such as a page of history or a list of users.
pub(crate) fn cost_of_bytes(count: usize) -> f64 {
    // The size of the longest message.
    const ONE: f64 = 16.0 * 1024.0;
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from) / ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_answer_costs_like_many_messages() {
        assert!(cost_of_bytes(1024 * 1024) > 50.0);
    }
}
