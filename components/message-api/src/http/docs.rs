//! `/docs`: a page that shows `/openapi.json` and can send requests. Embedded; it loads nothing from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use kit::http::{Page, harden};
use kit::page_files;

use crate::service::Service;

static PAGE: Page = Page::new("/docs", page_files! { "../docs": "index.html" "docs.css" "docs.js" });

/// The page and its files.
pub(super) fn router() -> Router<Arc<Service>> {
    PAGE.paths().fold(Router::new(), |router, path| router.route(&path, get(file)))
}

async fn file(request: Request) -> Response {
    let mut response = PAGE.answer(&request);
    harden(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_file_of_the_page_is_served_and_nothing_else() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs");
        assert_eq!(super::PAGE.differences(&folder).unwrap(), [""; 0]);
    }
}
