//! Final texts of a chat.

use protocol::UserName;

/// The number of waiting messages.
pub(super) fn wait(count: usize) -> String {
    if count == 1 { "1 message waits".to_owned() } else { format!("{count} messages wait") }
}

/// What happens to unanswered messages, which the history stores or does not.
pub(super) fn unanswered(count: usize, kept: bool, me: &UserName, server: &str) -> String {
    let goes = if count == 1 { "it goes" } else { "they go" };
    let got = if count == 1 { "1 message got".to_owned() } else { format!("{count} messages got") };
    match (count, kept) {
        (0, _) => "nothing was sent".to_owned(),
        (_, true) => {
            format!("{} in the history of {me}; {goes} out when {me} next chats with {server}", wait(count))
        }
        (_, false) => format!("{got} no answer and may not have been stored"),
    }
}

/// There never was a connection; `rest` is about the messages.
pub(super) fn nobody(server: &str, rest: &str) -> String {
    format!(
        "cannot reach a chat server at {server} ('launcher' starts one on this machine, --server names another); {rest}"
    )
}

/// Some commands or messages failed.
pub(super) fn failed(failures: usize) -> String {
    let failures = if failures == 1 { "1 error".to_owned() } else { format!("{failures} errors") };
    format!("failed: {failures}, see above")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_several_are_told_of_as_people_would() {
        let me = UserName::parse("alice").unwrap();
        let told = |count, kept| unanswered(count, kept, &me, "here:5000");
        assert_eq!(
            told(1, true),
            "1 message waits in the history of alice; it goes out when alice next chats with here:5000"
        );
        assert_eq!(
            told(2, true),
            "2 messages wait in the history of alice; they go out when alice next chats with here:5000"
        );
        assert_eq!(told(2, false), "2 messages got no answer and may not have been stored");
        assert_eq!(told(0, true), "nothing was sent");
        assert_eq!(failed(1), "failed: 1 error, see above");
        assert_eq!(failed(2), "failed: 2 errors, see above");
    }
}
