//! Debian's `libargon2`, which the reference computes its block digests with, as the rival of ours.
//! Loaded when asked for; a machine without it has no such figure.

use std::ffi::{c_int, c_void};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use bitmarkd::core::block::DigestParams;

/// `argon2d_hash_raw` of the library's header.
type HashRaw = unsafe extern "C" fn(
    u32,
    u32,
    u32,
    *const c_void,
    usize,
    *const c_void,
    usize,
    *mut c_void,
    usize,
) -> c_int;

/// The library.
pub struct Rival(libloading::Library);

impl Rival {
    /// Loads it.
    pub fn load() -> Option<Self> {
        #[expect(unsafe_code, reason = "a system library is loaded")]
        // SAFETY: the library has no initialiser with a condition.
        let library = unsafe { libloading::Library::new("libargon2.so.1") };
        library.ok().map(Self)
    }

    /// The block digest of a header, as the library computes it.
    pub fn digest(&self, params: &DigestParams, header: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        let input = header.as_ptr().cast();
        #[expect(unsafe_code, reason = "a function of a system library is called")]
        // SAFETY: the type is that of the header; both ranges are those of the slices.
        let status = unsafe {
            let hash = self
                .0
                .get::<HashRaw>(b"argon2d_hash_raw")
                .expect("a function");
            hash(
                params.passes,
                params.memory_kib,
                1,
                input,
                header.len(),
                input,
                header.len(),
                out.as_mut_ptr().cast(),
                out.len(),
            )
        };
        assert_eq!(status, 0, "libargon2 refuses");
        out
    }
}

/// A process of its own that computes digests with the library: told a number on a line, it computes
/// so many and answers with the seconds they took.
pub fn part(_: &[String]) {
    let rival = Rival::load().expect("libargon2");
    for line in std::io::stdin().lines() {
        let count: u8 = line.expect("a line").parse().expect("a number");
        let begin = Instant::now();
        for number in 0..count {
            std::hint::black_box(rival.digest(&DigestParams::REFERENCE, &[number; 100]));
        }
        println!("{}", begin.elapsed().as_secs_f64());
    }
}

/// Such a process.
pub struct Process {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it.
    pub fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("libargon2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, answers }
    }

    /// Has it begin.
    pub fn begin(&mut self, count: u8) {
        let mut pipe = self.child.stdin.as_ref().expect("a pipe");
        writeln!(pipe, "{count}").expect("it listens");
    }

    /// Waits for its seconds.
    pub fn seconds(&mut self) -> f64 {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
