//! The least that an answer can cost: a bare REP socket with CURVE in a process of its own, which gives
//! the same answer to whatever it is asked, in a loop of the library's own calls.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::shell::zmq::options::{self, Family};
use bitmarkd::shell::zmq::requester::fresh_key;
use bitmarkd::shell::zmq::{Access, AccessThread, Context, Frames};

use crate::rig::Service;

/// The part: the frames of the answer are its arguments, in hexadecimal. It prints its key and its
/// address, and ends when it is ended.
pub fn part(arguments: &[String]) {
    let decode = |text: &String| hex::decode(text).expect("hexadecimal");
    let answer: Frames = arguments.iter().map(decode).collect();
    let context = Context::new().expect("CURVE");
    let _access = AccessThread::start(&context, Access::default()).expect("a thread");
    let key = fresh_key();
    let kind = zmq::SocketType::REP;
    let socket = options::server(&context, kind, &key, "listen", Family::V4).expect("a socket");
    let free = ["127.0.0.1:0".parse().expect("an address")];
    let address = options::bind(&socket, &free).expect("a port")[0];
    println!("{} {address}", hex::encode(key.public_key().0));
    std::io::stdout().flush().expect("somebody listens");
    let mut frame = zmq::Message::new();
    loop {
        socket.recv(&mut frame, 0).expect("a frame");
        while frame.get_more() {
            socket.recv(&mut frame, 0).expect("a frame");
        }
        socket.send_multipart(&answer, 0).expect("it leaves");
    }
}

/// Such a process; it ends with this.
pub struct Echo {
    child: Child,
    /// Where it is.
    pub service: Service,
}

impl Echo {
    /// Starts one that gives this answer.
    pub fn start(answer: &[Vec<u8>]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("echo")
            .args(answer.iter().map(hex::encode))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let (key, address) = line.trim().split_once(' ').expect("two words");
        let key = hex::decode(key).expect("hexadecimal");
        let service = Service {
            key: PeerPublicKey(key.try_into().expect("a key")),
            address: address.parse().expect("an address"),
            chain: "devnet",
            process: child.id(),
        };
        Self { child, service }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
