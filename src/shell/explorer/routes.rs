//! What is served under which path. Every answer has the same strict headers.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::body::Body as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::asked::{self, Asked, Named};
use super::doors::Busy;
use super::live::Live;
use super::metrics::{self, Numbers};
use super::{Source, pages};
use crate::core::explore::{BlockAt, Question, TEXT_MAX, Wanted};
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::keys::Account;
use crate::core::title::{MakeError, Making, Piece};

/// Only what comes from here is run, shown or asked for; nobody may put it into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Slices of digests that one request looks through.
const SLICES_MAX: usize = 32;
/// Proofs of title that are made at a time: the longest one is a text of 54 MB.
const TITLES_MAX: usize = 2;

#[derive(Debug, Clone)]
struct Site {
    source: Source,
    live: Live,
    numbers: Arc<Numbers>,
    /// Titles that may be made at a time.
    titles: Arc<Semaphore>,
}

/// All pages. Over TLS the listener may be called by any name.
pub fn site(source: Source, numbers: Arc<Numbers>, is_tls: bool) -> Router {
    let site = Site {
        live: Live::new(source.clone(), Arc::clone(&numbers)),
        source,
        numbers: Arc::clone(&numbers),
        titles: Arc::new(Semaphore::new(TITLES_MAX)),
    };
    Router::new()
        .route("/", get(index))
        .route("/pages/{name}", get(page))
        .route("/api/overview", get(overview))
        .route("/api/blocks", get(blocks))
        .route("/api/blocks/{number}", get(block))
        .route("/api/records/{id}", get(record))
        .route("/api/records/{id}/provenance", get(provenance))
        .route("/api/records/{id}/following", get(following))
        .route("/api/title/{id}", get(title))
        .route("/api/assets/{id}", get(asset))
        .route("/api/assets/{id}/issues", get(issues))
        .route("/api/fingerprint", get(fingerprint))
        .route("/api/accounts/{account}", get(account))
        .route("/api/pending", get(pending))
        .route("/api/peers", get(peers))
        .route("/api/search", get(search))
        .route("/api/live", get(live))
        .route("/metrics", get(all_metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(missing)
        .method_not_allowed_fallback(other_method)
        .with_state(site)
        .layer(middleware::from_fn(move |request, next| {
            manners(is_tls, request, next)
        }))
        .layer(middleware::from_fn_with_state(numbers, around))
}

/// What others see: nothing.
pub fn closed(numbers: Arc<Numbers>) -> Router {
    Router::new()
        .fallback(|| async {
            error(
                StatusCode::FORBIDDEN,
                "this address may not look; [explorer] allow names who may",
            )
        })
        .layer(middleware::from_fn_with_state(numbers, around))
}

/// The names under which requests are counted: those of the routes, never what a client wrote.
fn label(path: &str) -> &'static str {
    const NAMES: [&str; 16] = [
        "/api/overview",
        "/api/blocks",
        "/api/records",
        "/api/title",
        "/api/assets",
        "/api/fingerprint",
        "/api/accounts",
        "/api/pending",
        "/api/peers",
        "/api/search",
        "/api/live",
        "/metrics",
        "/healthz",
        "/readyz",
        "/pages",
        "/",
    ];
    let is_of = |name: &str| {
        path.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || (name != "/" && rest.starts_with('/')))
    };
    NAMES
        .into_iter()
        .find(|name| is_of(name))
        .unwrap_or("other")
}

/// Only a request that may be looked at goes on.
async fn manners(is_tls: bool, request: Request, next: Next) -> Response {
    let refused = asked::refused(request.method(), request.uri(), request.headers(), is_tls);
    match refused {
        Some((status, why)) => error(status, why),
        None => next.run(request).await,
    }
}

/// Headers and numbers around every answer.
async fn around(State(numbers): State<Arc<Numbers>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let path = label(request.uri().path());
    let mut response = next.run(request).await;
    let bytes = response.body().size_hint().exact().unwrap_or_default();
    let status = response.status().as_u16();
    numbers.answered(path, status, begin.elapsed(), bytes);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        // Another version of the program has other pages.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An answer that says why there is no other.
pub fn error(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}

async fn missing() -> Response {
    error(StatusCode::NOT_FOUND, "there is no such page")
}

async fn other_method() -> Response {
    let why = "there is nothing here but to read: GET";
    error(StatusCode::METHOD_NOT_ALLOWED, why)
}

fn text(kind: &'static str, body: impl IntoResponse) -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
        body,
    )
        .into_response()
}

async fn index() -> Response {
    text("text/html; charset=utf-8", pages::INDEX)
}

async fn page(Named(name): Named) -> Response {
    match pages::named(&name) {
        Some((_, kind, body)) => text(kind, *body),
        None => missing().await,
    }
}

impl Site {
    async fn ask(&self, question: Question) -> Result<Value, Response> {
        match (self.source.ask)(question).await {
            Ok(Ok(shown)) => Ok(shown),
            Ok(Err(why)) => Err(error(StatusCode::NOT_FOUND, &why)),
            Err(why) => Err(error(StatusCode::SERVICE_UNAVAILABLE, &why)),
        }
    }

    async fn show(&self, question: Question) -> Response {
        match self.ask(question).await {
            Ok(shown) => Json(shown).into_response(),
            Err(response) => response,
        }
    }

    /// Shows what a text names, if it can be read as such.
    async fn show_named<T: FromStr>(
        &self,
        text: &str,
        what: &str,
        question: impl FnOnce(T) -> Question,
    ) -> Response {
        match text.parse() {
            Ok(name) => self.show(question(name)).await,
            Err(_) => error(StatusCode::BAD_REQUEST, &format!("this is no {what}")),
        }
    }
}

async fn overview(State(site): State<Site>) -> Response {
    match site.ask(Question::Overview).await {
        Ok(mut shown) => {
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("payments".to_owned(), site.numbers.payments());
            }
            Json(shown).into_response()
        }
        Err(response) => response,
    }
}

async fn blocks(State(site): State<Site>, asked: Asked) -> Response {
    site.show(Question::Blocks(asked.below)).await
}

async fn block(State(site): State<Site>, Named(number): Named, asked: Asked) -> Response {
    let from = asked.from.and_then(|from| usize::try_from(from).ok());
    let from = from.unwrap_or_default();
    if number == "newest" {
        return site.show(Question::Block(BlockAt::Newest, from)).await;
    }
    site.show_named(&number, "block number", |number| {
        Question::Block(BlockAt::Number(number), from)
    })
    .await
}

async fn record(State(site): State<Site>, Named(id): Named) -> Response {
    site.show_named(&id, "transaction id", Question::Record)
        .await
}

async fn provenance(State(site): State<Site>, Named(id): Named) -> Response {
    site.show_named(&id, "transaction id", Question::Provenance)
        .await
}

async fn following(State(site): State<Site>, Named(id): Named, asked: Asked) -> Response {
    let from = asked.from.unwrap_or_default();
    site.show_named(&id, "transaction id", |id: TxId| {
        Question::Look(Wanted::Follower(id), from)
    })
    .await
}

/// A proof of title as a file: the same bytes as `bitmark-cli prove` prints. The engine is asked
/// for it in pieces.
async fn title(State(site): State<Site>, Named(id): Named, asked: Asked) -> Response {
    let Ok(id) = id.parse::<TxId>() else {
        return if id.parse::<AssetId>().is_ok() {
            let why = "this is an asset: it has no owner; the bitmarks issued on it have titles";
            error(StatusCode::NOT_FOUND, why)
        } else {
            error(StatusCode::BAD_REQUEST, "this is no transaction id")
        };
    };
    let Ok(_turn) = site.titles.try_acquire() else {
        let why = "other titles are being made just now; try again";
        return error(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let mut making = Making::new(id, asked.from);
    while let Some(ask) = making.ask() {
        let shown = match site.ask(Question::Title(ask)).await {
            Ok(shown) => shown,
            Err(response) => return response,
        };
        let piece = shown.as_str().and_then(Piece::from_text);
        let taken = piece.map_or(Err(MakeError::Changed), |piece| making.take(piece));
        if let Err(why) = taken {
            return no_title(&why);
        }
    }
    let made = tokio::task::spawn_blocking(move || making.finish().map(|sound| sound.to_text()));
    match made.await {
        Ok(Ok(body)) => as_file(id, body),
        Ok(Err(why)) => no_title(&why),
        Err(_) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the title was not finished",
        ),
    }
}

fn no_title(why: &MakeError) -> Response {
    let status = match why {
        MakeError::Changed => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::NOT_FOUND,
    };
    error(status, &why.to_string())
}

/// Under a name of the beginning of its id.
fn as_file(id: TxId, body: String) -> Response {
    let mut response = text("application/json", body);
    let id = id.to_string();
    let name = format!(
        "attachment; filename=\"title-{}.json\"",
        id.get(..8).unwrap_or_default()
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

async fn asset(State(site): State<Site>, Named(id): Named) -> Response {
    site.show_named(&id, "asset id", Question::Asset).await
}

async fn issues(State(site): State<Site>, Named(id): Named, asked: Asked) -> Response {
    let from = asked.from.unwrap_or_default();
    site.show_named(&id, "asset id", |id: AssetId| {
        Question::Look(Wanted::Issues(id), from)
    })
    .await
}

async fn fingerprint(State(site): State<Site>, asked: Asked) -> Response {
    match asked.text.filter(|text| text.len() <= TEXT_MAX) {
        Some(text) => site.show(Question::Fingerprint(text)).await,
        None => error(StatusCode::BAD_REQUEST, "text is missing or too long"),
    }
}

async fn account(State(site): State<Site>, Named(text): Named, asked: Asked) -> Response {
    match Account::from_text(&text) {
        Ok(account) => {
            let from = asked.from.unwrap_or_default();
            site.show(Question::Account(account, from)).await
        }
        Err(_) => error(StatusCode::BAD_REQUEST, "this is no account"),
    }
}

async fn pending(State(site): State<Site>, asked: Asked) -> Response {
    match asked.after {
        None => site.show(Question::Pending(None)).await,
        Some(after) => {
            site.show_named(&after, "pay id", |id: PayId| Question::Pending(Some(id)))
                .await
        }
    }
}

async fn peers(State(site): State<Site>) -> Response {
    site.show(Question::Peers).await
}

/// Looks through some slices; the reader goes on where this ends.
async fn search(State(site): State<Site>, asked: Asked) -> Response {
    let Some(text) = asked.text.filter(|text| text.len() <= TEXT_MAX) else {
        return error(StatusCode::BAD_REQUEST, "text is missing or too long");
    };
    let mut below = asked.below;
    let mut shown = Value::Null;
    for _ in 0..SLICES_MAX {
        match site.ask(Question::Search(text.clone(), below)).await {
            Ok(answer) => shown = answer,
            Err(response) => return response,
        }
        below = shown.get("next").and_then(Value::as_u64);
        if below.is_none() {
            break;
        }
    }
    Json(shown).into_response()
}

async fn live(State(site): State<Site>, busy: Option<Extension<Arc<Busy>>>) -> Response {
    site.live.listen(busy.map(|Extension(busy)| busy))
}

async fn all_metrics(State(site): State<Site>) -> Response {
    let store = (site.source.store_bytes)().await;
    match site.ask(Question::Metrics).await {
        Ok(engine) => text(
            metrics::KIND,
            metrics::render(&site.numbers, &engine, store),
        ),
        Err(response) => response,
    }
}

async fn healthz() -> Response {
    text("text/plain; charset=utf-8", "alive\n")
}

async fn readyz(State(site): State<Site>) -> Response {
    let shown = match site.ask(Question::Live).await {
        Ok(shown) => shown,
        Err(response) => return response,
    };
    if shown.get("mode").and_then(Value::as_str) == Some("Normal") {
        return text("text/plain; charset=utf-8", "ready\n");
    }
    let body = format!(
        "not ready: catching up, block {} of {}\n",
        shown.get("height").unwrap_or(&Value::Null),
        shown.get("networkHeight").unwrap_or(&Value::Null)
    );
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_never_becomes_a_name_that_is_counted() {
        assert_eq!(label("/"), "/");
        assert_eq!(label("/api/blocks"), "/api/blocks");
        assert_eq!(label("/api/blocks/12"), "/api/blocks");
        assert_eq!(label("/api/blocks12"), "other");
        assert_eq!(label("/pages/app.js"), "/pages");
        assert_eq!(label("/../etc/passwd"), "other");
    }
}
