//! What the programs' sub-commands do, one file each. They decide what to ask a node and how to
//! show what it says; what is valid is decided in `core`.

/// Prints a line on standard output; see [`print`].
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::cli::print(format_args!($($text)*))
    };
}

pub mod client;
mod convert;
pub mod daemon;
pub mod manual;
pub mod recorder;
mod signals;

/// Prints a line. When nobody reads any more the program ends quietly; when the line cannot be
/// written it ends with exit status 1, so that nobody takes half of a result for all of it.
fn print(line: std::fmt::Arguments<'_>) {
    use std::io::{ErrorKind, Write as _, stderr, stdout};
    match writeln!(stdout(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            let _ = writeln!(stderr(), "standard output: {error}");
            std::process::exit(1)
        }
    }
}
