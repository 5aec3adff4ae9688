//! What the shells of a node count, gathered for `/metrics` and the operator.

use crate::shell::counters::Counters;
use crate::shell::zmq::outward::Outward;
use crate::shell::zmq::server::Bound;

/// The counters of the sockets, under the names that `docs/explorer.md` lists.
pub fn gather(
    listener: &Bound,
    submission: Option<&Bound>,
    outward: &Outward,
    work: &Outward,
) -> Counters {
    let mut sockets = vec![
        ("listener", listener.bytes.clone()),
        ("outgoing", outward.bytes.requests.clone()),
        ("subscriptions", outward.bytes.subscriptions.clone()),
        ("publisher", outward.bytes.publisher.clone()),
        ("work", work.bytes.publisher.clone()),
    ];
    sockets.extend(submission.map(|bound| ("submission", bound.bytes.clone())));
    Counters {
        connections: listener.connections.clone(),
        sockets,
        ..Counters::default()
    }
}
