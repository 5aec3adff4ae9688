//! What people look at: the chain, its records, owners, pending records, peers, and a search over
//! all of it. Questions in, JSON out; nothing here changes anything, and every answer is bounded.

use serde_json::Value;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Mode, height, progress, sizes.
    Overview,
}

/// What is shown, or why there is nothing.
pub type Shown = Result<Value, String>;
