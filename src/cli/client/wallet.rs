//! What is to be paid for a record, and the command of the reference's wallet that would pay it
//! (`proto/rpc.md`, section 8). Addresses come from the node and go into a command line: one that
//! is no address of its coin is never shown. Never pays.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::core::currency::{Currency, address};
use crate::core::id::PayId;

/// A coin with what is to be paid in it.
struct Way {
    currency: Currency,
    /// Address and amount in the smallest unit.
    payments: Vec<(String, u64)>,
}

fn ways(payments: &Value, testing: bool) -> anyhow::Result<Vec<Way>> {
    let mut ways = Vec::new();
    for (code, list) in payments.as_object().into_iter().flatten() {
        let currency: Currency = code
            .parse()
            .with_context(|| format!("the node wants to be paid in {code:?}"))?;
        let mut payments = Vec::new();
        for payment in list.as_array().into_iter().flatten() {
            let to = payment["address"].as_str().unwrap_or_default();
            address::check(currency, to.as_bytes(), testing)
                .with_context(|| format!("the node wants to be paid at {to:?}"))?;
            let amount = payment["amount"]
                .as_str()
                .and_then(|text| text.parse().ok());
            let amount = amount.context("the node's answer has no proper `amount`")?;
            payments.push((to.to_owned(), amount));
        }
        if payments.is_empty() {
            bail!("the node's answer has no payment in {code}");
        }
        ways.push(Way { currency, payments });
    }
    Ok(ways)
}

fn command(way: &Way, pay_id: &PayId, testing: bool) -> String {
    let testnet = if testing { " --testnet" } else { "" };
    let coin = way.currency.text().to_lowercase();
    let mut command = format!(
        "bitmark-wallet --conf ${{XDG_CONFIG_HOME}}/bitmark-wallet/bitmark-wallet.conf {coin}{testnet} sendmany --hex-data '{pay_id}'"
    );
    for (address, amount) in &way.payments {
        command.push_str(&format!(" '{address},{amount}'"));
    }
    command
}

/// Enters `payments` and `commands`, if there is anything to pay.
///
/// # Errors
/// What the node wants cannot be paid.
pub fn enter(
    value: &mut Value,
    pay_id: &PayId,
    payments: &Value,
    testing: bool,
) -> anyhow::Result<()> {
    if payments.is_null() {
        return Ok(());
    }
    let mut commands = json!({});
    for way in ways(payments, testing)? {
        commands[way.currency.text()] = json!(command(&way, pay_id, testing));
    }
    value["payments"] = payments.clone();
    value["commands"] = commands;
    Ok(())
}

/// The same for people, one coin a line.
///
/// # Errors
/// See [`enter`].
pub fn text(pay_id: &PayId, payments: &Value, testing: bool) -> anyhow::Result<String> {
    let mut lines = vec![format!(
        "to be paid under payment id {pay_id}, in one coin:"
    )];
    for way in ways(payments, testing)? {
        let parts: Vec<String> = way
            .payments
            .iter()
            .map(|(address, amount)| format!("{amount} to {address}"))
            .collect();
        lines.push(format!("  {}: {}", way.currency.text(), parts.join(", ")));
        lines.push(format!("  {}", command(&way, pay_id, testing)));
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAY_ID: PayId = PayId([7; 48]);

    fn payments(address: &str) -> Value {
        json!({"BTC": [{"currency": "BTC", "address": address, "amount": "10000"}]})
    }

    #[test]
    fn a_command_pays_all_parts_in_one_transaction() {
        let mut both = payments("msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4");
        let second = both["BTC"][0].clone();
        both["BTC"].as_array_mut().unwrap().push(second);
        let text = text(&PAY_ID, &both, true).unwrap();
        let wanted =
            "'msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4,10000' 'msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4,10000'";
        assert!(text.ends_with(wanted), "{text}");
        assert!(text.contains(" btc --testnet sendmany "), "{text}");
    }

    #[test]
    fn what_is_no_address_of_the_coin_never_reaches_a_command_line() {
        for address in [
            "'; rm -rf ~; '",
            "",
            "$(id)",
            // Of the live network.
            "17VZNX1SN5NtKa8UQFxwQbFeFc3iqRYhem",
        ] {
            assert!(
                text(&PAY_ID, &payments(address), true).is_err(),
                "{address}"
            );
        }
        let unknown = json!({"XYZ": [{"address": "a", "amount": "1"}]});
        assert!(text(&PAY_ID, &unknown, true).is_err());
        let mut value = json!({});
        enter(&mut value, &PAY_ID, &Value::Null, true).unwrap();
        assert_eq!(value, json!({}));
    }
}
