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

/// The first block of the development chain, packed.
pub const DEVNET: &[u8] = &[0; 100];

/// Its digest.
pub const DEVNET_DIGEST: BlockDigest = BlockDigest([0; 32]);

/// Its check value.
pub const DEVNET_CRC: u64 = 0;

/// Its time stamp.
pub const DEVNET_TIMESTAMP: u64 = 0;
