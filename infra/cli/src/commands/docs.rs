use axum::Router;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The page that shows what the API offers, and lets people try it: Swagger UI, which this program brings along.
pub(super) fn pages() -> Router {
    // Its validator would send the document to a server of its makers.
    let config = Config::from("/openapi.json").try_it_out_enabled(true).validator_url("none").use_base_layout();
    SwaggerUi::new("/docs").config(config).into()
}
