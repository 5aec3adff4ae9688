//! Faults that are built in on purpose, to show that the tests find them: none is there unless the
//! crate is built with `--cfg mutant="name"`. Each is used at one place.

/// The cursor of a peer moves when a batch leaves, not when it is acknowledged.
pub(super) const CURSOR_MOVES_ON_SEND: bool = cfg!(mutant = "cursor-moves-on-send");
/// A peer that was started anew is not sent the log from its beginning.
pub(super) const NEW_EPOCH_KEEPS_THE_CURSOR: bool = cfg!(mutant = "new-epoch-keeps-the-cursor");
/// Replies over a connection that is no more count.
pub(super) const STALE_GENERATION_APPLIED: bool = cfg!(mutant = "stale-generation-applied");
/// What left the timeline comes back with the id it had.
pub(super) const PARKED_BUNDLE_KEEPS_ITS_ID: bool = cfg!(mutant = "parked-bundle-keeps-its-id");
/// A batch is acknowledged as a whole although there was no room for some of it.
pub(super) const ACK_COUNTS_UNDECIDED: bool = cfg!(mutant = "ack-counts-undecided");
/// One peer may take every place for messages.
pub(super) const NO_PER_PEER_QUOTA: bool = cfg!(mutant = "no-per-peer-quota");
/// A bundle is sent to the peer that it came from.
pub(super) const BUNDLE_RETURNED_TO_ORIGIN: bool = cfg!(mutant = "bundle-returned-to-origin");
/// What a bundle needs is not looked at: it goes out before that, or without.
pub(super) const PROOF_BEFORE_ISSUES: bool = cfg!(mutant = "proof-before-issues");
