//! The envelope of a request: what has to come back unchanged in front of the reply
//! (`proto/peer.md`, section 1.2).

/// Most frames in front of the empty one; a request of the reference has one.
const MAX_FRAMES: usize = 8;

/// Everything up to and including the first empty frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope(Vec<Vec<u8>>);

impl Envelope {
    /// Splits a message behind its routing id into envelope and body. Nothing when there is no
    /// empty frame, or no body: such a message gets no reply.
    #[must_use]
    pub fn split(mut frames: Vec<Vec<u8>>) -> Option<(Self, Vec<Vec<u8>>)> {
        let at = frames.iter().take(MAX_FRAMES + 1).position(Vec::is_empty)?;
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
}
