//! Proofs of title, a piece at a time.

use serde_json::Value;

use super::{Blank, Sight, nothing};
use crate::core::ledger::LedgerError;
use crate::core::title::{self, Ask, MakeError};

impl Sight<'_> {
    pub(super) fn title(&self, ask: &Ask) -> Result<Value, Blank> {
        if let Ask::Newest(id) = ask
            && self.reservoir.waiting_record(id).is_some()
        {
            return nothing(format!(
                "transaction {id} waits: it is in no block yet, and without one there is no title"
            ));
        }
        match title::answer(self.view, self.ledger, ask) {
            Ok(piece) => Ok(Value::String(piece.to_text())),
            Err(MakeError::Ledger(LedgerError::Store(fault))) => Err(Blank::Fault(fault)),
            Err(why) => nothing(why.to_string()),
        }
    }
}
