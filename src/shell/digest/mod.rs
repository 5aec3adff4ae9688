//! Worker threads for the memory-hard block digest.
