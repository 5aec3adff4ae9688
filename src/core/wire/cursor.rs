//! Reading bytes from outside, one piece after the other. Nothing is read past the end, and a
//! claimed length never allocates.

use super::varint;

/// A place in a run of bytes.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    used: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            used: 0,
        }
    }

    /// The next `count` bytes, if there are as many.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        self.used += count;
        Some(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next variable-length integer.
    pub fn varint(&mut self) -> Option<u64> {
        let (value, size) = varint::unpack(self.rest)?;
        self.take(size)?;
        Some(value)
    }

    /// The next variable-length integer, if it is within the limits.
    pub fn clipped(&mut self, minimum: u64, maximum: u64) -> Option<u64> {
        let (value, size) = varint::unpack_clipped(self.rest, minimum, maximum)?;
        self.take(size)?;
        Some(value)
    }

    /// A length within the limits, then as many bytes.
    pub fn field(&mut self, minimum: u64, maximum: u64) -> Option<&'a [u8]> {
        let length = self.clipped(minimum, maximum)?;
        self.take(usize::try_from(length).ok()?)
    }

    /// Bytes not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are not yet read.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }
}
