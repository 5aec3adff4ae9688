//! The first blocks (`proto/blocks.md`, section 5). They are constants: never stored, never sent,
//! never checked at run time.

use hex_literal::hex;

use crate::core::id::BlockDigest;

/// The first block of the live network, packed.
pub const LIVE: &[u8] = &hex!(
    "
     0100010001000000000000000000000000000000000000000000000000000000000000000000000000000000
     638c159c1f113f70a9866d9a9e52e9efe9b9920848ad1df34851be8a562a998db79a805600000000ffffffff
     ffffff00115a38bf3a909fe1010014444f574e207468652052414242495420686f6c6521114a65f1d2065008
     1276f01df43e70554e95498f3778e56daa2c498203ae9c70e6f4cab9d2d2ccddb44c40c2a384ebc901a18a13
     a270aa9f5e080677d7ab2fd888a5f657d2c6d4692e6fcde71c04b91be1400e7c1e8d5e2b3483c477fea17bc1
     dee005cc8d4df862770d0c
    "
);

/// Its digest.
pub const LIVE_DIGEST: BlockDigest = BlockDigest(hex!(
    "5c93f739eb01cdde305579f03ccfb37a742971313ff98d35b4c07c438faf1200"
));

/// Its check value.
pub const LIVE_CRC: u64 = 0x445f_8124_7a6f_decc;

/// The first block of the test networks, packed.
pub const TEST: &[u8] = &hex!(
    "
     0100010001000000000000000000000000000000000000000000000000000000000000000000000000000000
     ee07bbc3d749e07d24b90cd1ec3514702e878522daf716c17324d666697b8a634b42785400000000ffffffff
     ffffff00d44c2bcaee40364701001d4269746d61726b2054657374696e672047656e6573697320426c6f636b
     2113b2b504827f30a8dc1b7595ebb988dcf87cadac9e3a38f6be818c72be0335fa74f4cab9d2c2eedcb25440
     02a8bf5c21730324044079a5780a9cd22fc222b44c912917cea5b9d3770c138e8d3eae98b76c2e93a97e41c4
     1bae36c8413708a994fec2f9ebc0f802983df601
    "
);

/// Its digest.
pub const TEST_DIGEST: BlockDigest = BlockDigest(hex!(
    "8ae68bb87c4a926b8f12c5eeda9695bbdeaa9b280b57bc16545a2c8f7b80fe00"
));

/// Its check value.
pub const TEST_CRC: u64 = 0xd1cc_53a0_5622_7402;

/// The first block of the development chain, packed: its record is signed by the Ed25519 seed
/// SHA3-256(`bitmark devnet genesis`), so that anybody can make it again.
pub const DEVNET: &[u8] = &hex!(
    "
     0100010001000000000000000000000000000000000000000000000000000000000000000000000000000000
     202b5bae3eb95085beea8251f74c2585836a82b7dd137ca9c730fb019694e39d8000926500000000ffffffff
     ffffff00cd000000000000000100166269746d61726b206465766e65742067656e657369732113a8e6172074
     fd7d8c4427a1b3c82e19217d913484d3cc21ce3561066d0ed938ec0140c6a8a0e250da99f3dcb9fd3e890d37
     4b025bd6dd837f5bd109ebde5d33e7db9319c73844548cf7edeee1b7af0f8fc07436a7749c9ba37410ed965e
     2c5c2f1203
    "
);

/// Its digest.
pub const DEVNET_DIGEST: BlockDigest = BlockDigest(hex!(
    "87f94d7692486221005e025b2a89b885663f94c34604d8a7e3bcb7d660566100"
));

/// Its check value.
pub const DEVNET_CRC: u64 = 0xd429_7afb_ae7d_85ec;

/// Its time stamp.
pub const DEVNET_TIMESTAMP: u64 = 1_704_067_200;

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use sha3::{Digest as _, Sha3_256};

    use super::*;
    use crate::core::block::{Compact, DigestMemory, HEADER_BYTES, Header, crc, digest};
    use crate::core::chain::Chain;
    use crate::core::chain::DEVNET as CHAIN;
    use crate::core::id::TxId;

    /// The record and the header as section 5 of the notes describes them.
    fn described() -> (Vec<u8>, BlockDigest) {
        const TEXT: &[u8] = b"bitmark devnet genesis";
        let key = SigningKey::from_bytes(&Sha3_256::digest(TEXT).into());
        let mut record = vec![1, 0, 22];
        record.extend(TEXT);
        record.extend([0x21, 0x13]);
        record.extend(key.verifying_key().as_bytes());
        record.push(1);
        let signature = key.sign(&record).to_bytes();
        record.push(64);
        record.extend(signature);

        let mut header = Header {
            version: 1,
            transaction_count: 1,
            number: 1,
            previous_block: BlockDigest([0; 32]),
            merkle_root: TxId(Sha3_256::digest(&record).into()),
            timestamp: DEVNET_TIMESTAMP,
            difficulty: Compact::ONE,
            nonce: 0,
        };
        let mut memory = DigestMemory::new();
        loop {
            let packed = header.pack();
            let digest = digest(&CHAIN.digest, &packed, &mut memory);
            if header.proves(&digest) {
                return ([packed.as_slice(), &record].concat(), digest);
            }
            header.nonce += 1;
        }
    }

    #[test]
    fn the_devnet_genesis_is_what_its_description_makes() {
        let (block, digest) = described();
        assert_eq!(hex::encode(DEVNET), hex::encode(&block));
        assert_eq!(hex::encode(DEVNET_DIGEST.0), hex::encode(digest.0));
        assert_eq!(DEVNET_CRC, crc(1, &block), "{:016x}", crc(1, &block));
    }

    #[test]
    fn every_chain_has_the_digest_and_the_check_value_of_its_genesis() {
        let mut memory = DigestMemory::new();
        for chain in Chain::ALL {
            let (header, _) = Header::unpack(chain.genesis).unwrap();
            let bytes: &[u8; HEADER_BYTES] = chain.genesis.first_chunk().unwrap();
            let digest = digest(&chain.digest, bytes, &mut memory);
            assert_eq!(digest, chain.genesis_digest, "{}", chain.name);
            assert!(header.proves(&digest), "{}", chain.name);
            assert_eq!(crc(1, chain.genesis), chain.genesis_crc, "{}", chain.name);
            assert_eq!(header.timestamp, chain.genesis_timestamp, "{}", chain.name);
            assert_eq!(header.check(chain, u64::MAX), Ok(()), "{}", chain.name);
        }
    }
}
