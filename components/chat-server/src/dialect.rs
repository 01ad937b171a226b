//! How clients speak: how their input is cut into messages, what a message asks for, and how they are answered.

pub(crate) mod book;
pub(crate) mod decoder;
pub(crate) mod framing;
pub(crate) mod native;
pub(crate) mod request;
pub(crate) mod silence;
pub(crate) mod text;
