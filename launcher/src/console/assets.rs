//! The page's files.

use axum::extract::Request;
use axum::response::Response;
use kit::http::Page;
use kit::page_files;

/// All files but those that it has in common with the chat's page; nothing else is served.
static PAGE: Page = Page::new(
    "",
    page_files! { "../../page":
        "index.html"
        "favicon.svg"
        "styles/console.css"
        "styles/views.css"
        "scripts/api.js"
        "scripts/chart.js"
        "scripts/console.js"
        "scripts/format.js"
        "scripts/graph.js"
        "scripts/main.js"
        "scripts/sse.js"
        "scripts/store.js"
        "scripts/views/component.js"
        "scripts/views/configuration.js"
        "scripts/views/confirm.js"
        "scripts/views/crashes.js"
        "scripts/views/doctor.js"
        "scripts/views/events.js"
        "scripts/views/graph.js"
        "scripts/views/head.js"
        "scripts/views/login.js"
        "scripts/views/logs.js"
        "scripts/views/overview.js"
        "scripts/views/parts.js"
    },
);

/// What it has in common with the chat's page.
static SHARED: Page = Page::new("", web_adapter::SHARED_PAGE_FILES);

/// The answer to a request for a file of the page.
pub(super) fn answer(request: &Request) -> Response {
    if SHARED.has(request.uri().path()) { SHARED.answer(request) } else { PAGE.answer(request) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_nothing_else() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        assert_eq!(PAGE.differences(&folder).unwrap(), [""; 0]);
        assert!(PAGE.paths().all(|path| !SHARED.has(&path)), "one would hide the other");
    }

    /// `import … from "./x.js"`, `href="/styles/x.css"`
    #[test]
    fn every_file_that_is_named_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        for path in PAGE.paths() {
            let file = if path == "/" { "/index.html" } else { &path };
            let text = std::fs::read_to_string(folder.join(&file[1..])).unwrap();
            for quoted in text.split('"').skip(1).step_by(2) {
                let named = match quoted.strip_prefix("./").or_else(|| quoted.strip_prefix("../")) {
                    Some(rest) if quoted.ends_with(".js") => {
                        let own = path.rsplit_once('/').unwrap().0;
                        let above =
                            if quoted.starts_with("../") { own.rsplit_once('/').unwrap().0 } else { own };
                        format!("{above}/{rest}")
                    }
                    _ if quoted.starts_with("/styles/") || quoted.starts_with("/scripts/") => {
                        quoted.to_owned()
                    }
                    _ => continue,
                };
                assert!(PAGE.has(&named) || SHARED.has(&named), "{file} names {named}");
            }
        }
    }
}
