//! What the services for clients share: listeners, TLS from the files of the configuration, and the
//! bounds on connections (`proto/rpc.md`, section 1). Nothing here knows what is spoken.

pub mod known;
pub mod listener;
pub mod lobby;
pub mod places;
pub mod tls;

use std::net::{IpAddr, Ipv6Addr};

pub use places::{Count, Over, Place, Places};

/// Whom an address counts for: of the newer family whoever has the network of 64 bits.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
        four @ IpAddr::V4(_) => four,
    }
}
