//! TEMP
#![allow(missing_docs)]
pub struct Cursor<'a>(&'a [u8], usize);
impl<'a> Cursor<'a> {
    pub fn new(b: &'a [u8]) -> Self {
        Cursor(b, 0)
    }
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let r = self.0.get(self.1..self.1.checked_add(n)?)?;
        self.1 += n;
        Some(r)
    }
    pub fn varint(&mut self) -> Option<u64> {
        let mut v = 0u64;
        for i in 0..9 {
            let b = self.take(1)?[0];
            if i == 8 {
                return Some(v | (u64::from(b) << 56));
            }
            v |= u64::from(b & 0x7f) << (7 * i);
            if b < 0x80 {
                return Some(v);
            }
        }
        None
    }
    pub fn remaining(&self) -> usize {
        self.0.len() - self.1
    }
}
