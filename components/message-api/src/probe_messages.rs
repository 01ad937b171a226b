//! Keeps the conversation of the launcher's probe with itself short: the probe writes twice a minute and never reads old messages.
//!
//! Its messages are stored like any others, because a probe that skips a step proves nothing about it; afterwards the beginning of the log
//! is removed in the way of [`retention`](crate::retention), independent of the operator's rule. The numbering continues: a backup, a
//! restore and a migration find a log whose beginning has expired.

use std::sync::Arc;

use protocol::api::Appended;
use protocol::{ConversationId, UserName};

use crate::store::Store;

/// This many of its last messages stay, about half an hour of them, for somebody who inspects the store; up to as many again accumulate
/// between two removals.
const KEPT: u64 = 50;

/// The `seq` up to which to remove the log now that these were stored, if it is time.
fn surplus(conversation: &ConversationId, stored: &[Appended]) -> Option<u64> {
    let own = stored.iter().filter(|appended| appended.conversation == *conversation && !appended.duplicate);
    let last = own.map(|appended| appended.seq).rfind(|seq| seq.is_multiple_of(KEPT))?;
    last.checked_sub(KEPT).filter(|up_to| *up_to > 0)
}

/// Removes surplus messages after the sender was answered. If that fails, the next time removes them.
pub(crate) fn trim(store: &Arc<dyn Store>, stored: &[Appended]) {
    let probe = UserName::probe();
    let conversation = ConversationId::dm(&probe, &probe);
    let Some(up_to) = surplus(&conversation, stored) else { return };
    let store = Arc::clone(store);
    tokio::spawn(async move {
        if let Err(error) = store.delete_up_to(&conversation, up_to).await {
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
    fn at_most_a_hundred_stay_and_no_others_are_deleted() {
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
