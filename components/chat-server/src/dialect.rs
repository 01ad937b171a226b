//! How clients speak: one file a dialect, each of which implements [`Speech`]. The rest of the server knows what a dialect can do
//! ([`Manner`](speech::Manner)) and never asks which one it is.
//!
//! * In: bytes → [`framing`], with [`decoder`] and [`silence`] → a message → [`Speech::interpret`] → [`request`].
//! * Out: [`Speech`] renders greetings, answers, notices and events.
//!
//! Pure: no clock, no lock, no socket, and nobody's state.
//!
//! A new dialect is a file that implements [`Speech`], and here its `mod` and its line in the list.

mod book;
pub(crate) mod decoder;
pub(crate) mod framing;
mod lines;
mod native;
pub(crate) mod request;
pub(crate) mod silence;
pub(crate) mod speech;
mod text;

use speech::Speech;

/// Lists the dialects. Each is a variant, whose number is also the key of what was rendered in it.
macro_rules! dialects {
    ($($name:ident => $speech:path,)*) => {
        /// A dialect that is spoken here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Dialect {
            $(#[doc = concat!("[`", stringify!($speech), "`]")] $name,)*
        }

        impl Dialect {
            /// How many there are.
            pub(crate) const COUNT: usize = [$(Self::$name,)*].len();
            /// All of them, in their order.
            pub(crate) const ALL: [Self; Self::COUNT] = [$(Self::$name,)*];
        }

        impl std::ops::Deref for Dialect {
            type Target = dyn Speech;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$name => &$speech,)*
                }
            }
        }
    };
}

dialects! {
    Text => text::Text,
    Book => book::Book,
    Native => native::Native,
}

impl Dialect {
    /// Its place among them.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The one that a connection's first byte tells, where nothing else was agreed.
    pub(crate) fn told_by(first_byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.manner().first_byte == Some(first_byte))
    }
}
