//! One machine with its pools, and words for what peers say to it.

use super::*;

/// The key of a peer.
pub const fn key(number: u8) -> PeerPublicKey {
    PeerPublicKey([number; 32])
}

/// The epoch of every peer that was not started anew.
pub const EPOCH: u64 = 77;

/// One machine. After every step its invariants hold.
pub struct Rig {
    pub machine: Mempool,
    pub pool: Pool,
    pub now: Millis,
    tickets: u64,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    /// In mode Normal.
    pub fn with(settings: Settings) -> Self {
        let mut rig = Self {
            machine: Mempool::new(0, settings, [3; 32]),
            pool: Pool::new(),
            now: 1000,
            tickets: 0,
        };
        rig.step(Input::Mode { normal: true });
        rig
    }

    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        let text = format!("{input:?}");
        self.machine.step(self.now, input, &self.pool, &mut out);
        let checked = self.machine.check_invariants(&self.pool);
        checked.unwrap_or_else(|why| panic!("{why} after {text}"));
        out
    }

    pub fn wake_at(&mut self, now: Millis) -> Vec<Effect> {
        self.now = now;
        self.step(Input::Wake)
    }

    /// Wakes as often as it is wanted up to a time.
    pub fn run_to(&mut self, end: Millis) -> Vec<Effect> {
        let mut all = Vec::new();
        while let Some(at) = self.machine.next_wakeup().filter(|at| *at <= end) {
            assert!(all.len() < 10_000, "it never sleeps");
            all.extend(self.wake_at(at.max(self.now)));
        }
        self.now = end;
        all
    }

    /// It comes into the pools and is told.
    pub fn present(&mut self, bundle: &Bundle, origin: Option<PeerPublicKey>) -> Vec<Effect> {
        let locator = self.pool.put(bundle);
        self.step(Input::Present { locator, origin })
    }

    pub fn gone(&mut self, bundle: &Bundle) -> Vec<Effect> {
        let locator = pool::locate(bundle).unwrap();
        self.pool.drop(&locator);
        self.step(Input::Gone(locator))
    }

    pub fn generation(&self, peer: PeerPublicKey) -> u64 {
        self.machine.peers.get(&peer).unwrap().generation
    }

    pub fn reply_with(&mut self, peer: PeerPublicKey, frames: Option<&[&[u8]]>) -> Vec<Effect> {
        let generation = self.generation(peer);
        let frames = frames.map(|all| all.iter().map(|frame| frame.to_vec()).collect());
        self.step(Input::Reply {
            peer,
            generation,
            frames,
        })
    }

    /// A reply in our language.
    pub fn reply(&mut self, peer: PeerPublicKey, message: &Message) -> Vec<Effect> {
        self.reply_with(peer, Some(&[b"OVL1", &message.encode()]))
    }

    /// A peer of which the greeting was answered; it takes all that we send.
    pub fn connect(&mut self, peer: PeerPublicKey) -> Vec<Effect> {
        let effects = self.step(Input::NewPeer(peer));
        assert!(matches!(sent(&effects), Some(Message::Hello(_))));
        self.reply(peer, &hello_ack(EPOCH, 0))
    }

    /// The same, and it greets us, so that it is not asked for its log all the time.
    pub fn befriend(&mut self, peer: PeerPublicKey) -> Vec<Effect> {
        self.request(peer, &Message::Hello(hello(EPOCH)));
        let mut effects = self.connect(peer);
        if matches!(sent(&effects), Some(Message::Pull(_))) {
            effects = self.reply(peer, &batch(EPOCH, 0, 0, &[]));
        }
        effects
    }

    pub fn request_bytes(&mut self, peer: PeerPublicKey, payload: Vec<u8>) -> Vec<Effect> {
        self.tickets += 1;
        let ticket = self.tickets;
        self.step(Input::Request {
            ticket,
            peer,
            payload,
        })
    }

    pub fn request(&mut self, peer: PeerPublicKey, message: &Message) -> Vec<Effect> {
        self.request_bytes(peer, message.encode())
    }

    /// A batch of a peer, decided by the pools; the acknowledgement.
    pub fn offer(&mut self, peer: PeerPublicKey, message: &Message) -> BatchAck {
        let mut effects = self.request(peer, message);
        if let Some((job, bundles)) = validation(&effects) {
            effects = self.decide(job, Some(peer), &bundles);
        }
        match answer(&effects) {
            Some(Message::BatchAck(ack)) => ack,
            other => panic!("{other:?}"),
        }
    }

    /// The pools decide a job.
    pub fn decide(
        &mut self,
        job: u64,
        origin: Option<PeerPublicKey>,
        bundles: &[Bundle],
    ) -> Vec<Effect> {
        let mut verdicts = Vec::new();
        let mut effects = Vec::new();
        for bundle in bundles {
            let verdict = self.pool.offer(bundle);
            verdicts.push(verdict);
            if verdict == Verdict::Accepted {
                let locator = pool::locate(bundle).unwrap();
                effects.extend(self.step(Input::Present { locator, origin }));
            }
        }
        effects.extend(self.step(Input::Validated { job, verdicts }));
        effects
    }

    /// The batch that is on its way to a peer is acknowledged; what follows.
    pub fn ack(&mut self, peer: PeerPublicKey, upto: u64) -> Vec<Effect> {
        let ack = good_ack(self.machine.epoch(), upto);
        self.reply(peer, &Message::BatchAck(ack))
    }

    /// What the report says under a name.
    pub fn count(&self, name: &str) -> u64 {
        let report = self.machine.report();
        let found = report.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("no {name}")).1
    }

    pub fn mode(&self, peer: PeerPublicKey) -> Mode {
        self.machine.peers.get(&peer).unwrap().mode
    }

    pub fn acked(&self, peer: PeerPublicKey) -> u64 {
        self.machine.peers.get(&peer).unwrap().acked
    }
}

pub const fn hello(epoch: u64) -> Hello {
    Hello {
        epoch,
        head: 0,
        max_bytes: 262_144,
        max_items: 100,
        flags: FLAG_NORMAL | FLAG_RELAY,
    }
}

pub const fn hello_ack(epoch: u64, resume: u64) -> Message {
    Message::HelloAck(hello(epoch), resume)
}

pub fn good_ack(epoch: u64, upto: u64) -> BatchAck {
    BatchAck {
        epoch,
        upto,
        credit: 1,
        ..BatchAck::default()
    }
}

pub fn batch(epoch: u64, after: u64, upto: u64, items: &[(u64, Bundle)]) -> Message {
    let items = items.iter().cloned();
    let items = items
        .map(|(id, bundle)| wire::Item { id, bundle })
        .collect();
    Message::Batch(Batch {
        epoch,
        after,
        upto,
        items,
    })
}

/// The first message that was sent to anybody.
pub fn sent(effects: &[Effect]) -> Option<Message> {
    sent_to(effects)
        .into_iter()
        .next()
        .map(|(_, message)| message)
}

/// All messages that were sent.
pub fn sent_to(effects: &[Effect]) -> Vec<(PeerPublicKey, Message)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { peer, payload, .. } => Some((*peer, Message::decode(payload).unwrap())),
        _ => None,
    });
    sent.collect()
}

/// The bundles of the batch that was sent to a peer, with its end.
pub fn batch_to(effects: &[Effect], peer: PeerPublicKey) -> Option<Batch> {
    let mut sent = sent_to(effects).into_iter();
    sent.find_map(|(to, message)| match message {
        Message::Batch(batch) if to == peer => Some(batch),
        _ => None,
    })
}

/// Its bundles alone; none if no batch was sent.
pub fn bundles_to(effects: &[Effect], peer: PeerPublicKey) -> Vec<Bundle> {
    let batch = batch_to(effects, peer);
    let items = batch.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.bundle).collect()
}

/// The only answer, if there is one.
pub fn answer(effects: &[Effect]) -> Option<Message> {
    let mut answers = effects.iter().filter_map(|effect| match effect {
        Effect::Answer { payload, .. } => {
            assert!(payload.len() >= 3 && payload[0] == MAGIC);
            Some(Message::decode(payload).unwrap())
        }
        _ => None,
    });
    let first = answers.next();
    assert!(answers.next().is_none(), "more than one answer");
    first
}

/// The code of a refusal.
pub fn refusal(effects: &[Effect]) -> Option<NackCode> {
    match answer(effects) {
        Some(Message::Nack(nack)) => Some(nack.code),
        _ => None,
    }
}

/// The job that the pools are to decide.
pub fn validation(effects: &[Effect]) -> Option<(u64, Vec<Bundle>)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Validate { job, bundles, .. } => Some((*job, bundles.clone())),
        _ => None,
    })
}

/// What the log was told.
pub fn events(effects: &[Effect]) -> Vec<Event> {
    let events = effects.iter().filter_map(|effect| match effect {
        Effect::Security { event, .. } => Some(*event),
        _ => None,
    });
    events.collect()
}

/// What a peer was penalised for.
pub fn offences(effects: &[Effect]) -> Vec<Offence> {
    let offences = effects.iter().filter_map(|effect| match effect {
        Effect::Penalise { reason, .. } => Some(*reason),
        _ => None,
    });
    offences.collect()
}
