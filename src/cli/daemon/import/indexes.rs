//! After the blocks: whether the indexes that the other node had kept say the same as ours.

use indicatif::{ProgressBar, ProgressStyle};

use super::super::Tell;
use super::super::blocks::Growing;
use super::Line;
use super::chain::Blocks;
use crate::core::ledger::compare::{self, Difference};

/// Bytes of a value that are shown.
const SHOWN_BYTES: usize = 48;

/// The lines for the table, and what is wrong.
pub(super) fn compare(
    growing: &Growing,
    blocks: &Blocks,
    tell: Tell,
) -> anyhow::Result<(Vec<Line>, Option<String>)> {
    let height = growing.ledger.height();
    let Some((store, top)) = blocks.stores() else {
        return Ok((Vec::new(), None));
    };
    let skipped = if !store.has_index() {
        Some("not compared: the other node had not finished its own".to_owned())
    } else if top != height {
        Some(format!(
            "not compared: they are of height {top}, the store is at {height}"
        ))
    } else {
        None
    };
    if let Some(why) = skipped {
        return Ok((vec![("indexes", why)], None));
    }
    let bar = counter(tell);
    let compared = compare::compare(&growing.store, store, height, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    let counts: Vec<String> = compared
        .compared
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    let mut line = format!("{} compared", counts.join(", "));
    if compared.explained > 0 {
        line.push_str(&format!(
            "; {} explained by blocks that the other node took off ({})",
            compared.explained,
            compare::RULE
        ));
    }
    let problem = (compared.different > 0).then(|| {
        for difference in &compared.first {
            eprintln!("bitmarkd: {}", told(difference));
        }
        format!(
            "{} entries of the indexes differ from those of the other node (the first are told above); ours follow from the blocks",
            compared.different
        )
    });
    line.push_str(&format!("; {} differ", compared.different));
    Ok((vec![("indexes", line)], problem))
}

fn told(difference: &Difference) -> String {
    let value = |value: &Option<Vec<u8>>| match value {
        None => "nothing".to_owned(),
        Some(value) => {
            let shown = value.get(..SHOWN_BYTES).unwrap_or(value);
            let dots = if value.len() > SHOWN_BYTES { "…" } else { "" };
            format!("{}{dots}", hex::encode(shown))
        }
    };
    format!(
        "{}: {}: ours {}, theirs {}",
        difference.what,
        hex::encode(&difference.key),
        value(&difference.ours),
        value(&difference.theirs)
    )
}

/// A count on a terminal, nothing elsewhere: how many there are is known at the end.
fn counter(tell: Tell) -> ProgressBar {
    if tell.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {pos}, {per_sec}, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::no_length()
        .with_style(style)
        .with_message("comparing entries")
}
