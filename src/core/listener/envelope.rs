//! The envelope of a request: what has to come back unchanged in front of the reply
//! (`proto/peer.md`, section 1.2).

/// Most frames in front of the empty one; a request of the reference has one.
const MAX_FRAMES: usize = 8;
/// Largest of them: a routing id has 255 bytes at most. An envelope is kept until the answer, so
/// nothing large may hide in it.
const MAX_FRAME_BYTES: usize = 255;

/// Everything up to and including the first empty frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope(Vec<Vec<u8>>);

impl Envelope {
    /// Splits a message behind its routing id into envelope and body. Nothing when there is no
    /// empty frame, or no body, or when the envelope is beyond its bounds: such a message gets no
    /// reply.
    #[must_use]
    pub fn split(mut frames: Vec<Vec<u8>>) -> Option<(Self, Vec<Vec<u8>>)> {
        let at = frames.iter().take(MAX_FRAMES + 1).position(Vec::is_empty)?;
        if frames.iter().take(at).any(|f| f.len() > MAX_FRAME_BYTES) {
            return None;
        }
        let body = frames.split_off(at + 1);
        (!body.is_empty()).then_some((Self(frames), body))
    }

    /// Puts the envelope in front of a reply.
    #[must_use]
    pub fn around(self, body: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut frames = self.0;
        frames.extend(body);
        frames
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn everything_up_to_the_first_empty_frame_comes_back() {
        let (envelope, body) = Envelope::split(frames(&["id", "", "local", "", "x"])).unwrap();
        assert_eq!(body, frames(&["local", "", "x"]));
        assert_eq!(envelope.around(frames(&["N"])), frames(&["id", "", "N"]));
        let (envelope, _) = Envelope::split(frames(&["", "local"])).unwrap();
        assert_eq!(envelope.around(Vec::new()), frames(&[""]));
    }

    #[test]
    fn without_an_empty_frame_or_a_body_there_is_no_reply() {
        for message in [&["a", "b"][..], &["id", ""], &[""], &[]] {
            assert_eq!(Envelope::split(frames(message)), None);
        }
    }

    #[test]
    fn an_envelope_beyond_its_bounds_gets_no_reply() {
        let with = |frame: Vec<u8>, count: usize| {
            let mut message = vec![frame; count];
            message.extend([Vec::new(), b"local".to_vec(), b"N".to_vec()]);
            Envelope::split(message).is_some()
        };
        assert!(with(vec![1; MAX_FRAME_BYTES], MAX_FRAMES));
        assert!(!with(vec![1; MAX_FRAME_BYTES + 1], 1));
        assert!(!with(vec![1], MAX_FRAMES + 1));
    }

    proptest! {
        #[test]
        fn what_comes_back_is_the_envelope_then_the_reply(
            message in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3), 0..12)
        ) {
            let empty = message.iter().position(Vec::is_empty);
            let reply = vec![b"E".to_vec(), Vec::new()];
            if let Some((envelope, body)) = Envelope::split(message.clone()) {
                let at = empty.unwrap();
                prop_assert_eq!(&body[..], &message[at + 1..]);
                let around = envelope.around(reply.clone());
                prop_assert_eq!(&around[..=at], &message[..=at]);
                prop_assert_eq!(&around[at + 1..], &reply[..]);
            } else {
                let answerable = empty.is_some_and(|at| at <= MAX_FRAMES && at + 1 < message.len());
                prop_assert!(!answerable);
            }
        }
    }
}
