//! `difficulty-issue.json`: the target of the proof for a set of issues (`proto/reservoir.md`,
//! section 7).

use bitmarkd::core::block::difficulty::{from_reciprocal, issue_reciprocal, issue_target};
use bitmarkd::core::chain::Chain;

use crate::harness;

#[test]
fn difficulty_issue() {
    harness::run("difficulty-issue.json", |case| {
        let chain = Chain::by_name(case.text("network")).expect("a chain");
        let count = case.input("issue_count").as_u64().expect("a count");
        let count = usize::try_from(count).expect("fits");
        let reciprocal = issue_reciprocal(chain, count);
        case.expect("target", issue_target(chain, count).to_text());
        case.expect(
            "reciprocal_ieee754_bits",
            format!("{:016x}", reciprocal.to_bits()),
        );
        // Written as a JSON number: the same float, whatever its digits.
        let written = case.input("reciprocal");
        let written = written
            .as_f64()
            .or_else(|| written.as_str()?.parse().ok())
            .map(f64::to_bits);
        if written != Some(reciprocal.to_bits()) {
            case.fail("reciprocal", format!("got {reciprocal}"));
        }
        let Some(made) = from_reciprocal(reciprocal) else {
            return case.fail("compact_bits", "has no compact form");
        };
        case.expect("compact_bits", format!("{:016x}", made.bits.0));
        case.expect("compact_bits_little_endian", made.bits.to_json());
    });
}
