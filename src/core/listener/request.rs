//! Reading requests and published messages: chain, command, parameters.

use super::Reply;
use crate::core::chain::Chain;
use crate::core::overlay::mempool;

/// A request for registration, checked as far as its form goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRequest {
    /// The key as it came.
    pub key: Vec<u8>,
    /// The packed listeners as they came.
    pub listeners: Vec<u8>,
    /// The first eight bytes of the time.
    pub timestamp: u64,
}

/// News: they are acknowledged whatever becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A packed block.
    Block(Vec<u8>),
    /// Packed assets.
    Assets(Vec<u8>),
    /// Packed issues.
    Issues(Vec<u8>),
    /// A packed transfer.
    Transfer(Vec<u8>),
    /// Payment id and nonce.
    Proof(Vec<u8>),
    /// Fingerprint, addresses, time.
    Rpc([Vec<u8>; 3]),
    /// Key, listeners, time.
    Peer([Vec<u8>; 3]),
    /// A sign of life.
    Heart,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `I`
    Info,
    /// `N`
    Height,
    /// `B`
    Block(u64),
    /// `H`
    Digest(u64),
    /// `R`
    Register(RegisterRequest),
    /// Any of the news.
    News(News),
    /// A message of the shared mempool (`proto/mempool.md`, section 4.4).
    Shared(Vec<u8>),
    /// Anything else, and news that are too short: acknowledged, and that is all.
    Nothing,
}

/// A request with the command to put in front of its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The command as it came.
    pub command: Vec<u8>,
    /// What it asks for.
    pub request: Request,
}

const NOT_FOUND: &str = "block not found";
const MISSING: &str = "missing parameters";

impl News {
    /// Reads the parameters of a command; nothing when it is no news or there are too few.
    #[must_use]
    pub fn read(command: &[u8], parameters: &mut [Vec<u8>]) -> Option<Self> {
        let mut take = |index: usize| parameters.get_mut(index).map(std::mem::take);
        Some(match command {
            b"block" => Self::Block(take(0)?),
            b"assets" => Self::Assets(take(0)?),
            b"issues" => Self::Issues(take(0)?),
            b"transfer" => Self::Transfer(take(0)?),
            b"proof" => Self::Proof(take(0)?),
            b"heart" => {
                take(0)?;
                Self::Heart
            }
            b"rpc" | b"peer" => {
                let [a, b, c] = parameters.get_mut(..3)? else {
                    return None;
                };
                let three = [std::mem::take(a), std::mem::take(b), std::mem::take(c)];
                if command == b"rpc" {
                    Self::Rpc(three)
                } else {
                    Self::Peer(three)
                }
            }
            _ => return None,
        })
    }

    /// Bytes of its parameters.
    #[must_use]
    pub fn size(&self) -> u64 {
        let length = |bytes: &Vec<u8>| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self {
            Self::Block(bytes)
            | Self::Assets(bytes)
            | Self::Issues(bytes)
            | Self::Transfer(bytes)
            | Self::Proof(bytes) => length(bytes),
            Self::Rpc(parameters) | Self::Peer(parameters) => parameters.iter().map(length).sum(),
            Self::Heart => 0,
        }
    }

    /// Its command.
    #[must_use]
    pub const fn command(&self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Assets(_) => "assets",
            Self::Issues(_) => "issues",
            Self::Transfer(_) => "transfer",
            Self::Proof(_) => "proof",
            Self::Rpc(_) => "rpc",
            Self::Peer(_) => "peer",
            Self::Heart => "heart",
        }
    }
}

/// The commands of requests.
const COMMANDS: [&str; 14] = [
    "I",
    "N",
    "B",
    "H",
    "R",
    mempool::COMMAND,
    "block",
    "assets",
    "issues",
    "transfer",
    "proof",
    "rpc",
    "peer",
    "heart",
];

/// The command of a body, if it is one of ours; whatever chain it is for.
#[must_use]
pub fn known_command(body: &[Vec<u8>]) -> Option<&'static str> {
    let command = body.get(1)?;
    let is_it = |known: &&str| known.as_bytes() == command.as_slice();
    COMMANDS.into_iter().find(is_it)
}

impl Asked {
    /// Reads the body of a request, in the order of checks of section 2.
    ///
    /// # Errors
    /// The reply that says what is wrong.
    pub fn read(chain: &Chain, body: Vec<Vec<u8>>) -> Result<Self, Reply> {
        let mut frames = body.into_iter();
        let (Some(of), Some(command)) = (frames.next(), frames.next()) else {
            return Err(Reply::error("packet too short"));
        };
        if of != chain.name.as_bytes() {
            return Err(Reply::wrong_chain(&of, chain));
        }
        let mut parameters: Vec<Vec<u8>> = frames.collect();
        let request = match command.as_slice() {
            b"I" => Request::Info,
            b"N" => Request::Height,
            b"B" => Request::Block(number(&parameters)?),
            b"H" => Request::Digest(number(&parameters)?),
            b"R" => Request::Register(register(chain, parameters)?),
            other if other == mempool::COMMAND.as_bytes() && parameters.len() == 1 => {
                Request::Shared(parameters.swap_remove(0))
            }
            other => News::read(other, &mut parameters).map_or(Request::Nothing, Request::News),
        };
        Ok(Self { command, request })
    }
}

/// Reads a published message (section 3.2): news of our chain, or nothing.
#[must_use]
pub fn published(chain: &Chain, message: Vec<Vec<u8>>) -> Option<News> {
    let mut frames = message.into_iter();
    if frames.next()? != chain.name.as_bytes() {
        return None;
    }
    let command = frames.next()?;
    let mut parameters: Vec<Vec<u8>> = frames.collect();
    News::read(&command, &mut parameters)
}

fn number(parameters: &[Vec<u8>]) -> Result<u64, Reply> {
    let [parameter] = parameters else {
        return Err(Reply::error(MISSING));
    };
    let bytes: [u8; 8] = parameter
        .as_slice()
        .try_into()
        .map_err(|_| Reply::error(NOT_FOUND))?;
    Ok(u64::from_be_bytes(bytes))
}

fn register(chain: &Chain, parameters: Vec<Vec<u8>>) -> Result<RegisterRequest, Reply> {
    let mut parameters = parameters.into_iter();
    let (Some(of), Some(key), Some(listeners), Some(time)) = (
        parameters.next(),
        parameters.next(),
        parameters.next(),
        parameters.next(),
    ) else {
        return Err(Reply::error(MISSING));
    };
    if of != chain.name.as_bytes() {
        return Err(Reply::error("incorrect chain"));
    }
    // A shorter time ends the reference's process (section 3.1).
    let time = time.first_chunk::<8>().ok_or(Reply::error(MISSING))?;
    Ok(RegisterRequest {
        key,
        listeners,
        timestamp: u64::from_be_bytes(*time),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::chain::LOCAL;

    fn read(frames: &[&[u8]]) -> Result<Request, Reply> {
        let body = frames.iter().map(|frame| frame.to_vec()).collect();
        Asked::read(&LOCAL, body).map(|asked| asked.request)
    }

    #[test]
    fn the_frames_are_checked_in_the_order_of_the_notes() {
        assert_eq!(read(&[b"bitmark"]), Err(Reply::error("packet too short")));
        let text = "invalid chain: actual: \"x\"  expect: local";
        assert_eq!(read(&[b"x", b"B"]), Err(Reply::error(text)));
        assert_eq!(read(&[b"local", b"B"]), Err(Reply::error(MISSING)));
        assert_eq!(read(&[b"local", b"B", b"1"]), Err(Reply::error(NOT_FOUND)));
        assert_eq!(read(&[b"local", b"H", &[0; 8]]), Ok(Request::Digest(0)));
        assert_eq!(read(&[b"local", b"n"]), Ok(Request::Nothing));
        assert_eq!(read(&[b"local", b"peer", b"k", b"l"]), Ok(Request::Nothing));
        assert_eq!(
            read(&[b"local", b"heart", b""]),
            Ok(Request::News(News::Heart))
        );
    }

    #[test]
    fn every_command_that_is_read_is_known_and_no_other() {
        for command in COMMANDS {
            let body = vec![b"local".to_vec(), command.as_bytes().to_vec(), vec![1]];
            assert_eq!(known_command(&body), Some(command));
            let mut body = body;
            body.extend([vec![2], vec![3]]);
            if command == mempool::COMMAND {
                body.truncate(3);
            }
            assert_ne!(
                Asked::read(&LOCAL, body).map(|asked| asked.request),
                Ok(Request::Nothing),
                "{command}"
            );
        }
        for body in [vec![], vec![b"N".to_vec()], vec![vec![], b"n".to_vec()]] {
            assert_eq!(known_command(&body), None);
        }
    }

    #[test]
    fn a_registration_with_a_short_time_is_an_error_and_ends_nobody() {
        for length in 0..8 {
            let time = vec![0; length];
            let asked = read(&[b"local", b"R", b"local", b"k", b"l", &time]);
            assert_eq!(asked, Err(Reply::error(MISSING)));
        }
        let asked = read(&[b"local", b"R", b"local", b"k", b"l", &[0; 9]]);
        assert!(matches!(asked, Ok(Request::Register(_))));
        let asked = read(&[b"local", b"R", b"testing", b"k", b"l", &[0; 8]]);
        assert_eq!(asked, Err(Reply::error("incorrect chain")));
    }

    #[test]
    fn a_publisher_is_heard_for_news_alone() {
        let message = |command: &[u8]| vec![b"local".to_vec(), command.to_vec(), vec![1]];
        assert_eq!(
            published(&LOCAL, message(b"block")),
            Some(News::Block(vec![1]))
        );
        for command in [&b"I"[..], b"N", b"B", b"H", b"R", b"hello", b""] {
            assert_eq!(published(&LOCAL, message(command)), None);
        }
        let other = vec![b"testing".to_vec(), b"block".to_vec(), vec![1]];
        assert_eq!(published(&LOCAL, other), None);
    }

    proptest! {
        #[test]
        fn any_frames_are_read_without_harm(
            frames in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..12),
                    proptest::sample::select(vec![&b"local"[..], b"I", b"N", b"B", b"H", b"R",
                        b"block", b"peer", b"rpc", b"proof", b"heart"]).prop_map(<[u8]>::to_vec),
                ], 0..8)
        ) {
            let _ = published(&LOCAL, frames.clone());
            if let Err(reply) = Asked::read(&LOCAL, frames) {
                prop_assert_eq!(reply.frames().first().map(Vec::as_slice), Some(&b"E"[..]));
            }
        }
    }
}
