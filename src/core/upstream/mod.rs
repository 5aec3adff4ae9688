//! One outgoing peer (`proto/peer.md`, section 4): it registers, asks for the height again and
//! again, passes news on, and answers the connector's questions; the shared mempool sends through
//! it. One request is open at a time, but for questions: behind one, some more are sent before it is
//! answered, so that a distance costs its time once. The answers come in the order of the questions.
//!
//! | state | input | what follows |
//! | --- | --- | --- |
//! | closed | `Dial` | open a socket, `R` |
//! | any | answer to `R` | registered, `N` at once |
//! | any | answer to `N` | the height; the next question, the next news, else a pause |
//! | waiting | `timeout_ms` passed, or a wrong answer | a new socket; registered no longer after `R` and `N`; the question failed, those sent behind it are asked again |
//! | idle | `cycle_ms` passed | `R` until registered, then `N` |
//!
//! Bounds: [`NEWS_MAX`] news of [`NEWS_BYTES`] wait, the least worth are dropped and counted, the
//! oldest of them first; [`QUESTIONS_MAX`] questions wait, beside those under way that are asked again. News for a peer that is not registered are dropped, as the
//! reference does.

use std::collections::VecDeque;

use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::keys::PeerPublicKey;
use crate::core::time::{Millis, Now, UnixSeconds};
use crate::core::wire::connection::Connection;

/// News that wait.
pub const NEWS_MAX: usize = 200;
/// Bytes of the news that wait; one that is larger alone is never passed on.
pub const NEWS_BYTES: usize = 16 << 20;
/// Questions that wait.
pub const QUESTIONS_MAX: usize = 32;
/// Questions that are sent and not answered yet.
pub const OPEN_QUESTIONS: usize = 8;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The digest of a block.
    Digest(u64),
    /// A block.
    Block(u64),
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Digest`].
    Digest(BlockDigest),
    /// To [`Question::Block`].
    Block(Vec<u8>),
    /// The peer said no, in these words, or did not answer.
    Failed(String),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Connect to this peer, whatever was before.
    Dial(PeerPublicKey, Connection),
    /// Be closed.
    Close,
    /// A reply came on the socket that is open.
    Reply(Vec<Vec<u8>>),
    /// The socket broke.
    Broken(String),
    /// Pass this on: command and parameters.
    News(Vec<Vec<u8>>),
    /// Ask this.
    Ask(Question),
    /// Send this request of the shared mempool behind the chain's name, with so long for the
    /// answer. It has one open at a time.
    Share(Vec<Vec<u8>>, Millis),
    /// It answers nothing that is shared: it has to register anew.
    GiveUp(String),
    /// The time of [`Upstream::next_wakeup`] has come.
    Wake,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Open a new socket in place of the old one, if there is one.
    Open(PeerPublicKey, Connection),
    /// Close the socket.
    Close,
    /// Send this request.
    Send(Vec<Vec<u8>>),
    /// The peer answered a registration or a height request as one of our chain does, and has the
    /// key it should have.
    Proven(PeerPublicKey, Connection),
    /// It did not.
    DialFailed(PeerPublicKey, Connection),
    /// The answer to a registration named this peer: key, listeners, time.
    Learned(Vec<u8>, Vec<u8>, UnixSeconds),
    /// It told its height.
    Height(u64),
    /// It is registered no more.
    Lost,
    /// A question was answered.
    Answered(Question, Answer),
    /// What [`Input::Share`] sent was answered, or was not.
    Shared(Option<Vec<Vec<u8>>>),
}

/// Intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two heights.
    pub cycle_ms: Millis,
    /// For an answer.
    pub timeout_ms: Millis,
    /// For an answer to a question of the connector; it asks others sooner.
    pub question_ms: Millis,
}

/// What is told to every peer about this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The public key.
    pub key: PeerPublicKey,
    /// The packed listeners.
    pub listeners: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Open {
    Register,
    Height,
    News(Vec<u8>),
    Question(Question),
    Share,
}

#[derive(Debug, Clone)]
struct Peer {
    key: PeerPublicKey,
    address: Connection,
    registered: bool,
    height: u64,
    open: Option<(Open, Millis)>,
    /// Questions that were sent behind the open one.
    behind: VecDeque<Question>,
    next_cycle: Millis,
}

/// One outgoing peer.
#[derive(Debug, Clone)]
pub struct Upstream {
    chain: &'static Chain,
    own: Own,
    timing: Timing,
    peer: Option<Peer>,
    news: VecDeque<Vec<Vec<u8>>>,
    news_bytes: usize,
    questions: VecDeque<Question>,
    /// What the shared mempool has to send.
    share: Option<(Vec<Vec<u8>>, Millis)>,
    /// News went last: it is the turn of what is shared.
    is_shares_turn: bool,
    dropped: u64,
}

impl Upstream {
    /// One that is closed.
    #[must_use]
    pub const fn new(chain: &'static Chain, own: Own, timing: Timing) -> Self {
        Self {
            chain,
            own,
            timing,
            peer: None,
            news: VecDeque::new(),
            news_bytes: 0,
            questions: VecDeque::new(),
            share: None,
            is_shares_turn: false,
            dropped: 0,
        }
    }

    /// Whom it is for, and where.
    #[must_use]
    pub fn target(&self) -> Option<(PeerPublicKey, Connection)> {
        self.peer.as_ref().map(|peer| (peer.key, peer.address))
    }

    /// Whether it is registered.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.registered)
    }

    /// The height it told last, while registered.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.peer
            .as_ref()
            .filter(|peer| peer.registered)
            .map_or(0, |peer| peer.height)
    }

    /// News that were dropped.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// When [`Input::Wake`] is wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        self.peer.as_ref().map(|peer| match &peer.open {
            Some((_, deadline)) => *deadline,
            None => peer.next_cycle,
        })
    }

    /// Takes one input.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Dial(key, address) => self.dial(now, key, address, out),
            Input::Close => {
                self.fail_questions("the peer was disconnected", out);
                self.fail_share(out);
                self.forget_news();
                if self.peer.take().is_some() {
                    out.push(Effect::Close);
                }
            }
            Input::Reply(frames) => self.reply(now, frames, out),
            Input::Broken(why) => self.failed(now, &why, out),
            Input::GiveUp(why) => self.give_up(now, &why, out),
            Input::News(news) => {
                if self.is_registered() {
                    self.queue(news);
                } else {
                    self.dropped += 1;
                }
            }
            Input::Ask(question) => {
                if self.peer.is_none() || self.questions.len() >= QUESTIONS_MAX {
                    let answer = Answer::Failed("not connected".to_owned());
                    out.push(Effect::Answered(question, answer));
                } else {
                    self.questions.push_back(question);
                }
            }
            Input::Share(frames, timeout) => {
                if self.peer.is_none() || self.share.is_some() || self.is_sharing() {
                    out.push(Effect::Shared(None));
                } else {
                    self.share = Some((frames, timeout));
                }
            }
            Input::Wake => {}
        }
        self.on_time(now, out);
        self.next_request(now, out);
    }

    /// Puts news in the queue; the least worth make room, the oldest of them first.
    fn queue(&mut self, news: Vec<Vec<u8>>) {
        if size(&news) > NEWS_BYTES {
            self.dropped += 1;
            return;
        }
        self.news_bytes = self.news_bytes.saturating_add(size(&news));
        self.news.push_back(news);
        while self.news.len() > NEWS_MAX || self.news_bytes > NEWS_BYTES {
            let waiting = self.news.iter().enumerate();
            let least = waiting.map(|(at, news)| (worth(news), at)).min();
            let Some(gone) = least.and_then(|(_, at)| self.news.remove(at)) else {
                break;
            };
            self.news_bytes = self.news_bytes.saturating_sub(size(&gone));
            self.dropped += 1;
        }
    }

    fn take_news(&mut self) -> Option<Vec<Vec<u8>>> {
        let news = self.news.pop_front()?;
        self.news_bytes = self.news_bytes.saturating_sub(size(&news));
        Some(news)
    }

    /// News that wait are for the peer that was; they are counted as dropped.
    fn forget_news(&mut self) {
        self.dropped += self.news.len() as u64;
        self.news.clear();
        self.news_bytes = 0;
    }

    fn dial(&mut self, now: Now, key: PeerPublicKey, address: Connection, out: &mut Vec<Effect>) {
        self.fail_questions("the peer was replaced", out);
        self.fail_share(out);
        self.forget_news();
        self.peer = Some(Peer {
            key,
            address,
            registered: false,
            height: 0,
            open: None,
            behind: VecDeque::new(),
            next_cycle: now.mono,
        });
        out.push(Effect::Open(key, address));
    }

    fn is_sharing(&self) -> bool {
        let open = self.peer.as_ref().and_then(|peer| peer.open.as_ref());
        matches!(open, Some((Open::Share, _)))
    }

    /// What is shared gets no answer any more.
    fn fail_share(&mut self, out: &mut Vec<Effect>) {
        let waits = self.share.take().is_some();
        if self.is_sharing() || waits {
            if let Some(peer) = self.peer.as_mut().filter(|_| !waits) {
                peer.open = None;
            }
            out.push(Effect::Shared(None));
        }
    }

    fn fail_questions(&mut self, why: &str, out: &mut Vec<Effect>) {
        self.ask_again();
        let asked = self.peer.as_mut().and_then(|peer| match peer.open {
            Some((Open::Question(question), _)) => {
                peer.open = None;
                Some(question)
            }
            _ => None,
        });
        for question in asked.into_iter().chain(self.questions.drain(..)) {
            out.push(Effect::Answered(question, Answer::Failed(why.to_owned())));
        }
    }

    /// The socket is gone, and with it the answers to what was sent behind the open question.
    fn ask_again(&mut self) {
        if let Some(peer) = &mut self.peer {
            for question in peer.behind.drain(..).rev() {
                self.questions.push_front(question);
            }
        }
    }

    fn on_time(&mut self, now: Now, out: &mut Vec<Effect>) {
        let is_late = self
            .peer
            .as_ref()
            .and_then(|peer| peer.open.as_ref())
            .is_some_and(|(_, deadline)| now.mono >= *deadline);
        if is_late {
            self.failed(now, "no answer in time", out);
        }
    }

    /// The open request has no good answer: a new socket.
    fn failed(&mut self, now: Now, why: &str, out: &mut Vec<Effect>) {
        self.ask_again();
        let Some(peer) = self.peer.as_mut() else {
            return;
        };
        let (key, address) = (peer.key, peer.address);
        match peer.open.take() {
            Some((Open::Question(question), _)) => {
                out.push(Effect::Answered(question, Answer::Failed(why.to_owned())));
            }
            Some((Open::Register | Open::Height, _)) | None => {
                if peer.registered {
                    peer.registered = false;
                    out.push(Effect::Lost);
                }
                out.push(Effect::DialFailed(key, address));
            }
            Some((Open::News(_), _)) => self.dropped += 1,
            Some((Open::Share, _)) => out.push(Effect::Shared(None)),
        }
        // News and questions leave the next height where it was: many of them that fail must not
        // keep a silent peer from being noticed.
        if !peer.registered {
            peer.next_cycle = now.mono.saturating_add(self.timing.cycle_ms);
        }
        out.push(Effect::Open(key, address));
        if !self.is_registered() {
            self.fail_questions(why, out);
            self.fail_share(out);
        }
    }

    /// Whatever is open fails, and the peer is registered no more; that it can be reached is not
    /// in doubt.
    fn give_up(&mut self, now: Now, why: &str, out: &mut Vec<Effect>) {
        self.fail_questions(why, out);
        self.fail_share(out);
        let Some(peer) = self.peer.as_mut() else {
            return;
        };
        if let Some((Open::News(_), _)) = peer.open.take() {
            self.dropped += 1;
        }
        if peer.registered {
            peer.registered = false;
            out.push(Effect::Lost);
        }
        peer.next_cycle = now.mono.saturating_add(self.timing.cycle_ms);
        out.push(Effect::Open(peer.key, peer.address));
    }

    fn reply(&mut self, now: Now, frames: Vec<Vec<u8>>, out: &mut Vec<Effect>) {
        let Some(peer) = self.peer.as_mut() else {
            return;
        };
        let Some((open, _)) = peer.open.take() else {
            return;
        };
        let (key, address) = (peer.key, peer.address);
        match open {
            Open::Register => match registration(self.chain, &frames) {
                Some((other, listeners, time)) => {
                    peer.registered = true;
                    // The height follows at once.
                    peer.next_cycle = now.mono;
                    out.push(Effect::Proven(key, address));
                    out.push(Effect::Learned(other, listeners, time));
                }
                None => {
                    // It refuses, or is of another chain: not one to be told to others.
                    peer.next_cycle = now.mono.saturating_add(self.timing.cycle_ms);
                    out.push(Effect::DialFailed(key, address));
                }
            },
            Open::Height => match height(&frames) {
                Some(height) => {
                    // Every chain has its first block: 0 must not look like no answer.
                    let height = height.max(1);
                    peer.height = height;
                    peer.next_cycle = now.mono.saturating_add(self.timing.cycle_ms);
                    out.push(Effect::Proven(key, address));
                    out.push(Effect::Height(height));
                }
                None => {
                    peer.open = Some((Open::Height, now.mono));
                    self.failed(now, "not an answer to N", out);
                }
            },
            Open::News(command) => {
                let acknowledged = matches!(frames.as_slice(), [first, _] if *first == command);
                if !acknowledged {
                    peer.open = Some((Open::News(command), now.mono));
                    self.failed(now, "not acknowledged", out);
                }
            }
            Open::Question(question) => {
                if let Some(next) = peer.behind.pop_front() {
                    let deadline = now.mono.saturating_add(self.timing.question_ms);
                    peer.open = Some((Open::Question(next), deadline));
                }
                out.push(Effect::Answered(question, answer(question, frames)));
            }
            Open::Share => out.push(Effect::Shared(Some(frames))),
        }
    }

    fn next_request(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(peer) = self.peer.as_mut() else {
            return;
        };
        let chain = self.chain.name.as_bytes().to_vec();
        if let Some((open, _)) = &peer.open {
            let is_question = matches!(open, Open::Question(_));
            // A due height comes to its turn: nothing is sent behind what is open.
            while is_question
                && now.mono < peer.next_cycle
                && peer.behind.len() + 1 < OPEN_QUESTIONS
                && let Some(question) = self.questions.pop_front()
            {
                peer.behind.push_back(question);
                out.push(Effect::Send(request(chain.clone(), question)));
            }
            return;
        }
        let timeout = now.mono.saturating_add(self.timing.timeout_ms);
        // A due height goes before all else, so that a stream of news starves nothing.
        if now.mono >= peer.next_cycle {
            peer.next_cycle = now.mono.saturating_add(self.timing.cycle_ms);
            if peer.registered {
                peer.open = Some((Open::Height, timeout));
                out.push(Effect::Send(vec![chain, b"N".to_vec()]));
            } else {
                peer.open = Some((Open::Register, timeout));
                out.push(Effect::Send(vec![
                    chain.clone(),
                    b"R".to_vec(),
                    chain,
                    self.own.key.0.to_vec(),
                    self.own.listeners.clone(),
                    now.wall.to_be_bytes().to_vec(),
                ]));
            }
            return;
        }
        if let Some(question) = self.questions.pop_front() {
            let deadline = now.mono.saturating_add(self.timing.question_ms);
            peer.open = Some((Open::Question(question), deadline));
            out.push(Effect::Send(request(chain, question)));
            return self.next_request(now, out);
        }
        // What is shared and news take turns.
        if (self.is_shares_turn || self.news.is_empty())
            && let Some((frames, within)) = self.share.take()
            && let Some(peer) = self.peer.as_mut()
        {
            self.is_shares_turn = false;
            peer.open = Some((Open::Share, now.mono.saturating_add(within)));
            let mut request = vec![chain];
            request.extend(frames);
            out.push(Effect::Send(request));
            return;
        }
        self.is_shares_turn = true;
        let next = self.take_news();
        if let (Some(news), Some(peer)) = (next, self.peer.as_mut()) {
            let command = news.first().cloned().unwrap_or_default();
            peer.open = Some((Open::News(command), timeout));
            let mut frames = vec![chain];
            frames.extend(news);
            out.push(Effect::Send(frames));
        }
    }
}

/// The frames of a question.
fn request(chain: Vec<u8>, question: Question) -> Vec<Vec<u8>> {
    let (command, number) = match question {
        Question::Digest(number) => (b"H", number),
        Question::Block(number) => (b"B", number),
    };
    vec![chain, command.to_vec(), number.to_be_bytes().to_vec()]
}

/// Key, listeners and time of the peer that a registration's answer names. Short times and other
/// chains end the reference's process (section 3.1); here they are no answer.
fn registration(chain: &Chain, frames: &[Vec<u8>]) -> Option<(Vec<u8>, Vec<u8>, UnixSeconds)> {
    let [kind, of, key, listeners, time, ..] = frames else {
        return None;
    };
    if kind != b"R" || of != chain.name.as_bytes() {
        return None;
    }
    let time = time.first_chunk::<8>()?;
    Some((key.clone(), listeners.clone(), u64::from_be_bytes(*time)))
}

/// What news are worth: announcements come again and anybody can make them; a block is needed most.
fn worth(news: &[Vec<u8>]) -> u8 {
    match news.first().map(Vec::as_slice) {
        Some(b"block") => 2,
        Some(b"assets" | b"issues" | b"transfer" | b"proof") => 1,
        _ => 0,
    }
}

fn size(frames: &[Vec<u8>]) -> usize {
    frames.iter().map(Vec::len).sum()
}

fn height(frames: &[Vec<u8>]) -> Option<u64> {
    match frames {
        [kind, bytes] if kind == b"N" => {
            let bytes: [u8; 8] = bytes.as_slice().try_into().ok()?;
            Some(u64::from_be_bytes(bytes))
        }
        _ => None,
    }
}

fn answer(question: Question, frames: Vec<Vec<u8>>) -> Answer {
    let Ok([kind, content]) = <[Vec<u8>; 2]>::try_from(frames) else {
        return Answer::Failed("invalid peer response".to_owned());
    };
    if kind == b"E" {
        return Answer::Failed(String::from_utf8_lossy(&content).into_owned());
    }
    match question {
        Question::Digest(_) if kind == b"H" => BlockDigest::from_bytes(&content).map_or_else(
            |_| Answer::Failed("invalid peer response".to_owned()),
            Answer::Digest,
        ),
        Question::Block(_) if kind == b"B" => Answer::Block(content),
        _ => Answer::Failed("invalid peer response".to_owned()),
    }
}

#[cfg(test)]
mod tests;
