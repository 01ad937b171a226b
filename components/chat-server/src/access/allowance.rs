//! The rate limit: what answers take from their session's allowance; what requests take, says [`Request::cost`](crate::dialect::request::Request::cost).
//! How large the allowance is says the configuration (`messages-per-second`, `burst`); how it is counted, `kit::allowance`.

/// What so many bytes that a client made us send cost: those of a page of history, of a list of everybody.
pub(crate) fn of_bytes(count: usize) -> f64 {
    // As much as the longest message.
    const ONE: f64 = 16.0 * 1024.0;
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from) / ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_answer_costs_like_many_messages() {
        assert!(of_bytes(1024 * 1024) > 50.0);
    }
}
