//! Decimal amounts of coins (`proto/records.md`, section 7.5).

use super::CurrencyError;

const DECIMALS: usize = 8;

/// Reads a decimal amount into the coin's smallest unit: digits, at most one point, blanks around
/// it; what is beyond eight decimals is dropped.
///
/// # Errors
/// [`CurrencyError::InvalidAmount`] for anything else, and beyond 64 bits.
pub fn from_decimal(text: &str) -> Result<u64, CurrencyError> {
    let text = text.trim();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) {
        return Err(CurrencyError::InvalidAmount);
    }
    let decimals = format!("{decimals:0<DECIMALS$}");
    let decimals = decimals.get(..DECIMALS).unwrap_or_default();
    format!("{whole}{decimals}")
        .parse()
        .map_err(|_| CurrencyError::InvalidAmount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_that_is_no_plain_number_is_refused() {
        assert_eq!(from_decimal("0.0001"), Ok(10_000));
        assert_eq!(from_decimal(" 0.5 "), Ok(50_000_000));
        for text in ["-1", "1e8", ".", "..5", "abc", "", "184467440737.09551616"] {
            assert_eq!(
                from_decimal(text),
                Err(CurrencyError::InvalidAmount),
                "{text}"
            );
        }
    }
}
