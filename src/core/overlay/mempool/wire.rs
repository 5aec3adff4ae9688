//! The messages of the overlay (`proto/mempool.md`, section 4.4): big-endian, fixed width, nothing
//! missing and nothing behind. Reading never panics and allocates no more than the message holds.

use thiserror::Error;

use super::bundle::{Bundle, Kind};
use crate::core::wire::cursor::Cursor;

/// First byte of every message.
pub const MAGIC: u8 = 0x4d;
/// Second byte.
pub const VERSION: u8 = 1;
/// Bytes of a batch before its first bundle.
pub const BATCH_HEAD: usize = 3 + 8 + 8 + 8 + 2;
/// Bytes of a batch before the bytes of each bundle.
pub const ITEM_HEAD: usize = 8 + 1 + 4;

/// The node is in mode Normal.
pub const FLAG_NORMAL: u16 = 1;
/// It wants bundles too that others submitted.
pub const FLAG_RELAY: u16 = 2;

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed message")]
pub struct Malformed;

/// Who speaks, and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// Of the speaker's log; never 0.
    pub epoch: u64,
    /// The newest id of that log.
    pub head: u64,
    /// Most bytes of bundles in a batch; a single bundle may have more.
    pub max_bytes: u32,
    /// Most bundles in a batch.
    pub max_items: u16,
    /// [`FLAG_NORMAL`], [`FLAG_RELAY`]; others are not looked at.
    pub flags: u16,
}

/// A bundle at its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id in the log of the epoch.
    pub id: u64,
    /// The bundle.
    pub bundle: Bundle,
}

/// A piece of a log: `after` < ids, ascending, <= `upto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Of the log.
    pub epoch: u64,
    /// The piece begins behind this id.
    pub after: u64,
    /// It ends with this one.
    pub upto: u64,
    /// At most 65,535.
    pub items: Vec<Item>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchAck {
    /// Of the log.
    pub epoch: u64,
    /// Everything up to this id is decided.
    pub upto: u64,
    /// How many more batches would be taken now.
    pub credit: u16,
    /// The pause that is asked for, in milliseconds.
    pub retry_after_ms: u32,
    /// Bundles that are in the pools now.
    pub accepted: u16,
    /// That were there.
    pub duplicate: u16,
    /// That can never be.
    pub invalid: u16,
    /// That wait for something.
    pub parked: u16,
}

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NackCode {
    /// It could not be read, or is beyond a limit.
    Malformed = 1,
    /// The epoch is not known, or not the one of the log.
    WrongEpoch = 2,
    /// There is no place for it now.
    Busy = 3,
    /// The node does not take records now.
    NotNormal = 4,
}

impl NackCode {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::Malformed,
        Self::WrongEpoch,
        Self::Busy,
        Self::NotNormal,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == byte)
    }
}

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack {
    /// The one that the refused message named; 0 if it could not be read.
    pub epoch: u64,
    /// Why.
    pub code: NackCode,
    /// Not again before this many milliseconds.
    pub retry_after_ms: u32,
}

/// Asks for a piece of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pull {
    /// Of the log.
    pub epoch: u64,
    /// Everything up to this id is decided by who asks.
    pub after: u64,
    /// Most bundles of the answer.
    pub max_items: u16,
    /// Most bytes of them.
    pub max_bytes: u32,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Type 1.
    Hello(Hello),
    /// Type 2: the answer, and the highest id of the caller's epoch that is decided.
    HelloAck(Hello, u64),
    /// Type 3.
    Batch(Batch),
    /// Type 4.
    BatchAck(BatchAck),
    /// Type 5.
    Nack(Nack),
    /// Type 6.
    Pull(Pull),
}

impl Message {
    const fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 1,
            Self::HelloAck(..) => 2,
            Self::Batch(_) => 3,
            Self::BatchAck(_) => 4,
            Self::Nack(_) => 5,
            Self::Pull(_) => 6,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![MAGIC, VERSION, self.kind()];
        match self {
            Self::Hello(hello) => put_hello(&mut out, hello),
            Self::HelloAck(hello, resume) => {
                put_hello(&mut out, hello);
                out.extend(resume.to_be_bytes());
            }
            Self::Batch(batch) => put_batch(&mut out, batch),
            Self::BatchAck(ack) => {
                out.extend(ack.epoch.to_be_bytes());
                out.extend(ack.upto.to_be_bytes());
                out.extend(ack.credit.to_be_bytes());
                out.extend(ack.retry_after_ms.to_be_bytes());
                for count in [ack.accepted, ack.duplicate, ack.invalid, ack.parked] {
                    out.extend(count.to_be_bytes());
                }
            }
            Self::Nack(nack) => {
                out.extend(nack.epoch.to_be_bytes());
                out.push(nack.code as u8);
                out.extend(nack.retry_after_ms.to_be_bytes());
            }
            Self::Pull(pull) => {
                out.extend(pull.epoch.to_be_bytes());
                out.extend(pull.after.to_be_bytes());
                out.extend(pull.max_items.to_be_bytes());
                out.extend(pull.max_bytes.to_be_bytes());
            }
        }
        out
    }

    /// Reads one message: all of the bytes.
    ///
    /// # Errors
    /// [`Malformed`] for another first byte, version or type, for missing bytes and for bytes
    /// behind the end, for an epoch 0 in a greeting, an unknown kind or code, and for a batch of
    /// which the ids are not in order.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        let message = read(&mut from).ok_or(Malformed)?;
        if from.remaining() == 0 {
            Ok(message)
        } else {
            Err(Malformed)
        }
    }
}

fn put_hello(out: &mut Vec<u8>, hello: &Hello) {
    out.extend(hello.epoch.to_be_bytes());
    out.extend(hello.head.to_be_bytes());
    out.extend(hello.max_bytes.to_be_bytes());
    out.extend(hello.max_items.to_be_bytes());
    out.extend(hello.flags.to_be_bytes());
}

fn put_batch(out: &mut Vec<u8>, batch: &Batch) {
    let count = u16::try_from(batch.items.len()).unwrap_or(u16::MAX);
    out.extend(batch.epoch.to_be_bytes());
    out.extend(batch.after.to_be_bytes());
    out.extend(batch.upto.to_be_bytes());
    out.extend(count.to_be_bytes());
    for item in batch.items.iter().take(usize::from(count)) {
        // No bundle of the pools comes near 4 GiB.
        let length = u32::try_from(item.bundle.payload.len()).unwrap_or(u32::MAX);
        out.extend(item.id.to_be_bytes());
        out.push(item.bundle.kind.byte());
        out.extend(length.to_be_bytes());
        out.extend_from_slice(&item.bundle.payload);
    }
}

fn read(from: &mut Cursor<'_>) -> Option<Message> {
    let [magic, version, kind] = from.array()?;
    if magic != MAGIC || version != VERSION {
        return None;
    }
    Some(match kind {
        1 => Message::Hello(read_hello(from)?),
        2 => Message::HelloAck(read_hello(from)?, long(from)?),
        3 => Message::Batch(read_batch(from)?),
        4 => Message::BatchAck(BatchAck {
            epoch: long(from)?,
            upto: long(from)?,
            credit: short(from)?,
            retry_after_ms: word(from)?,
            accepted: short(from)?,
            duplicate: short(from)?,
            invalid: short(from)?,
            parked: short(from)?,
        }),
        5 => Message::Nack(Nack {
            epoch: long(from)?,
            code: NackCode::from_byte(from.byte()?)?,
            retry_after_ms: word(from)?,
        }),
        6 => Message::Pull(Pull {
            epoch: long(from)?,
            after: long(from)?,
            max_items: short(from)?,
            max_bytes: word(from)?,
        }),
        _ => return None,
    })
}

fn read_hello(from: &mut Cursor<'_>) -> Option<Hello> {
    let hello = Hello {
        epoch: long(from)?,
        head: long(from)?,
        max_bytes: word(from)?,
        max_items: short(from)?,
        flags: short(from)?,
    };
    (hello.epoch != 0).then_some(hello)
}

fn read_batch(from: &mut Cursor<'_>) -> Option<Batch> {
    let (epoch, after, upto) = (long(from)?, long(from)?, long(from)?);
    let count = short(from)?;
    let mut items = Vec::new();
    let mut last = after;
    for _ in 0..count {
        let id = long(from)?;
        let kind = Kind::from_byte(from.byte()?)?;
        let length = usize::try_from(word(from)?).ok()?;
        let payload = from.take(length)?.to_vec();
        if id <= last {
            return None;
        }
        last = id;
        let bundle = Bundle { kind, payload };
        items.push(Item { id, bundle });
    }
    (last <= upto).then_some(Batch {
        epoch,
        after,
        upto,
        items,
    })
}

fn long(from: &mut Cursor<'_>) -> Option<u64> {
    from.array().map(u64::from_be_bytes)
}

fn word(from: &mut Cursor<'_>) -> Option<u32> {
    from.array().map(u32::from_be_bytes)
}

fn short(from: &mut Cursor<'_>) -> Option<u16> {
    from.array().map(u16::from_be_bytes)
}
