//! What the services for clients share: listeners, TLS from the files of the configuration, and the
//! bound on connections (`proto/rpc.md`, section 1). Nothing here knows what is spoken.

pub mod known;
pub mod listener;
pub mod places;
pub mod tls;

pub use places::{Count, Place, Places};
