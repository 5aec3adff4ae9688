//! What a miner submits and what it is answered (`proto/mining.md`, section 5).
//!
//! Reading is as lenient as the reference's: member names without case, further members passed
//! over, the last of equal names counts, and a member of a wrong type spoils the submission but not
//! the reading of the others, so that the reply still names the job. Nothing here knows the jobs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A longer frame is not looked at; an honest one has about 70 bytes.
pub const SUBMISSION_BYTES_MAX: usize = 4096;

/// A submission as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Submission {
    /// What is asked for.
    pub request: String,
    /// The job's name.
    pub job: String,
    /// The bytes handed in.
    pub packed: Vec<u8>,
    /// Whether all of it could be read.
    pub is_whole: bool,
}

impl Submission {
    /// Reads the frame.
    #[must_use]
    pub fn read(frame: &[u8]) -> Self {
        let mut read = Self::default();
        if frame.len() > SUBMISSION_BYTES_MAX {
            return read;
        }
        let text = String::from_utf8_lossy(frame);
        let members = match serde_json::from_str(&text) {
            Ok(Value::Object(members)) => members,
            Ok(Value::Null) => serde_json::Map::new(),
            _ => return read,
        };
        read.is_whole = true;
        for (name, value) in &members {
            let is_good = match (folded(name).as_str(), value) {
                // An absent and a null member leave what was there.
                (_, Value::Null) => true,
                ("request", Value::String(text)) => {
                    read.request.clone_from(text);
                    true
                }
                ("job", Value::String(text)) => {
                    read.job.clone_from(text);
                    true
                }
                ("packed", Value::String(text)) => read.take_packed(text),
                ("request" | "job" | "packed", _) => false,
                _ => true,
            };
            read.is_whole &= is_good;
        }
        read
    }

    /// Base64 of the standard alphabet, line ends passed over.
    fn take_packed(&mut self, text: &str) -> bool {
        let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        match STANDARD.decode(text) {
            Ok(bytes) => {
                self.packed = bytes;
                true
            }
            Err(_) => false,
        }
    }

    /// The job's number, if it is a name that a job here can have.
    #[must_use]
    pub fn job_id(&self) -> Option<u16> {
        let id = u16::from_str_radix(&self.job, 16).ok()?;
        (self.job == format!("{id:04x}")).then_some(id)
    }

    /// The nonce, if it has eight bytes.
    #[must_use]
    pub fn nonce(&self) -> Option<u64> {
        let bytes = self.packed.as_slice().try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Whether a nonce is handed in; any other request is ignored.
    #[must_use]
    pub fn is_block_nonce(&self) -> bool {
        self.request == "block.nonce"
    }
}

/// A member name without case, the long s and the Kelvin sign included.
fn folded(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}

/// The reply.
#[must_use]
pub fn reply(job: &str, ok: bool) -> String {
    let mut text = String::from("{\"job\":");
    for c in Value::from(job).to_string().chars() {
        // The reference writes these as escapes wherever they stand in a text.
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => text.push(c),
        }
    }
    text.push_str(if ok {
        ",\"ok\":true}"
    } else {
        ",\"ok\":false}"
    });
    text
}

/// What a miner reads of a reply.
#[must_use]
pub fn read_reply(frame: &[u8]) -> Option<(String, bool)> {
    let value: Value = serde_json::from_slice(frame).ok()?;
    let job = value.get("job")?.as_str()?.to_owned();
    Some((job, value.get("ok")?.as_bool()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_submission_is_read() {
        let read =
            Submission::read(br#"{"Request":"block.nonce","Job":"0003","Packed":"taWnm3hrGso="}"#);
        assert!(read.is_whole && read.is_block_nonce());
        assert_eq!(read.job_id(), Some(3));
        assert_eq!(read.nonce(), Some(0xca1a_6b78_9ba7_a5b5));
    }

    #[test]
    fn a_wrong_type_spoils_the_submission_but_the_reply_still_names_the_job() {
        let read = Submission::read(br#"{"REQUEST":1,"joB":"0006","Packed":"AAAAAAAAAAA="}"#);
        assert!(!read.is_whole);
        assert_eq!(read.job, "0006");
    }

    #[test]
    fn what_is_not_json_names_no_job() {
        for text in [
            "",
            "hello",
            "[]",
            "{\"Job\":\"0006\"",
            "{\"Job\":\"0006\"} x",
            "5",
        ] {
            let read = Submission::read(text.as_bytes());
            assert!(!read.is_whole, "{text}");
            assert_eq!(read.job, "", "{text}");
        }
        let long = format!("{{\"Job\":\"0006\"{}}}", " ".repeat(SUBMISSION_BYTES_MAX));
        assert_eq!(Submission::read(long.as_bytes()).job, "");
    }

    #[test]
    fn only_the_four_lower_case_digits_name_a_job() {
        let id = |job: &str| {
            Submission {
                job: job.into(),
                ..Submission::default()
            }
            .job_id()
        };
        assert_eq!(id("00af"), Some(0xaf));
        for job in ["", "af", "00AF", "+0af", "000af", "00ag"] {
            assert_eq!(id(job), None, "{job}");
        }
    }

    #[test]
    fn a_reply_escapes_as_the_reference_does() {
        assert_eq!(reply("0003", true), r#"{"job":"0003","ok":true}"#);
        assert_eq!(
            reply("<\"\u{2028}>&", false),
            r#"{"job":"\u003c\"\u2028\u003e\u0026","ok":false}"#
        );
        assert_eq!(
            read_reply(reply("a", true).as_bytes()),
            Some(("a".into(), true))
        );
    }
}
