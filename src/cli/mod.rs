//! What the programs' sub-commands do, one file each. They decide what to ask a node and how to
//! show what it says; what is valid is decided in `core`.

/// Prints a line; a reader that has gone away is no error of ours.
macro_rules! outln {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

pub mod client;
pub mod daemon;
pub mod recorder;
