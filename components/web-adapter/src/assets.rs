//! The page's files.

use kit::http::{File, Page};
use kit::page_files;

/// All files; nothing else is served.
pub(crate) static PAGE: Page = Page::new(
    "",
    page_files! { "../page":
        "index.html"
        "favicon.svg"
        "manifest.webmanifest"
        "styles/base.css"
        "styles/conversation.css"
        "styles/login.css"
        "styles/sidebar.css"
        "scripts/backoff.js"
        "scripts/chat.js"
        "scripts/connection.js"
        "scripts/dates.js"
        "scripts/drafts.js"
        "scripts/browser_storage.js"
        "scripts/main.js"
        "scripts/model/conversation.js"
        "scripts/model/cursor.js"
        "scripts/model/log.js"
        "scripts/names.js"
        "scripts/outbox.js"
        "scripts/services.js"
        "scripts/store.js"
        "scripts/text.js"
        "scripts/theme.js"
        "scripts/timeline.js"
        "scripts/views/avatar.js"
        "scripts/views/bubble.js"
        "scripts/views/composer.js"
        "scripts/views/conversation.js"
        "scripts/views/dom.js"
        "scripts/views/finder.js"
        "scripts/views/keyed.js"
        "scripts/views/login.js"
        "scripts/views/notices.js"
        "scripts/views/question.js"
        "scripts/views/reading.js"
        "scripts/views/row.js"
        "scripts/views/sidebar.js"
        "scripts/views/timeline.js"
    },
);

/// What other pages of ours look and are made like: the launcher's has these files, too.
pub const SHARED: &[File] = page_files! { "../page":
    "styles/base.css"
    "styles/login.css"
    "scripts/backoff.js"
    "scripts/browser_storage.js"
    "scripts/theme.js"
    "scripts/views/dom.js"
    "scripts/views/notices.js"
    "scripts/views/question.js"
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_file_of_the_page_is_served_and_nothing_else() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        assert_eq!(super::PAGE.differences(&folder).unwrap(), [""; 0]);
    }
}
