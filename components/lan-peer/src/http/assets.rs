//! The page's files.

use kit::http::Page;
use kit::page_files;

/// All files; nothing else is served.
pub(super) static PAGE: Page = Page::new(
    "",
    page_files! { "../../page":
        "index.html"
        "page.css"
        "api.js"
        "conversation.js"
        "dialogs.js"
        "dom.js"
        "main.js"
        "people.js"
    },
);

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_file_of_the_page_is_served_and_nothing_else() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        assert_eq!(super::PAGE.differences(&folder).unwrap(), [""; 0]);
    }
}
