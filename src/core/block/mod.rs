//! Header, digest, difficulty, genesis, check values (`proto/blocks.md`, sections 2 to 5 and 11).
