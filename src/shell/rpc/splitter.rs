//! The objects of a stream: any white space between them, no length prefix, no need of a line end
//! (`proto/rpc.md`, section 1, framing). It counts brackets outside of texts; whether an object is
//! JSON is seen by who reads it.
//!
//! Bounds: a request longer than the limit ends the stream. What is held is at most that and what
//! was pushed last.

use thiserror::Error;

/// Why nothing more is read from a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// Something else stands where an object is wanted.
    #[error("a request is a JSON object")]
    NoObject,
    /// The request is longer than the limit.
    #[error("the request is longer than {0} bytes")]
    TooLong(usize),
}

/// Cuts a stream into objects.
#[derive(Debug)]
pub struct Splitter {
    bytes: Vec<u8>,
    /// Where the object begins.
    start: usize,
    /// What was looked at.
    at: usize,
    /// Open brackets.
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    is_over: bool,
    limit: usize,
}

impl Splitter {
    /// For objects of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            at: 0,
            depth: 0,
            in_text: false,
            is_escaped: false,
            is_over: false,
            limit,
        }
    }

    /// More of the stream. Nothing is kept after a fault.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        self.bytes.drain(..self.start);
        self.at = self.at.saturating_sub(self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the stream stops in the middle of an object.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.depth > 0
    }

    /// The next whole object; none: more bytes are wanted. After a fault there is nothing more.
    ///
    /// # Errors
    /// The stream cannot be read on.
    pub fn next_request(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            if self.is_over {
                return Ok(None);
            }
            self.at += 1;
            if self.depth == 0 && matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                self.start = self.at;
                continue;
            }
            if self.depth == 0 && byte != b'{' {
                return self.end(Fault::NoObject);
            }
            self.look(byte);
            if self.at - self.start > self.limit {
                return self.end(Fault::TooLong(self.limit));
            }
            if self.depth == 0 {
                let object = self.bytes.get(self.start..self.at).map(<[u8]>::to_vec);
                self.start = self.at;
                return Ok(object);
            }
        }
        Ok(None)
    }

    fn look(&mut self, byte: u8) {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }

    fn end(&mut self, fault: Fault) -> Result<Option<Vec<u8>>, Fault> {
        self.is_over = true;
        self.depth = 0;
        self.bytes = Vec::new();
        (self.start, self.at) = (0, 0);
        Err(fault)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::{collection, sample};

    use super::*;

    const BYTES: &[u8] = b"{}[]\"\\ a\n";

    fn all(splitter: &mut Splitter) -> Result<Vec<String>, Fault> {
        let mut found = Vec::new();
        while let Some(request) = splitter.next_request()? {
            found.push(String::from_utf8_lossy(&request).into_owned());
        }
        Ok(found)
    }

    fn split(text: &[u8]) -> Result<Vec<String>, Fault> {
        let mut splitter = Splitter::new(64);
        splitter.push(text);
        all(&mut splitter)
    }

    #[test]
    fn objects_stand_with_any_white_space_or_none_between_them() {
        let found = split(b" \r\n{\"a\" : 1}{}\t{\"b\":[{}]}\n").unwrap();
        assert_eq!(found, ["{\"a\" : 1}", "{}", "{\"b\":[{}]}"]);
    }

    #[test]
    fn brackets_and_quotes_within_texts_do_not_count() {
        let text = br#"{"}\"{":"\\"}{"[":"]"}"#;
        assert_eq!(split(text).unwrap(), [r#"{"}\"{":"\\"}"#, r#"{"[":"]"}"#]);
    }

    #[test]
    fn how_the_stream_is_cut_into_reads_changes_nothing() {
        let text = b"  {\"a\":\"\\\"}\"} {\"b\":{}}\n";
        let mut splitter = Splitter::new(64);
        let mut found = Vec::new();
        for byte in text {
            splitter.push(&[*byte]);
            found.extend(all(&mut splitter).unwrap());
        }
        assert_eq!(found, split(text).unwrap());
        assert!(!splitter.is_within());
        splitter.push(b"{");
        assert_eq!(splitter.next_request(), Ok(None));
        assert!(splitter.is_within());
    }

    proptest! {
        #[test]
        fn no_stream_depends_on_its_reads(
            bytes in collection::vec(sample::select(BYTES.to_vec()), 0..40),
            cut in 0_usize..40,
        ) {
            let (start, end) = bytes.split_at(cut.min(bytes.len()));
            let read = |reads: &[&[u8]]| {
                let mut splitter = Splitter::new(16);
                let (mut found, mut fault) = (Vec::new(), None);
                for read in reads {
                    splitter.push(read);
                    loop {
                        match splitter.next_request() {
                            Ok(Some(request)) => found.push(request),
                            Ok(None) => break,
                            Err(why) => fault = Some(why),
                        }
                    }
                }
                (found, fault)
            };
            let whole = read(&[&bytes]);
            prop_assert_eq!(read(&[start, end]), whole.clone());
            for request in whole.0 {
                prop_assert!(request.len() <= 16);
                prop_assert_eq!(request.first(), Some(&b'{'));
            }
        }
    }

    #[test]
    fn what_is_no_object_ends_the_stream() {
        for text in ["hello\n", "17 ", "[{}]", "\"a\"", "}", "\u{feff}{}"] {
            let mut splitter = Splitter::new(64);
            splitter.push(text.as_bytes());
            assert_eq!(splitter.next_request(), Err(Fault::NoObject), "{text}");
            splitter.push(b"{}");
            assert_eq!(splitter.next_request(), Ok(None), "{text}");
        }
    }

    #[test]
    fn a_request_has_a_limit_and_the_white_space_before_it_does_not_count() {
        let fits = format!("{}{{\"{}\"}}", " ".repeat(200), "a".repeat(60));
        assert_eq!(split(fits.as_bytes()).unwrap().len(), 1);
        let long = format!("{{\"{}\"}}", "a".repeat(61));
        assert_eq!(split(long.as_bytes()), Err(Fault::TooLong(64)));
        let endless = "{".repeat(65);
        assert_eq!(split(endless.as_bytes()), Err(Fault::TooLong(64)));
    }

    #[test]
    fn bytes_that_are_no_text_are_left_to_who_reads_them() {
        assert_eq!(split(b"{\"\xff\"}").unwrap(), ["{\"\u{fffd}\"}"]);
    }
}
