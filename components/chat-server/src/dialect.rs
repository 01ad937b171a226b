//! The dialects: one file each, which implements [`Codec`]. The rest of the server knows what a dialect can do
//! ([`Capabilities`](codec::Capabilities)) and never asks which one it is.
//!
//! * Input: bytes → [`framing`], with [`decoder`] and [`silence`] → a message → [`Codec::interpret`] → [`request`].
//! * Output: [`Codec`] renders greetings, answers, notices and events.
//!
//! Pure: no clock, no lock, no socket, no shared state.
//!
//! To add a dialect, add a file that implements [`Codec`], and here its `mod` and its line in the list.

mod book;
pub(crate) mod codec;
pub(crate) mod decoder;
pub(crate) mod framing;
mod lines;
mod native;
pub(crate) mod request;
pub(crate) mod silence;
mod text;

use codec::Codec;

/// Lists the dialects. The variant's number is also its index in caches of rendered bytes.
macro_rules! dialects {
    ($($name:ident => $codec:path,)*) => {
        /// A dialect of this server.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Dialect {
            $(#[doc = concat!("[`", stringify!($codec), "`]")] $name,)*
        }

        impl Dialect {
            /// The number of dialects.
            pub(crate) const COUNT: usize = [$(Self::$name,)*].len();
            /// All dialects in order.
            pub(crate) const ALL: [Self; Self::COUNT] = [$(Self::$name,)*];
        }

        impl std::ops::Deref for Dialect {
            type Target = dyn Codec;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$name => &$codec,)*
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
    /// Its index in [`Self::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The dialect that a connection's first byte selects, if any.
    pub(crate) fn detect(first_byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.capabilities().first_byte == Some(first_byte))
    }
}
