//! The explorer's pages, metrics and health (`docs/explorer.md`).
