//! Canonical bytes, and the checks that come with them (`proto/records.md`, section 5.3).

use super::{Record, RecordError, metadata};
use crate::core::currency::{Payment, address};
use crate::core::keys::{Account, KeyError, PrivateKey, Verifier};
use crate::core::wire::{text, varint};

const SIGNATURE_MAX: usize = 1024;
const NAME_MAX: usize = 64;
const FINGERPRINT_MAX: usize = 1024;
const METADATA_MAX: usize = 2048;

/// The bytes that a signature is still missing for, as a client needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsigned {
    /// What the signer has to sign.
    ToSign(Vec<u8>),
    /// What the new owner has to sign.
    ToCountersign(Vec<u8>),
}

fn number(value: u64, out: &mut Vec<u8>) {
    varint::pack_into(value, out);
}

fn bytes(value: &[u8], out: &mut Vec<u8>) {
    number(u64::try_from(value.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(value);
}

fn escrow(value: Option<&Payment>, out: &mut Vec<u8>) {
    match value {
        None => out.push(0),
        Some(payment) => {
            out.push(1);
            number(payment.currency.code(), out);
            bytes(&payment.address, out);
            number(payment.amount, out);
        }
    }
}

impl Record {
    /// The bytes that the signer signs: everything up to the signature.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        number(self.tag(), &mut out);
        match self {
            Self::BaseData(record) => {
                number(record.currency.code(), &mut out);
                bytes(&record.payment_address, &mut out);
                bytes(&record.owner.to_bytes(), &mut out);
                number(record.nonce, &mut out);
            }
            Self::AssetData(record) => {
                bytes(&record.name, &mut out);
                bytes(&record.fingerprint, &mut out);
                bytes(&record.metadata, &mut out);
                bytes(&record.registrant.to_bytes(), &mut out);
            }
            Self::BitmarkIssue(record) => {
                bytes(&record.asset_id.0, &mut out);
                bytes(&record.owner.to_bytes(), &mut out);
                number(record.nonce, &mut out);
            }
            Self::BitmarkTransferUnratified(_) | Self::BitmarkTransferCountersigned(_) => {
                self.link_and_escrow(&mut out);
                bytes(&self.owner().to_bytes(), &mut out);
            }
            Self::BlockFoundation(record) => {
                number(record.version, &mut out);
                bytes(&record.payments.pack_unchecked(), &mut out);
                bytes(&record.owner.to_bytes(), &mut out);
                number(record.nonce, &mut out);
            }
            Self::BlockOwnerTransfer(record) => {
                self.link_and_escrow(&mut out);
                number(record.version, &mut out);
                bytes(&record.payments.pack_unchecked(), &mut out);
                bytes(&record.owner.to_bytes(), &mut out);
            }
        }
        out
    }

    fn link_and_escrow(&self, out: &mut Vec<u8>) {
        bytes(&self.link().unwrap_or_default().0, out);
        escrow(self.escrow(), out);
    }

    /// The bytes that the new owner signs: the message and the signature field.
    #[must_use]
    pub fn countersign_message(&self) -> Vec<u8> {
        let mut out = self.message();
        bytes(self.signature(), &mut out);
        out
    }

    /// The canonical bytes with nothing checked.
    #[must_use]
    pub fn pack_unchecked(&self) -> Vec<u8> {
        let mut out = self.countersign_message();
        if let Some(countersignature) = self.countersignature() {
            bytes(countersignature, &mut out);
        }
        out
    }

    /// Verifies the record as signed by `signer` and gives its canonical bytes.
    ///
    /// # Errors
    /// The first rule that it breaks, in the order of the notes.
    pub fn pack(&self, signer: &Account) -> Result<Vec<u8>, RecordError> {
        self.pack_with(signer, &mut Verifier::default())
    }

    /// The same with a verifier that was used for others.
    ///
    /// # Errors
    /// As [`Record::pack`].
    pub fn pack_with(
        &self,
        signer: &Account,
        verifier: &mut Verifier,
    ) -> Result<Vec<u8>, RecordError> {
        self.check(signer)?;
        self.packed_if_signed(signer, verifier)
    }

    /// The signatures alone (steps 5 and 6).
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check_signatures(
        &self,
        signer: &Account,
        verifier: &mut Verifier,
    ) -> Result<(), RecordError> {
        self.packed_if_signed(signer, verifier).map(drop)
    }

    fn packed_if_signed(
        &self,
        signer: &Account,
        verifier: &mut Verifier,
    ) -> Result<Vec<u8>, RecordError> {
        let message = self.message();
        verifier.verify(signer, &message, self.signature())?;
        let mut out = message;
        bytes(self.signature(), &mut out);
        if let Some(countersignature) = self.countersignature() {
            verifier.verify(self.owner(), &out, countersignature)?;
            bytes(countersignature, &mut out);
        }
        Ok(out)
    }

    /// Every rule but the signatures (steps 1 to 4).
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, signer: &Account) -> Result<(), RecordError> {
        self.check_signature_sizes()?;
        let may_be_zero = matches!(self, Self::BitmarkTransferUnratified(_));
        if signer.is_zero() || (self.owner().is_zero() && !may_be_zero) {
            return Err(RecordError::InvalidOwner);
        }
        let testing = signer.testing;
        match self {
            Self::BaseData(record) => {
                address::check(record.currency, &record.payment_address, testing)?;
            }
            Self::AssetData(record) => check_asset(record)?,
            Self::BlockFoundation(record) => record.payments.check(record.version, testing)?,
            Self::BlockOwnerTransfer(record) => record.payments.check(record.version, testing)?,
            _ => {}
        }
        if let Some(escrow) = self.escrow() {
            address::check(escrow.currency, &escrow.address, testing)?;
        }
        Ok(())
    }

    /// Step 1. The countersignature of a block owner transfer is left to its verification, which
    /// gives another text.
    pub(super) fn check_signature_sizes(&self) -> Result<(), RecordError> {
        let too_long = |signature: &[u8]| signature.len() > SIGNATURE_MAX;
        let counter = match self {
            Self::BitmarkTransferCountersigned(record) => too_long(&record.countersignature),
            _ => false,
        };
        if too_long(self.signature()) || counter {
            return Err(RecordError::SignatureTooLong);
        }
        Ok(())
    }

    /// What is still to be signed of a record that is valid otherwise; nothing when it is whole.
    ///
    /// # Errors
    /// As [`Record::pack`], without the wrong signatures.
    pub fn unsigned(&self, signer: &Account) -> Result<Option<Unsigned>, RecordError> {
        self.check(signer)?;
        let message = self.message();
        if signer.verify(&message, self.signature()).is_err() {
            return Ok(Some(Unsigned::ToSign(message)));
        }
        let Some(countersignature) = self.countersignature() else {
            return Ok(None);
        };
        let message = self.countersign_message();
        let signed = self.owner().verify(&message, countersignature).is_ok();
        Ok((!signed).then_some(Unsigned::ToCountersign(message)))
    }
}

fn check_asset(record: &super::AssetData) -> Result<(), RecordError> {
    if record.name.is_empty() {
        return Err(RecordError::NameTooShort);
    }
    if text::characters(&record.name) > NAME_MAX {
        return Err(RecordError::NameTooLong);
    }
    if record.fingerprint.is_empty() {
        return Err(RecordError::FingerprintTooShort);
    }
    if text::characters(&record.fingerprint) > FINGERPRINT_MAX {
        return Err(RecordError::FingerprintTooLong);
    }
    if text::characters(&record.metadata) > METADATA_MAX {
        return Err(RecordError::MetadataTooLong);
    }
    if metadata::is_map(&record.metadata) {
        Ok(())
    } else {
        Err(RecordError::MetadataIsNotMap)
    }
}

/// Signs a record and gives its canonical bytes.
///
/// # Errors
/// The rule that it breaks; a record that needs a countersignature too is `invalid signature`.
pub fn sign(record: &mut Record, key: &PrivateKey) -> Result<Vec<u8>, RecordError> {
    let signer = key.account().ok_or(KeyError::InvalidSignature)?;
    sign_first(record, key);
    record.pack(&signer)
}

/// Signs a record for the former and the new owner.
///
/// # Errors
/// The rule that it breaks.
pub fn sign_by_both(
    record: &mut Record,
    from: &PrivateKey,
    to: &PrivateKey,
) -> Result<Vec<u8>, RecordError> {
    let signer = from.account().ok_or(KeyError::InvalidSignature)?;
    sign_first(record, from);
    sign_second(record, to);
    record.pack(&signer)
}

/// Signs for the former owner alone; the countersignature follows with [`sign_second`].
pub fn sign_first(record: &mut Record, from: &PrivateKey) {
    *record.signature_mut() = from.sign(&record.message());
}

/// Signs for the new owner, after [`sign_first`].
pub fn sign_second(record: &mut Record, to: &PrivateKey) {
    let countersignature = to.sign(&record.countersign_message());
    if let Some(place) = record.countersignature_mut() {
        *place = countersignature;
    }
}
