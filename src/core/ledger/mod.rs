//! Confirmed state: block in, changes out; undo; ownership (`proto/blocks.md`, sections 7 to 11).
