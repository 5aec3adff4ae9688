//! What each kind of node sends in its usual life, message by message: registration, heights,
//! announcements, records, blocks, rebroadcast; and what each publishes, heart beats among it. Not a row of the table: `proto/INTEROP.md` tells the
//! differences and why they may stay, and this test fails when there is another one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::chain;
use crate::launch::{eventually, seen};
use crate::network::SIX;
use crate::published::{Listener, Message};
use crate::stage::{Kind, Stage};
use crate::wires::{Passed, Way};

/// The third announcement comes 24 minutes after the start, rebroadcasts after 15.
const WATCHED: Duration = Duration::from_secs(25 * 60 + 30);
/// Longer than from one look at the publishers to the next.
const A_MOMENT: Duration = Duration::from_secs(2);
/// From one node to all.
const TAKEN: Duration = Duration::from_secs(120);

/// Who asked whom for what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Topic {
    from: &'static str,
    to: &'static str,
    command: String,
}

/// How it looked.
#[derive(Debug, Default)]
struct Look {
    /// When, on each link.
    times: BTreeMap<(usize, usize), Vec<Duration>>,
    /// Lengths of the frames behind the command; records have lengths of their own.
    parameters: BTreeSet<String>,
    replies: BTreeSet<String>,
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Ours => "ours",
        Kind::Reference => "theirs",
    }
}

/// Lengths of frames; those that differ from record to record are not told.
fn lengths(command: &str, frames: &[Vec<u8>]) -> String {
    let is_record = ["assets", "issues", "transfer", "block", "B"].contains(&command);
    frames
        .iter()
        .map(|frame| match is_record && frame.len() > 32 {
            true => "record".to_owned(),
            false => frame.len().to_string(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn looks(stage: &Stage, passed: &[Passed]) -> BTreeMap<Topic, Look> {
    let mut looks: BTreeMap<Topic, Look> = BTreeMap::new();
    let kind = |index: usize| name(stage.nodes[index].kind);
    // A link carries one request at a time.
    let mut open: BTreeMap<(usize, usize), String> = BTreeMap::new();
    for message in passed {
        let Some(from) = message.from else { continue };
        let link = (from, message.to);
        let topic = |command: &str| Topic {
            from: kind(from),
            to: kind(message.to),
            command: command.to_owned(),
        };
        match message.way {
            Way::Request => {
                let command = String::from_utf8_lossy(&message.body[1]).into_owned();
                let look = looks.entry(topic(&command)).or_default();
                look.times.entry(link).or_default().push(message.at);
                look.parameters
                    .insert(lengths(&command, &message.body[2..]));
                open.insert(link, command);
            }
            Way::Reply => {
                if let Some(command) = open.remove(&link) {
                    let first = String::from_utf8_lossy(&message.body[0]).into_owned();
                    let rest = lengths(&command, &message.body[1..]);
                    looks
                        .entry(topic(&command))
                        .or_default()
                        .replies
                        .insert(format!("{first} {rest}"));
                }
            }
        }
    }
    looks
}

fn tell(looks: &BTreeMap<Topic, Look>) {
    for (topic, look) in looks {
        let count: usize = look.times.values().map(Vec::len).sum();
        let mut gaps: Vec<u64> = look
            .times
            .values()
            .flat_map(|times| times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()))
            .collect();
        gaps.sort_unstable();
        let middle = gaps.get(gaps.len() / 2);
        println!(
            "  {} to {}: {:9} {count:5} on {} links, gap {middle:?} ({:?} to {:?}); {:?} -> {:?}",
            topic.from,
            topic.to,
            topic.command,
            look.times.len(),
            gaps.first(),
            gaps.last(),
            look.parameters,
            look.replies
        );
    }
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn life_looks_the_same_whichever_kind_lives_it() {
    let mut stage = Stage::wired(&SIX).acquainted();
    stage.wires().record();
    stage.start_all();
    stage.wait_normal();
    let listeners: Vec<Listener> = stage.nodes.iter().map(Listener::new).collect();
    let mut published = Vec::new();
    let blocks = chain::blocks();
    let mut ids = Vec::new();
    for index in 0..stage.nodes.len() {
        let made = stage.create(index, &format!("made at {index}"), 2);
        ids.push(made["issueIds"][0].as_str().unwrap().to_owned());
    }
    for id in &ids {
        stage.all_think(id, "Verified", TAKEN);
    }
    for (index, block) in blocks.iter().take(4).enumerate() {
        let reply = stage.nodes[index].asker().ask("block", &[block]).unwrap();
        assert_eq!(reply[1], b"A");
        let height = index as u64 + 2;
        stage.all(&format!("height {height}"), TAKEN, |node| {
            node.height() == height
        });
    }
    let begin = stage.begin;
    eventually("the time is over", WATCHED * 2, || {
        stage.expect_alive();
        for (index, listener) in listeners.iter().enumerate() {
            while let Some(message) = listener.next(Duration::ZERO) {
                published.push((begin.elapsed(), index, message));
            }
        }
        (begin.elapsed() > WATCHED).then_some(())
    });
    let passed = stage.wires().passed();
    seen(begin, format_args!("{} messages", passed.len()));
    if let Some(file) = std::env::var_os("LIFE_FILE") {
        let lines: String = passed
            .iter()
            .map(|message| {
                let frames: Vec<String> = message.body.iter().map(hex::encode).collect();
                format!(
                    "{:.3} {} {} {:?} {}\n",
                    message.at.as_secs_f64(),
                    message.from.map_or("-".to_owned(), |from| from.to_string()),
                    message.to,
                    message.way,
                    frames.join(" ")
                )
            })
            .collect();
        std::fs::write(file, lines).unwrap();
    }
    let looks = looks(&stage, &passed);
    tell(&looks);
    for to in ["ours", "theirs"] {
        compare(&looks, to);
    }
    compare_published(&stage, &published);
}

/// What the nodes of each kind published.
fn compare_published(stage: &Stage, published: &[(Duration, usize, Message)]) {
    let of = |kind: Kind| -> BTreeMap<&str, (BTreeSet<String>, Vec<usize>)> {
        let mut commands: BTreeMap<&str, (BTreeSet<String>, BTreeMap<usize, usize>)> =
            BTreeMap::new();
        for (_, index, message) in published {
            if stage.nodes[*index].kind == kind {
                let (shapes, counts) = commands.entry(&message.command).or_default();
                shapes.insert(lengths(&message.command, &message.parameters));
                *counts.entry(*index).or_default() += 1;
            }
        }
        let counted = |(command, (shapes, counts)): (_, (_, BTreeMap<usize, usize>))| {
            (command, (shapes, counts.into_values().collect()))
        };
        commands.into_iter().map(counted).collect()
    };
    let (ours, theirs) = (of(Kind::Ours), of(Kind::Reference));
    println!("  published by ours:   {ours:?}\n  published by theirs: {theirs:?}");
    let names = |all: &BTreeMap<&str, _>| all.keys().map(|name| (*name).to_owned()).collect();
    let (ours_names, their_names): (Vec<String>, Vec<String>) = (names(&ours), names(&theirs));
    assert_eq!(ours_names, their_names);
    for (command, (shapes, _)) in &ours {
        let mut expected = theirs[command].0.clone();
        // The reference marks the issues that were made at it with one byte more.
        expected.remove("record 1");
        assert_eq!(shapes, &expected, "{command}");
    }
    // A beat follows a minute without news. When the first came was not seen.
    let watched = published.first().map_or(Duration::ZERO, |first| first.0) + A_MOMENT;
    for (index, node) in stage.nodes.iter().enumerate() {
        let times: Vec<(Duration, bool)> = published
            .iter()
            .filter(|(at, from, _)| *from == index && *at > watched)
            .map(|(at, _, message)| (*at, message.command == "heart"))
            .collect();
        let silences: Vec<u64> = times
            .windows(2)
            .filter(|pair| pair[1].1)
            .map(|pair| (pair[1].0 - pair[0].0).as_secs())
            .collect();
        let name = &node.plan.name;
        println!("  {name}: {} beats after {silences:?} s", silences.len());
        assert!(silences.iter().all(|s| (58..=62).contains(s)), "{name}");
    }
}

/// What both kinds send to one kind, side by side: nothing but what `proto/INTEROP.md` tells may
/// differ.
fn compare(looks: &BTreeMap<Topic, Look>, to: &'static str) {
    let of = |from: &'static str| -> BTreeMap<&str, &Look> {
        looks
            .iter()
            .filter(|(topic, _)| topic.from == from && topic.to == to)
            .map(|(topic, look)| (topic.command.as_str(), look))
            .collect()
    };
    let (ours, theirs) = (of("ours"), of("theirs"));
    let commands = |looks: &BTreeMap<&str, &Look>| -> BTreeSet<String> {
        looks.keys().map(|&command| command.to_owned()).collect()
    };
    let set = |list: &[&str]| -> BTreeSet<String> { list.iter().map(|&s| s.to_owned()).collect() };
    let (more, less) = match to {
        "theirs" => (set(&["I", "OVL1"]), set(&[])),
        _ => (set(&["OVL1"]), set(&["assets", "issues", "proof"])),
    };
    assert_eq!(&commands(&ours) - &commands(&theirs), more, "to {to}");
    assert_eq!(&commands(&theirs) - &commands(&ours), less, "to {to}");
    for (command, look) in ours {
        let Some(other) = theirs.get(command) else {
            continue;
        };
        let mut parameters = other.parameters.clone();
        // The reference marks the issues that were made at it with one byte more.
        parameters.remove("record 1");
        assert_eq!(look.parameters, parameters, "{command} to {to}");
        assert_eq!(look.replies, other.replies, "{command} to {to}");
        let least = |look: &Look| look.times.values().map(Vec::len).min().unwrap_or(0);
        let most = |look: &Look| look.times.values().map(Vec::len).max().unwrap_or(0);
        println!(
            "  {command:7} to {to:7} on a link: ours {} to {}, theirs {} to {}",
            least(look),
            most(look),
            least(other),
            most(other)
        );
        // Registrations beside: those that prove that an announced peer is there.
        if command != "R" {
            assert!(most(look) <= most(other) * 2, "{command} to {to}");
        }
    }
}
