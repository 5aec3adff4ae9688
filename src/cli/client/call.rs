//! `call`: any method of JSON-RPC with any argument, for what no other command asks.

use anyhow::Context as _;
use serde::de::IgnoredAny;

use super::Output;
use super::target::Target;

/// `call`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The method, as `Node.List`.
    method: String,
    /// Its argument, a JSON object.
    #[arg(value_name = "JSON", default_value = "{}")]
    argument: String,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    // Sent as it was written: numbers keep all their digits.
    serde_json::from_str::<IgnoredAny>(&args.argument)
        .context("the argument is a JSON object, as {\"count\": 10}")?;
    let mut node = args.target.rpc(output)?;
    let result = node.call(&args.method, args.argument.trim())?;
    output.show(&result, serde_json::to_string_pretty(&result)?);
    Ok(())
}
