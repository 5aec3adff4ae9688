//! What is to be paid for a record, and the command of the reference's wallet that would pay it
//! (`proto/rpc.md`, section 8). All of it comes from the node and goes into a command line: a coin
//! that is none, an address that is not one of its coin, and more than the fees are never shown.
//! Never pays.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::core::currency::{Currency, address};
use crate::core::id::PayId;

/// What the fees may be.
#[derive(Debug, Clone, Copy)]
pub enum Fees {
    /// Of so many issues: one each.
    Issues(usize),
    /// Of a transfer: two; what is beyond is an escrow, which is told.
    Transfer,
}

impl Fees {
    fn most(self, currency: Currency) -> u64 {
        let count = match self {
            Self::Issues(count) => u64::try_from(count).unwrap_or(u64::MAX),
            Self::Transfer => 2,
        };
        currency.fee().saturating_mul(count)
    }
}

/// A coin with what is to be paid in it.
#[derive(Debug)]
struct Way {
    currency: Currency,
    /// Address and amount in the smallest unit.
    payments: Vec<(String, u64)>,
}

/// What is to be paid under a payment id, in one of some coins.
#[derive(Debug)]
pub struct Bill {
    pay_id: PayId,
    testing: bool,
    ways: Vec<Way>,
    warning: Option<String>,
}

fn way(code: &str, list: &Value, testing: bool) -> anyhow::Result<Way> {
    let known = Currency::PAYABLE.into_iter().find(|one| one.text() == code);
    let currency = known.with_context(|| format!("the node wants to be paid in {code:?}"))?;
    let mut payments = Vec::new();
    for payment in list.as_array().into_iter().flatten() {
        ensure!(
            payment["currency"] == code,
            "the node names another coin than {code}: {}",
            payment["currency"]
        );
        let to = payment["address"].as_str().unwrap_or_default();
        address::check(currency, to.as_bytes(), testing)
            .with_context(|| format!("the node wants to be paid at {to:?}"))?;
        let amount = payment["amount"]
            .as_str()
            .and_then(|text| text.parse().ok());
        let amount = amount.context("the node's answer has no proper `amount`")?;
        payments.push((to.to_owned(), amount));
    }
    ensure!(
        !payments.is_empty(),
        "the node's answer has no payment in {code}"
    );
    Ok(Way { currency, payments })
}

impl Bill {
    /// Reads what a node wants (`payments`, null: nothing).
    ///
    /// # Errors
    /// It cannot be paid, or is more than the fees.
    pub fn read(
        pay_id: PayId,
        payments: &Value,
        fees: Fees,
        testing: bool,
    ) -> anyhow::Result<Option<Self>> {
        if payments.is_null() {
            return Ok(None);
        }
        let mut ways = Vec::new();
        let mut warning = None;
        for (code, list) in payments.as_object().into_iter().flatten() {
            let way = way(code, list, testing)?;
            let sum = way
                .payments
                .iter()
                .fold(0_u64, |sum, (_, amount)| sum.saturating_add(*amount));
            let most = fees.most(way.currency);
            if sum > most {
                let told = format!("the node wants {sum} in {code}, and the fees are {most}");
                match fees {
                    Fees::Issues(_) => bail!("{told}: do not pay, and ask another node"),
                    Fees::Transfer => {
                        warning = Some(format!(
                            "{told}: the rest goes to the owner before, if that transfer asked for it; do not pay it otherwise"
                        ));
                    }
                }
            }
            ways.push(way);
        }
        Ok(Some(Self {
            pay_id,
            testing,
            ways,
            warning,
        }))
    }

    fn command(&self, way: &Way) -> String {
        let testnet = if self.testing { " --testnet" } else { "" };
        let coin = way.currency.text().to_lowercase();
        let mut command = format!(
            "bitmark-wallet --conf ${{XDG_CONFIG_HOME}}/bitmark-wallet/bitmark-wallet.conf {coin}{testnet} sendmany --hex-data '{}'",
            self.pay_id
        );
        for (address, amount) in &way.payments {
            command.push_str(&format!(" '{address},{amount}'"));
        }
        command
    }

    /// Enters `payments` and `commands`, and `warning` where there is one.
    pub fn enter(&self, value: &mut Value) {
        let (mut payments, mut commands) = (json!({}), json!({}));
        for way in &self.ways {
            let code = way.currency.text();
            let entry = |(address, amount): &(String, u64)| json!({"currency": code, "address": address, "amount": amount.to_string()});
            payments[code] = way.payments.iter().map(entry).collect();
            commands[code] = json!(self.command(way));
        }
        value["payments"] = payments;
        value["commands"] = commands;
        if let Some(warning) = &self.warning {
            value["warning"] = json!(warning);
        }
    }

    /// The same for people, one coin a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "to be paid under payment id {}, in one coin:",
            self.pay_id
        )];
        for way in &self.ways {
            let parts: Vec<String> = way
                .payments
                .iter()
                .map(|(address, amount)| format!("{amount} to {address}"))
                .collect();
            lines.push(format!("  {}: {}", way.currency, parts.join(", ")));
            lines.push(format!("  {}", self.command(way)));
        }
        if let Some(warning) = &self.warning {
            lines.push(format!("warning: {warning}"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4";

    fn bill(payments: &Value, fees: Fees) -> anyhow::Result<Bill> {
        Bill::read(PayId([7; 48]), payments, fees, true).map(|bill| bill.expect("a bill"))
    }

    fn payment(code: &str, address: &str, amount: &str) -> Value {
        json!({"currency": code, "address": address, "amount": amount})
    }

    #[test]
    fn a_command_pays_all_parts_in_one_transaction() {
        let part = payment("BTC", ADDRESS, "10000");
        let both = json!({"BTC": [part, part]});
        let text = bill(&both, Fees::Transfer).unwrap().text();
        assert!(
            text.ends_with(&format!(" '{ADDRESS},10000' '{ADDRESS},10000'")),
            "{text}"
        );
        assert!(text.contains(" btc --testnet sendmany "), "{text}");
        assert!(!text.contains("warning"), "{text}");
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
            let wanted = json!({"BTC": [payment("BTC", address, "1")]});
            assert!(bill(&wanted, Fees::Transfer).is_err(), "{address}");
        }
    }

    #[test]
    fn a_coin_that_is_none_or_another_than_it_says_is_refused() {
        for (code, inner) in [
            ("", ""),
            ("XYZ", "XYZ"),
            ("bitcoin", "bitcoin"),
            ("BTC", "LTC"),
            ("BTC", ""),
        ] {
            let wanted = json!({code: [payment(inner, ADDRESS, "1")]});
            assert!(bill(&wanted, Fees::Transfer).is_err(), "{code} {inner}");
        }
        assert!(bill(&json!({"BTC": []}), Fees::Transfer).is_err());
        let nothing = Bill::read(PayId([7; 48]), &Value::Null, Fees::Transfer, true);
        assert!(nothing.unwrap().is_none());
    }

    #[test]
    fn more_than_the_fees_is_refused_and_for_a_transfer_told() {
        let wanted = |amount: &str| json!({"BTC": [payment("BTC", ADDRESS, amount)]});
        assert!(bill(&wanted("30000"), Fees::Issues(3)).is_ok());
        assert!(bill(&wanted("30001"), Fees::Issues(3)).is_err());
        let told = bill(&wanted("18446744073709551615"), Fees::Transfer).unwrap();
        assert!(told.text().contains("do not pay it otherwise"));
        let mut value = json!({});
        told.enter(&mut value);
        assert!(value["warning"].is_string());
        assert!(bill(&wanted("18446744073709551616"), Fees::Transfer).is_err());
    }
}
