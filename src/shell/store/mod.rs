//! The store on disk: sled, one tree, a prefix byte a pool.
