//! The sizes everything is held to, in one place, so that no reader and no writer disagree.

/// Longest user name, in characters.
pub const NAME_CHARS: usize = 32;
/// Longest message body, in bytes of UTF-8, after control characters were removed.
pub const BODY_BYTES: usize = 16 * 1024;
/// Longest line or frame a client may send, in bytes, its end not counted.
pub const LINE_BYTES: usize = 64 * 1024;
/// Longest metadata object, in bytes of JSON.
pub const METADATA_BYTES: usize = 8 * 1024;
/// How deep metadata may nest, so that nothing that walks it can be made to recurse far.
pub const METADATA_DEPTH: usize = 16;
/// Longest client-made id of a message, in bytes.
pub const CLIENT_ID_BYTES: usize = 64;
/// Longest name of a device, in bytes.
pub const DEVICE_BYTES: usize = 64;
/// Longest frame a server sends to a client, in bytes. A page of history is cut to stay below it.
pub const SERVER_FRAME_BYTES: usize = 1024 * 1024;
/// Most events in one page of history or of unseen messages.
pub const PAGE_EVENTS: usize = 200;
/// Most names in one question which of them are registered; a line of the book dialect can name no more.
pub const KNOWN_NAMES: usize = 4 * NAME_CHARS + 1;
/// Most drafts in one append to the message API: under load a commit costs the same for each conversation in it, so large ones
/// are cheap.
pub const BATCH_DRAFTS: usize = 2048;
/// Largest request body the message API takes, in bytes: more than a thousand of the largest drafts.
pub const BATCH_BYTES: usize = 32 * 1024 * 1024;
/// Most users in one answer of the message API.
pub const PAGE_USERS: usize = 5000;
