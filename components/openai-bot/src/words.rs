//! The bot's own texts: help, confirmations, and apologies with advice.

use std::time::Duration;

use protocol::UserName;

use crate::answer::BrokeOff;
use crate::model::ModelError;
use crate::personality::Personality;

/// Answers a question while too many of the same user's wait.
pub(crate) const TOO_MANY: &str = "I am still busy with your earlier questions, and three more are waiting already. \
     Please ask this one again when they are answered.";
/// Answers a choice of personality when there is no room for another.
pub(crate) const NO_ROOM: &str =
    "I cannot remember any more choices, so I stay as I was. Please try again later.";
/// Appended to a change of personality that the message API rejected.
pub(crate) const NOT_KEPT: &str = " (I could not note that down, so it holds only until I am restarted.)";
/// Replaces the parts of an answer that were lost in a restart.
pub(crate) const REST_LOST: &str =
    "[I was restarted while I sent this answer, and the rest of it is lost. Please ask again.]";
/// Replaces an answer that has no visible text or that the server rejects.
pub(crate) const UNSPEAKABLE: &str =
    "The model's answer holds nothing that can be shown here. Please ask in other words.";

/// Replaces an empty answer.
const EMPTY: &str = "The model had nothing to say to that. Please ask in other words.";
/// Confirms `forget`.
pub(crate) const FORGOTTEN: &str = "I have forgotten what we said. What is next?";
/// The prefix of all apologies.
const SORRY: &str = "Sorry, ";
/// The separator between an incomplete answer and the remark about it.
const REMARK: &str = "\n\n[The answer broke off here: ";

/// The model's part of an answer in the log; `None` for our own notices. An answer that starts like an apology is mistaken for one, and is
/// then not sent to the model again.
pub(crate) fn said_by_model(answer: &str) -> Option<&str> {
    let own = [TOO_MANY, REST_LOST, UNSPEAKABLE, EMPTY];
    if answer.starts_with(SORRY) || own.contains(&answer) {
        return None;
    }
    Some(answer.rsplit_once(REMARK).map_or(answer, |(said, _)| said))
}

/// The help, with the current personality.
pub(crate) fn help(me: &UserName, model: &str, personality: Personality) -> String {
    let names = Personality::ALL.map(Personality::as_str).join("|");
    format!(
        "I am {me}; ask me anything and I pass it on to the model {model}.\n\
         Commands: help or info (this text), personality {names} (how I answer you), rotate (the next personality), \
         forget or new (I forget what we said).\n\
         Current personality: {}",
        personality.as_str()
    )
}

/// Confirms a change.
pub(crate) fn changed(personality: Personality) -> String {
    format!("Personality set to {}.", personality.as_str())
}

/// Answers an unknown name of a personality.
pub(crate) fn unknown_personality(current: Personality) -> String {
    format!(
        "There is no such personality. Available personalities: {}. Current personality: {}",
        Personality::names(),
        current.as_str()
    )
}

/// The remark after an incomplete answer.
pub(crate) fn remark(broke_off: &BrokeOff) -> String {
    let why = match broke_off {
        BrokeOff::Connection => {
            "the connection to the model was lost. Ask again for a complete one.".to_owned()
        }
        BrokeOff::Endpoint(says) if says.is_empty() => {
            "the model's provider reports an error. Ask again for a complete one.".to_owned()
        }
        BrokeOff::Endpoint(says) => format!("the model's provider says: {says}"),
        BrokeOff::Silence => "the model fell silent. Ask again for a complete one.".to_owned(),
        BrokeOff::Time => "it took too long. Ask for something shorter, or again.".to_owned(),
        BrokeOff::Length => "it got too long. Ask for the rest, or for less.".to_owned(),
        BrokeOff::Filtered => "the model's provider holds the rest back. Ask in other words.".to_owned(),
    };
    format!("{REMARK}{why}]")
}

/// Explains why there is no answer, with advice.
pub(crate) fn apology(error: &ModelError) -> String {
    match error {
        ModelError::Unreachable => "Sorry, I cannot reach the model now. Please ask again in a while; if it stays like this, \
             the operator of this chat should check openai-bot.base-url and the network."
            .to_owned(),
        ModelError::Key(_) => "Sorry, I cannot answer: the model's provider does not accept my key. \
             Whoever runs this chat should check OPENAI_API_KEY and restart me."
            .to_owned(),
        ModelError::NoCredit => "Sorry, I cannot answer: my account with the model's provider has no credit left. \
             Please tell the operator of this chat."
            .to_owned(),
        ModelError::NotFound => "Sorry, I cannot answer: the model's provider does not know the model or the address I was given. \
             Whoever runs this chat should check openai-bot.model and openai-bot.base-url."
            .to_owned(),
        ModelError::Redirect(_) => "Sorry, I cannot answer: the model has moved to another address. \
             Whoever runs this chat should correct openai-bot.base-url."
            .to_owned(),
        ModelError::Busy { after } => {
            format!("Sorry, the model has too much to do now. Please ask again {}.", when(*after))
        }
        ModelError::TooLong => {
            "Sorry, this question is too long for the model. Please try a shorter one.".to_owned()
        }
        ModelError::Refused { says, .. } if says.is_empty() => "Sorry, the model refuses this question. It may be too long; please \
             try a shorter one, or ask in other words."
            .to_owned(),
        ModelError::Refused { says, .. } => format!(
            "Sorry, the model's provider refuses this question. It says: {says}\nPlease try a shorter one, or ask in other words."
        ),
        ModelError::Slow => {
            "Sorry, the model did not answer in time. Please ask again, perhaps something shorter.".to_owned()
        }
        ModelError::Malformed => "Sorry, I did not understand what came back from the model. Please ask again; if it stays like \
             this, the operator of this chat should check openai-bot.base-url."
            .to_owned(),
        ModelError::Empty => EMPTY.to_owned(),
        ModelError::Tools => "Sorry, the model wants to use a tool for that, and I have none. Please ask in other words.".to_owned(),
        ModelError::Filtered => {
            "Sorry, the model's provider holds the answer back. Please ask in other words.".to_owned()
        }
    }
}

/// A delay as text, by order of magnitude.
fn when(after: Option<Duration>) -> String {
    match after.map(|after| after.as_secs()) {
        None | Some(0..60) => "in a minute".to_owned(),
        Some(seconds @ 60..7200) => format!("in about {} minutes", seconds.div_ceil(60)),
        Some(seconds @ 7200..172_800) => format!("in about {} hours", seconds.div_ceil(3600)),
        Some(_) => "in some days".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_the_commands_and_the_current_personality() {
        let text = help(&UserName::parse("openai").unwrap(), "m", Personality::Spanish);
        for word in [
            "help",
            "info",
            "personality happy|angry|spanish",
            "rotate",
            "forget",
            "new",
            "Current personality: spanish",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert!(unknown_personality(Personality::Happy).contains("happy, angry, spanish"));
    }

    #[test]
    fn what_the_model_said_is_told_from_our_own_notices() {
        let errors = [
            ModelError::Unreachable,
            ModelError::Key(401),
            ModelError::NoCredit,
            ModelError::NotFound,
            ModelError::Redirect(301),
            ModelError::Busy { after: None },
            ModelError::TooLong,
            ModelError::Refused { status: 400, code: None, says: String::new() },
            ModelError::Refused { status: 400, code: None, says: "no".to_owned() },
            ModelError::Slow,
            ModelError::Malformed,
            ModelError::Empty,
            ModelError::Tools,
            ModelError::Filtered,
        ];
        for error in errors {
            assert_eq!(said_by_model(&apology(&error)), None, "{error}");
        }
        for own in [TOO_MANY, REST_LOST, UNSPEAKABLE] {
            assert_eq!(said_by_model(own), None);
        }
        assert_eq!(said_by_model(&format!("Half{}", remark(&BrokeOff::Silence))), Some("Half"));
        assert_eq!(said_by_model("Whole."), Some("Whole."));
    }

    #[test]
    fn a_wait_is_told_in_words() {
        let when = |seconds| when(Some(Duration::from_secs(seconds)));
        assert_eq!(when(5), "in a minute");
        assert_eq!(when(90), "in about 2 minutes");
        assert_eq!(when(10_000), "in about 3 hours");
        assert_eq!(when(u64::MAX), "in some days");
    }
}
