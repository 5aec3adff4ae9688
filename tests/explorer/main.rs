//! The explorer over real sockets, and in a real browser.

mod browser;
mod dashboard;
mod http;
mod node;
mod served;
#[path = "../clients/speaker.rs"]
#[allow(dead_code, reason = "shared with the tests of services for clients")]
mod speaker;
#[path = "../nodes/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of whole nodes")]
mod stage;
mod title;
