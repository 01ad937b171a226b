//! A name that was read is one again, with the same key, and holds to its bounds.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::limits::NAME_CHARS;
use protocol::{ConversationId, UserName};

fuzz_target!(|text: &str| {
    let Ok(name) = UserName::parse(text) else { return };
    assert!((1..=NAME_CHARS).contains(&name.as_str().chars().count()));
    let again = UserName::parse(name.as_str()).expect("a name is a name");
    assert_eq!((again.as_str(), again.key()), (name.as_str(), name.key()));
    let key = UserName::parse(name.key()).expect("a name's key is a name");
    assert_eq!(key.key(), name.key());
    reached!("name");
    if name.key() != name.as_str() {
        reached!("folded");
    }
    let conversation = ConversationId::dm(&name, &UserName::parse("bob").expect("a name"));
    assert_eq!(ConversationId::parse(conversation.as_str()).expect("a key is a key"), conversation);
});
