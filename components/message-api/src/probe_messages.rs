//! Keeps the conversation of the launcher's probe with itself short, for it writes there twice a minute and reads nothing later.
//!
//! The messages are stored as everybody's are, for a probe that is spared what is hard proves nothing; afterwards the beginning of the
//! log is removed as [`retention`](crate::retention) does it, whatever the operator's rule is. The places go on: what a backup, a
//! restore and a migration meet is a log whose beginning expired.

use std::sync::Arc;

use protocol::api::Appended;
use protocol::{ConversationId, UserName};

use crate::store::Store;

/// So many of its last messages stay, of half an hour or so, for whoever looks into the store; what comes between two removals adds
/// as many again.
const KEPT: u64 = 50;

/// Up to where its log is removed now that these were stored, if it is time.
fn surplus(conversation: &ConversationId, stored: &[Appended]) -> Option<u64> {
    let own = stored.iter().filter(|appended| appended.conversation == *conversation && !appended.duplicate);
    let last = own.map(|appended| appended.seq).rfind(|seq| seq.is_multiple_of(KEPT))?;
    last.checked_sub(KEPT).filter(|up_to| *up_to > 0)
}

/// Removes what is too much, behind the answer to who stored these. What cannot be removed now goes the next time.
pub(crate) fn trim(store: &Arc<dyn Store>, stored: &[Appended]) {
    let probe = UserName::probe();
    let conversation = ConversationId::dm(&probe, &probe);
    let Some(up_to) = surplus(&conversation, stored) else { return };
    let store = Arc::clone(store);
    tokio::spawn(async move {
        if let Err(error) = store.forget(&conversation, up_to).await {
            tracing::warn!(error = kit::failure::chain(&error), "cannot delete old probe messages");
        }
    });
}

#[cfg(test)]
mod tests {
    use protocol::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::sample;

    fn stored(conversation: &ConversationId, seqs: std::ops::RangeInclusive<u64>) -> Vec<Appended> {
        let at = Timestamp::from_micros(0);
        let appended =
            |seq| Appended { conversation: conversation.clone(), seq, id: Uuid::nil(), at, duplicate: false };
        seqs.map(appended).collect()
    }

    #[test]
    fn at_most_a_hundred_stay_and_nobody_elses_are_touched() {
        let probe = ConversationId::dm(&UserName::probe(), &UserName::probe());
        let mut first = 1;
        for seq in 1..=1000 {
            if let Some(up_to) = surplus(&probe, &stored(&probe, seq..=seq)) {
                first = up_to + 1;
            }
            assert!(seq - first < 2 * KEPT, "{first} to {seq}");
        }
        assert_eq!(surplus(&probe, &stored(&probe, 95..=105)), Some(50), "in the middle of a batch");
        let other = ConversationId::dm(&sample::name("alice"), &UserName::probe());
        assert_eq!(surplus(&probe, &stored(&other, 100..=100)), None);
    }
}
