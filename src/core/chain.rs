//! The parameters that make one network differ from another (`proto/blocks.md`, section 1).
